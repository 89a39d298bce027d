//! Link 1 and pauses, as far as the box sees them.
//!
//! | the box sees | entry |
//! |---|---|
//! | a serial port hangs up: an adapter or plug was pulled | `Unplugged`, once until something hangs there again |
//! | a machine names itself, and something else hung there, or nothing | `Plugged` by the device |
//! | a machine with another serial number, which no label of the configuration names | `Unplugged` |
//! | nothing for longer than the device file allows, while somebody is on the machine | `Paused` |
//! | the first word after that | `Resumed` |
//!
//! A connection over TCP or UDP that ends says nothing of plugs: the line behind a serial server is
//! not seen, and some devices connect anew for each message. What happens while the box does not
//! run is not seen either.

use tokio::sync::oneshot;

use super::NewEntry;
use super::lines::{LineSetup, Lines};
use crate::association::{By, DeviceId, EntryId, Line, Pause, Says, Utc};
use crate::gateway::committer::{Committer, DeviceIdentity};
use crate::vocabulary::Moment;

impl Committer {
    /// The port of a line hung up: something else may hang there when it comes back.
    pub(in crate::gateway) async fn unplugged(&mut self, device: &DeviceIdentity, now: Moment) {
        let Some(line) = self.line(device) else { return };
        let at = Utc::from_us(now.utc_us());
        if self.memory.ledger.hangs_on(&line, at).is_some() {
            let says = Says::Unplugged { port: line.clone(), at };
            self.say("unplugged", &line, By::Box, says, now).await;
        }
    }

    /// A machine has named itself.
    pub(in crate::gateway) async fn named(
        &mut self,
        device: &DeviceIdentity,
        serial: &str,
        now: Moment,
    ) {
        let (Some(line), false) = (self.line(device), serial.is_empty()) else { return };
        let at = Utc::from_us(now.utc_us());
        let known = self.memory.devices.get(device.name.as_str());
        let known = known.and_then(|one| one.serial.as_deref());
        let is_it = self.ledger.lines.is_it(device.name.as_str(), serial, known);
        let hangs = self.memory.ledger.hangs_on(&line, at);
        match is_it {
            Some(machine) if hangs.as_ref() != Some(&machine) => {
                let says = Says::Plugged { port: line.clone(), device: machine, from: at };
                self.say("plugged", &line, By::Device, says, now).await;
            }
            Some(_) => {}
            None if hangs.is_some() => {
                let says = Says::Unplugged { port: line.clone(), at };
                self.say("unplugged", &line, By::Device, says, now).await;
            }
            None => {}
        }
        let memory = self.memory.devices.entry(device.name.as_str().to_owned()).or_default();
        memory.serial = Some(serial.to_owned());
    }

    /// Nothing has come of a device for longer than its file allows. Its associations are suspended
    /// from now on and not from its last word on: that was said while it spoke, and stays filed.
    pub(in crate::gateway) async fn fell_silent(&mut self, device: &DeviceIdentity, now: Moment) {
        let Some((line, machine)) = self.line_and_machine(device, now) else { return };
        let at = Utc::from_us(now.utc_us());
        let ledger = &self.memory.ledger;
        if ledger.is_claimed(&machine, at) && ledger.pause(&machine, at).is_none() {
            let says = Says::Paused { device: machine, why: Pause::Silence, at };
            self.say("silent", &line, By::Box, says, now).await;
        }
    }

    /// A device speaks again, or its link is open again.
    pub(in crate::gateway) async fn spoke_again(&mut self, device: &DeviceIdentity, now: Moment) {
        let Some((line, machine)) = self.line_and_machine(device, now) else { return };
        let at = Utc::from_us(now.utc_us());
        if self.memory.ledger.pause(&machine, at) == Some(Pause::Silence) {
            let says = Says::Resumed { device: machine, at };
            self.say("speaks", &line, By::Box, says, now).await;
        }
    }

    fn line(&self, device: &DeviceIdentity) -> Option<Line> {
        let setup = self.ledger.lines.get(device.name.as_str())?;
        (!setup.is_analyser).then(|| setup.line.clone())
    }

