//! What the types of `[protocol.medibus]` cannot say.

use super::Check;
use super::Step::{Index, Key};
use crate::protocol::medibus::{MedibusProfile, SettingRow};

impl Check<'_> {
    pub(super) fn medibus(&mut self, medibus: &MedibusProfile) {
        let family = [Key("protocol"), Key("medibus")];
        for (key, what) in medibus.problems() {
            self.add(&[&family[..], &[Key(key)]].concat(), what);
        }
        for (index, table) in medibus.table.iter().enumerate() {
            let path = [family[0], family[1], Key("table"), Index(index)];
            let data = table.data.iter().map(|row| (&row.parameter, &row.unit, &row.source));
            self.medibus_rows(&[&path[..], &[Key("data")]].concat(), data);
            let setting = table.setting.iter().map(of_setting);
            self.medibus_rows(&[&path[..], &[Key("setting")]].concat(), setting);
            let signal = table.signal.iter().map(of_setting);
            self.medibus_rows(&[&path[..], &[Key("signal")]].concat(), signal);
            for (index, row) in table.text.iter().enumerate() {
                let path = [&path[..], &[Key("text"), Index(index)]].concat();
                self.source(&path, &row.source);
                if let Some(parameter) = &row.parameter {
                    self.parameter(&path, parameter, Some(""));
                }
            }
            for (index, row) in table.alarm.iter().enumerate() {
                self.source(&[&path[..], &[Key("alarm"), Index(index)]].concat(), &row.source);
            }
        }
    }

    fn medibus_rows<'r>(
        &mut self,
        path: &[super::Step<'_>],
        rows: impl Iterator<Item = (&'r Option<String>, &'r String, &'r String)>,
    ) {
        for (index, (parameter, unit, source)) in rows.enumerate() {
            let path = [path, &[Index(index)]].concat();
            self.source(&path, source);
            if let Some(parameter) = parameter {
                self.parameter(&path, parameter, Some(unit));
            }
        }
    }
}

fn of_setting(row: &SettingRow) -> (&Option<String>, &String, &String) {
    (&row.parameter, &row.unit, &row.source)
}
