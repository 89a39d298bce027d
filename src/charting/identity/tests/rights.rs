//! Who may do what, and with whose patients.

use crate::charting::identity::{
    Allowed, Care, May, Person, PersonId, Refused, Role, SessionMode, Whereabouts,
};

fn person(role: Role) -> Person {
    Person {
        id: PersonId::parse("nurse-1").unwrap(),
        name: "Aino Esimerkki".to_owned(),
        role,
        wards: vec!["3a".to_owned()],
        student: role == Role::Student,
        mode: SessionMode::Online,
        session: "s".to_owned(),
    }
}

#[test]
fn rights_are_what_the_table_says() {
    // In the order of the columns: a: alone, s: signed by another, -: not.
    let table = [
        (Role::RegisteredNurse, "aaaaaaa--"),
        (Role::Midwife, "aaaaaaa--"),
        (Role::Doctor, "aaaaaaa--"),
        (Role::PracticalNurse, "aaaaa-a--"),
        (Role::Student, "asss-----"),
        (Role::BiomedicalEngineer, "------a--"),
        (Role::Administrator, "------a--"),
        (Role::Auditor, "-------a-"),
        (Role::CoreSystem, "--------a"),
    ];
    for (role, row) in table {
        for (act, sign) in May::ALL.into_iter().zip(row.chars()) {
            let expected = match sign {
                'a' => Ok(Allowed::Alone),
                's' => Ok(Allowed::WithCountersigner),
                _ => Err(Refused::Role(act)),
            };
            assert_eq!(person(role).may(act), expected, "{role:?} {act:?}");
        }
    }
}

#[test]
fn a_student_under_another_roles_name_is_a_student() {
    let student = Person { student: true, ..person(Role::RegisteredNurse) };
    assert_eq!(student.may(May::See), Ok(Allowed::Alone));
    assert_eq!(student.may(May::Confirm), Ok(Allowed::WithCountersigner));
    assert_eq!(student.may(May::Withdraw), Err(Refused::Role(May::Withdraw)));
    let other = |role| Person { id: PersonId::parse("other").unwrap(), ..person(role) };
    assert!(other(Role::RegisteredNurse).may_countersign(student.id.reveal()));
    assert!(!other(Role::PracticalNurse).may_countersign(student.id.reveal()));
    assert!(!other(Role::Student).may_countersign(student.id.reveal()));
    assert!(!person(Role::RegisteredNurse).may_countersign(student.id.reveal()));
}

#[test]
fn another_wards_patient_needs_a_reason() {
    let nurse = person(Role::RegisteredNurse);
    let on = |ward| Whereabouts { ward: Some(ward), encounters: &[] };
    assert_eq!(nurse.care(on("3a"), None), Ok(Care::Ward));
    let encounter = Whereabouts { ward: Some("4b"), encounters: &["er", "3a"] };
    assert_eq!(nurse.care(encounter, None), Ok(Care::Encounter));
    for place in [on("3b"), on("3A"), on(""), Whereabouts::default()] {
        assert_eq!(nurse.care(place, None), Err(Refused::CareRelationship));
        let stated = nurse.care(place, Some(" called to help "));
        assert_eq!(stated, Ok(Care::Stated("called to help".to_owned())));
    }
    for reason in ["", "  ", "ok", "a\nb c", &"x".repeat(201)] {
        assert_eq!(nurse.care(on("3b"), Some(reason)), Err(Refused::CareRelationship));
    }
    let refused = Refused::CareRelationship;
    assert_eq!((refused.status(), refused.code()), (403, "care-relationship"));
}