    pub(super) fn line_and_machine(
        &self,
        device: &DeviceIdentity,
        now: Moment,
    ) -> Option<(Line, DeviceId)> {
        let line = self.line(device)?;
        let machine = self.memory.ledger.hangs_on(&line, Utc::from_us(now.utc_us()))?;
        Some((line, machine))
    }

    /// An entry of the box's own.
    async fn say(&mut self, word: &str, line: &Line, by: By, says: Says, now: Moment) {
        let (gateway, name) = (line.gateway.as_str(), line.name.as_str());
        let stated = Utc::from_us(now.utc_us());
        // Two names, a word and a number fit in an id.
        let Ok(id) = EntryId::parse(&format!("{word}:{gateway}/{name}:{}", stated.us())) else {
            return;
        };
        let (done, _) = oneshot::channel();
        self.take_entries(vec![NewEntry { id, stated, by, says }], done, now).await;
    }

    /// What the configuration says of machines that has changed since it was last said.
    pub async fn configured(&mut self, now: Moment) {
        let at = Utc::from_us(now.utc_us());
        let setups: Vec<LineSetup> =
            self.ledger.lines.all().map(|(_, setup)| setup.clone()).collect();
        for setup in setups.iter().filter(|setup| !setup.is_analyser) {
            let said = self.memory.ledger.configured_on(&setup.line);
            if said.as_ref() != Some(&setup.machine) {
                let device = setup.machine.clone();
                let says = Says::Plugged { port: setup.line.clone(), device, from: at };
                self.say("configured", &setup.line, By::Configuration, says, now).await;
            }
            let Some(place) = &setup.place else { continue };
            if self.memory.ledger.place_of(&setup.machine, at).as_ref() != Some(place) {
                let stand = crate::association::Stand::Place(place.clone());
                let says = Says::Stands { device: setup.machine.clone(), stand, from: at };
                self.say("stands", &setup.line, By::Configuration, says, now).await;
            }
        }
    }
}

impl Lines {
    /// The machine that says this serial number on a line; `known`: what was said there before.
    /// `None`: another one than hung there, and nothing says which.
    fn is_it(&self, name: &str, serial: &str, known: Option<&str>) -> Option<DeviceId> {
        let mut named = self.all().filter(|(_, setup)| setup.is_labelled(serial));
        if let Some((_, setup)) = named.next() {
            return named.next().is_none().then(|| setup.machine.clone());
        }
        let own = self.get(name)?;
        known.is_none_or(|known| known == serial).then(|| own.machine.clone())
    }
}

impl LineSetup {
    /// Whether a label of the machine has this serial number: alone, or behind a UDI's device
    /// identifier.
    fn is_labelled(&self, serial: &str) -> bool {
        let labels = self.codes.iter().map(String::as_str).chain([self.machine.as_str()]);
        let mut ends = labels.map(|label| label.rsplit(['/', ':']).next().unwrap_or(label));
        ends.any(|end| end == serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::DeviceName;

    fn line(name: &str, machine: &str, codes: &[&str]) -> LineSetup {
        let named = |text| DeviceName::parse(text).unwrap();
        LineSetup {
            line: Line { gateway: named("box-1"), name: named(name) },
            machine: DeviceId::parse(machine).unwrap(),
            codes: codes.iter().map(|code| (*code).to_owned()).collect(),
            is_analyser: false,
            says_patient_each_time: false,
            place: None,
        }
    }

    #[test]
    fn a_serial_number_names_the_machine_that_a_label_or_the_past_knows_by_it() {
        let lines = Lines::of([
            line("bed-1", "udi:0643/SN-1", &[]),
            line("bed-2", "asset-77", &["SN-2"]),
            line("bed-3", "box-1/bed-3", &[]),
        ]);
        let machine = |name| DeviceId::parse(name).ok();
        assert_eq!(lines.is_it("bed-1", "SN-1", None), machine("udi:0643/SN-1"));
        assert_eq!(lines.is_it("bed-1", "SN-2", Some("SN-1")), machine("asset-77"), "moved");
        assert_eq!(lines.is_it("bed-3", "SN-9", None), machine("box-1/bed-3"), "the first one");
        assert_eq!(lines.is_it("bed-3", "SN-9", Some("SN-9")), machine("box-1/bed-3"));
        assert_eq!(lines.is_it("bed-3", "SN-8", Some("SN-9")), None, "a stranger");
    }
}
