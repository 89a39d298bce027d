use super::super::table::{CLASS_BYTES, CLASSES, Form};
use super::corpus;

/// The family's table and the corpus say the same: every row, every offset, every type.
#[test]
fn the_table_is_the_one_of_the_corpus() {
    let test = "the_table_is_the_one_of_the_corpus";
    let Some(text) = corpus(test, "monitors/ge-s5-dri/phdb_offsets.csv") else { return };
    let rows: Vec<&str> = text.lines().skip(1).collect();
    let mut own = Vec::new();
    for (class, groups) in CLASSES {
        for group in groups {
            let mut row = |field: &str, at: usize, form: &str| {
                own.push(format!("{class},{},{field},{at},{},{form}", group.name, at + 4));
            };
            if group.headed {
                row("status", group.at, "u32");
                row("label", group.at + 4, "u16");
            }
            for field in group.fields {
                let form = match field.form {
                    Form::I16 => "i16".to_owned(),
                    Form::U32 => "u32".to_owned(),
                    Form::Bytes(bytes) => format!("bytes[{bytes}]"),
                };
                row(field.name, field.at, &form);
            }
        }
    }
    assert_eq!(own, rows);
    assert_eq!(rows.len(), 303);
}

/// Every class is full to its last byte, without a hole.
#[test]
fn classes_are_full() {
    for (class, groups) in CLASSES {
        let mut at = 0;
        for group in groups {
            assert_eq!(group.at, at, "{class} {}", group.name);
            at += if group.headed { 6 } else { 0 };
            for field in group.fields {
                assert_eq!(field.at, at, "{class} {}.{}", group.name, field.name);
                at += match field.form {
                    Form::I16 => 2,
                    Form::U32 => 4,
                    Form::Bytes(bytes) => bytes,
                };
            }
        }
        assert_eq!(at, CLASS_BYTES, "{class}");
    }
}
