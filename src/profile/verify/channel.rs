//! Parts of a device that have patients of their own: a value belongs to one of them, or to none.

use std::collections::BTreeMap;

use super::Check;
use super::Step::{Index, Key};
use crate::vocabulary::Channel;
use crate::vocabulary::channel::is_within;

impl Check<'_> {
    pub(super) fn channels(&mut self) {
        let profile = self.profile;
        let mut names = Vec::new();
        let mut parameters: BTreeMap<&str, &str> = BTreeMap::new();
        let mut places: Vec<(&str, &str)> = Vec::new();
        for (index, row) in profile.file.channel.iter().enumerate() {
            let path = [Key("channel"), Index(index)];
            let at = |key| [&path[..], &[Key(key)]].concat();
            let name = row.name.as_str();
            if Channel::parse(name).is_err() {
                self.add(&at("name"), "expected 1 to 128 characters without control characters");
            } else if names.contains(&name) {
                self.add(&at("name"), format!("{name:?} is another part already"));
            }
            names.push(name);
            if row.sub_ids.is_empty() && row.parameters.is_empty() {
                self.add(&path, "expected `sub_ids` or `parameters`: which values are its own");
            }
            for parameter in &row.parameters {
                let _ = self.known_parameter(&at("parameters"), parameter);
                if let Some(other) = parameters.insert(parameter, name) {
                    let what = format!("{parameter:?} belongs to {other:?} already");
                    self.add(&at("parameters"), what);
                }
            }
            for sub_id in &row.sub_ids {
                let meets = |other: &str| is_within(sub_id, other) || is_within(other, sub_id);
                if sub_id.is_empty() || sub_id.starts_with('.') || sub_id.ends_with('.') {
                    self.add(&at("sub_ids"), "expected a place in the device, such as 1.2");
                } else if let Some((_, other)) = places.iter().find(|(place, _)| meets(place)) {
                    let what = format!("{sub_id:?} meets a place of {other:?}");
                    self.add(&at("sub_ids"), what);
                }
                places.push((sub_id, name));
            }
            self.source(&path, &row.source);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::profile::{Drafts, Profile};
    use crate::vocabulary::Vocabulary;

    const MONITOR: &str =
        include_str!("../../../device-profiles/ge-healthcare/b-series/profile.toml");

    /// What is wrong, with the line where it stands.
    fn problems(channels: &str) -> Vec<(String, String)> {
        let vocabulary = Vocabulary::parse(
            include_str!("../../../device-profiles/vocabulary/parameters.toml"),
            include_str!("../../../device-profiles/vocabulary/units.toml"),
        );
        let text = format!("{MONITOR}\n{channels}");
        let read = Profile::read(&text, &vocabulary.unwrap(), Drafts::Accepted);
        let line = |number: usize| text.lines().nth(number - 1).unwrap_or_default().to_owned();
        let problems = read.err().unwrap_or_default();
        problems.into_iter().map(|one| (line(one.position.line), one.what)).collect()
    }

    fn channel(name: &str, rest: &str) -> String {
        let source = MONITOR.lines().find(|line| line.starts_with("source = ")).unwrap();
        format!("[[channel]]\nname = \"{name}\"\n{rest}\n{source}\n")
    }

    #[test]
    fn parts_that_share_a_value_are_named_with_their_line() {
        let first = channel("left", "sub_ids = [\"1.2\"]");
        assert_eq!(problems(&first), []);
        for (second, line, what) in [
            (channel("left", "sub_ids = [\"1.3\"]"), "name = \"left\"", "another part already"),
            (channel("right", ""), "[[channel]]", "expected `sub_ids` or `parameters`"),
            (channel("right", "sub_ids = [\"1.2.7\"]"), "sub_ids = [\"1.2.7\"]", "meets a place"),
            (channel("right", "sub_ids = [\"1\"]"), "sub_ids = [\"1\"]", "meets a place"),
            (channel("right", "sub_ids = [\"1.\"]"), "sub_ids = [\"1.\"]", "expected a place"),
            (channel("", "sub_ids = [\"1.3\"]"), "name = \"\"", "expected 1 to 128"),
            (channel("right", "parameters = [\"spo3\"]"), "parameters = [\"spo3\"]", "spo2"),
        ] {
            let said = problems(&format!("{first}{second}"));
            assert!(said.iter().any(|(at, _)| at == line), "{line}: {said:?}");
            assert!(said.iter().any(|(_, said)| said.contains(what)), "{what}: {said:?}");
        }
        let apart = channel("right", "sub_ids = [\"1.20\"]\nparameters = [\"spo2\"]");
        assert_eq!(problems(&format!("{first}{apart}")), []);
    }
}
