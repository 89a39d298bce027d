//! Device files of families that ask: their values stand in the family's own table, and the file
//! says how the device is asked.

use super::Check;
use super::Step::Key;
use crate::protocol::Stated;

impl Check<'_> {
    /// `settings` is what the family says of its own keys; `stated` is its table.
    pub(super) fn asked(
        &mut self,
        family: &str,
        settings: Result<(), (&'static str, String)>,
        source: &str,
        stated: &[Stated],
    ) {
        let path = [Key("protocol"), Key(family)];
        if let Err((key, what)) = settings {
            self.add(&[&path[..], &[Key(key)]].concat(), what);
        }
        self.source(&path, source);
        for one in stated {
            self.parameter(&path, &one.parameter, Some(&one.unit));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::profile::{Drafts, Profile};
    use crate::vocabulary::Vocabulary;

    const DRI: &str = include_str!("../../../device-profiles/ge/s5-dri/profile.toml");
    const UNITY: &str = include_str!("../../../device-profiles/ge/dash-unity/profile.toml");

    /// What is wrong, with the line where it stands.
    fn problems(text: &str) -> Vec<(usize, String)> {
        let vocabulary = Vocabulary::parse(
            include_str!("../../../device-profiles/vocabulary/parameters.toml"),
            include_str!("../../../device-profiles/vocabulary/units.toml"),
        );
        let read = Profile::read(text, &vocabulary.unwrap(), Drafts::Accepted);
        let problems = read.err().unwrap_or_default();
        problems.into_iter().map(|one| (one.position.line, one.what)).collect()
    }

    #[test]
    fn settings_that_no_monitor_takes_are_named_with_their_line() {
        assert!(problems(DRI).is_empty() && problems(UNITY).is_empty());
        let line = |text: &str, key: &str| {
            text.lines().position(|line| line.starts_with(key)).unwrap() + 1
        };
        let fast = DRI.replace("interval_s = 10", "interval_s = 4");
        let said = problems(&fast);
        assert_eq!(said[0].0, line(&fast, "interval_s"));
        assert!(said[0].1.starts_with("expected 5 to 3600"), "{said:?}");
        let waves = "auxiliary = true\nwaves = [\"ecg1\", \"ecg2\", \"pleth\"]";
        let many = DRI.replace("auxiliary = true", waves);
        let said = problems(&many);
        assert_eq!(said[0].0, line(&many, "waves"));
        assert!(said[0].1.contains("600 samples a second together, got 700"), "{said:?}");
        let unknown = DRI.replace("\nsource = \"dri ", "\nsource = \"hearsay ");
        assert_eq!(problems(&unknown).len(), 1);
    }

    #[test]
    fn a_monitor_that_is_asked_is_no_listener_and_the_other_way_round() {
        for (text, wrong) in [
            (DRI.to_owned(), "listen-only"),
            (UNITY.to_owned(), "listen-only"),
            (UNITY.replace("ask = true", "ask = false"), "poll"),
        ] {
            let right = if wrong == "poll" { "listen-only" } else { "poll" };
            let text = text.replace("direction = \"poll\"", &format!("direction = \"{wrong}\""));
            let said = problems(&text);
            assert!(said[0].1.starts_with(&format!("expected {right:?}")), "{said:?}");
        }
    }
}
