//! Which parameter a device means by its codings.

use crate::vocabulary::Vocabulary;
use crate::vocabulary::observation::Doubt;
use crate::vocabulary::reading::Coding;

/// The parameter's name, if the codings lead to one, and the doubt that they leave.
pub(super) struct Found {
    pub name: Option<String>,
    pub doubt: Option<Doubt>,
}

/// Looks through all codings: MDC by number and by reference id, Philips MDIL by its hexadecimal
/// numbers.
///
/// | number | reference id | parameter | doubt |
/// |---|---|---|---|
/// | of a parameter | of the same one, or none sent | that one | |
/// | of a parameter | of another one | none | code-and-name-disagree |
/// | of a parameter | sent, and not known | none | code-and-name-disagree |
/// | 0, none, or the low half of its number | of a parameter | that one | |
/// | any other | of a parameter | that one | code-and-name-disagree |
///
/// A known number beside a name that nobody knows is not taken: numbers are mistyped and reused
/// (facts/semantics.md 1.5: 196670 is MDC_EVT_LO in one text and a pump alarm in a capture), and
/// the name is what the maker meant. The value stays, unmapped, counted and shown. In the opposite
/// case the name says in words what was measured; it is taken, with the doubt.
///
/// Codings that lead to two different parameters lead to none.
pub(super) fn of(codings: &[Coding], vocabulary: &Vocabulary) -> Found {
    let mut found: Option<Found> = None;
    for one in codings.iter().filter_map(|coding| of_one(coding, vocabulary)) {
        match &found {
            Some(first) if first.name != one.name => {
                return Found { name: None, doubt: Some(Doubt::CodeAndNameDisagree) };
            }
            Some(_) => {}
            None => found = Some(one),
        }
    }
    found.unwrap_or(Found { name: None, doubt: None })
}

/// What one coding leads to; `None` if it is about no parameter of ours.
fn of_one(coding: &Coding, vocabulary: &Vocabulary) -> Option<Found> {
    let number = mdil(coding).or_else(|| {
        let claims_mdc = coding.system == "MDC" || coding.words.starts_with("MDC_");
        coding.code.parse().ok().filter(|_| claims_mdc)
    });
    let by_number = number.and_then(|number| vocabulary.parameter_by_mdc_code(number));
    // Some devices put the reference id where the number belongs.
    let by_name = [&coding.words, &coding.code]
        .into_iter()
        .find_map(|text| vocabulary.parameter_by_mdc(text));
    let has_name = coding.words.starts_with("MDC_");
    match (by_number, by_name) {
        (Some((first, _)), Some((second, _))) if first == second => {
            Some(Found { name: Some(first.to_owned()), doubt: None })
        }
        // The vocabulary keeps an attribute's older number under `name-number`: a device that
        // sends it with the right name does not contradict itself (facts/semantics.md 1.5).
        (Some((first, older)), Some((second, _)))
            if older.mdc.is_empty() && number.is_some_and(|n| first == format!("{second}-{n}")) =>
        {
            Some(Found { name: Some(second.to_owned()), doubt: None })
        }
        (Some(_), Some(_)) => Some(Found { name: None, doubt: Some(Doubt::CodeAndNameDisagree) }),
        (Some(_), None) if has_name => {
            Some(Found { name: None, doubt: Some(Doubt::CodeAndNameDisagree) })
        }
        (Some((name, _)), None) => Some(Found { name: Some(name.to_owned()), doubt: None }),
        (None, Some((name, parameter))) => {
            // 0 means "not yet assigned"; a 16-bit code is the low half of the whole one.
            let agrees = number.is_none_or(|number| {
                number == 0 || parameter.mdc_code.is_none_or(|code| code & 0xffff == number)
            });
            let doubt = (!agrees).then_some(Doubt::CodeAndNameDisagree);
            Some(Found { name: Some(name.to_owned()), doubt })
        }
        (None, None) => None,
    }
}

/// Philips MDIL writes partition and code as `pppp-cccc` in hexadecimal; together they are the MDC
/// number (facts/monitors.md 0 and 6).
pub(super) fn mdil(coding: &Coding) -> Option<u32> {
    if coding.system != "MDIL" {
        return None;
    }
    let (partition, code) = coding.code.split_once('-')?;
    if partition.len() != 4 || code.len() != 4 {
        return None;
    }
    let partition = u32::from_str_radix(partition, 16).ok()?;
    let code = u32::from_str_radix(code, 16).ok()?;
    Some((partition << 16) | code)
}
