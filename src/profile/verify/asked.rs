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
