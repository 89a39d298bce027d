//! Which part of the device a value belongs to, where parts have patients of their own.

use crate::profile::ChannelRow;
use crate::vocabulary::CodedWords;
use crate::vocabulary::channel::is_within;

/// The parts of one device; none for most.
#[derive(Clone, Debug, Default)]
pub(super) struct Channels(Vec<ChannelRow>);

impl Channels {
    pub fn of(rows: &[ChannelRow]) -> Self {
        Self(rows.to_vec())
    }

    /// The part that a value belongs to; `None` for the device as a whole.
    ///
    /// A parameter that a part names is that part's, whatever its place: the device says so by
    /// what it measures.
    pub fn of_value(&self, words: &CodedWords) -> Option<usize> {
        let by_name = |row: &&ChannelRow| {
            let parameter = words.parameter.as_deref();
            parameter.is_some_and(|name| row.parameters.iter().any(|one| one == name))
        };
        let by_place =
            |row: &&ChannelRow| row.sub_ids.iter().any(|place| is_within(&words.sub_id, place));
        let place = |of: &dyn Fn(&&ChannelRow) -> bool| self.0.iter().position(|row| of(&row));
        place(&by_name).or_else(|| place(&by_place))
    }

    /// The name of a part; empty for the device as a whole.
    pub fn name(&self, part: Option<usize>) -> &str {
        part.and_then(|part| self.0.get(part)).map_or("", |row| row.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, sub_ids: &[&str], parameters: &[&str]) -> ChannelRow {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        ChannelRow {
            name: name.to_owned(),
            sub_ids: texts(sub_ids),
            parameters: texts(parameters),
            source: "manual".to_owned(),
        }
    }

    #[test]
    fn by_place_and_by_name() {
        let channels = Channels::of(&[
            row("mother", &["1.1"], &["nibp-systolic"]),
            row("left", &["1.2"], &[]),
            row("right", &["1.20", "1.3"], &[]),
        ]);
        let part = |parameter: &str, sub_id: &str| {
            let (parameter, sub_id) = (Some(parameter.to_owned()), sub_id.to_owned());
            let words = CodedWords { parameter, sub_id, ..CodedWords::default() };
            channels.name(channels.of_value(&words)).to_owned()
        };
        assert_eq!(part("heart-rate", "1.1.4"), "mother");
        assert_eq!(part("heart-rate", "1.2"), "left");
        assert_eq!(part("heart-rate", "1.2.1.7"), "left");
        assert_eq!(part("heart-rate", "1.20.1"), "right");
        assert_eq!(part("nibp-systolic", "1.2.1"), "mother");
        // Of no part: the device's as a whole.
        assert_eq!(part("heart-rate", "1.4"), "");
        assert_eq!(part("heart-rate", ""), "");
        assert_eq!(Channels::default().of_value(&CodedWords::default()), None);
    }
}
