//! An infusion pump gateway with a rack of pumps behind it: status of one pump per message
//! (PCD-01), delivery start and stop (PCD-10), alarms (PCD-04), over MLLP with the accept
//! acknowledgement.

use std::io;

use super::hl7::{Observation, Segments, Times};
use super::mllp::{Acknowledgement, Charset, Message, Sender};
use super::random::{Random, decimal};
use super::{Bench, NetworkOptions, clock};

const EUI64: &str = "0012211839000099";
const STATUS: &str = "IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO";
const EVENT: &str = "IHE_PCD_010^IHE PCD^1.3.6.1.4.1.19376.1.6.4.10^ISO";
const ALARM: &str = "IHE_PCD_ACM_001^IHE PCD^1.3.6.1.4.1.19376.1.6.4.4^ISO";
/// PID-31 says that the identity is unknown: a pump does not know its patient.
const NOBODY: &str = "PID|||Unknown Patient^Unknown Patient||^^^^^^U||||||||||||||||||||||||||Y";

const ML_PER_HOUR: (u32, &str) = (265_266, "MDC_DIM_MILLI_L_PER_HR");
const ML: (u32, &str) = (263_762, "MDC_DIM_MILLI_L");

/// One status in so many is followed by a stop or a start of the delivery.
const EVENTS: u64 = 8;
/// One status in so many is followed by an alarm.
const ALARMS: u64 = 12;

pub async fn run(options: NetworkOptions) -> io::Result<()> {
    let mut bench = Bench::set_up(options.common)?;
    let mut sender = Sender::new(options.connect);
    if bench.stop.clone().or(sender.connected()).await.is_none() || !bench.go().await {
        return Ok(());
    }
    let mut rack = Rack::new(&bench.common.serial);
    let mut number = 0;
    loop {
        for kind in rack.what_happens(&mut bench.random) {
            number += 1;
            let message = rack.message(number, kind);
            if !sender.deliver(&message, &mut bench.log, &bench.stop).await? {
                return Ok(());
            }
        }
        rack.time_passes();
        if !bench.next().await {
            return Ok(());
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Status,
    DeliveryStarts,
    DeliveryStops,
    AlarmStarts,
}

/// A syringe pump. Volumes are in tenths of a millilitre, rates in tenths of one per hour.
struct Pump {
    label: String,
    rate: u32,
    to_be_infused: u32,
    infused: u32,
    is_infusing: bool,
}

struct Rack {
    started_us: i64,
    times: Times,
    pumps: Vec<Pump>,
    turn: usize,
}

impl Rack {
    fn new(serial: &str) -> Self {
        let pump = |slot: u32, rate: u32| Pump {
            label: format!("P{serial}{slot}"),
            rate,
            to_be_infused: 500,
            infused: 0,
            is_infusing: true,
        };
        Self {
            started_us: clock::now_us(),
            times: Times::default(),
            pumps: vec![pump(1, 3), pump(2, 154), pump(3, 20)],
            turn: 0,
        }
    }

    /// The status of the pump whose turn it is, and now and then what befalls it.
    fn what_happens(&mut self, random: &mut Random) -> Vec<Kind> {
        let mut kinds = vec![Kind::Status];
        let Some(pump) = self.pumps.get_mut(self.turn) else { return kinds };
        if random.once_in(EVENTS) {
            pump.is_infusing = !pump.is_infusing;
            // The volume of a delivery segment begins at zero with each start.
            if pump.is_infusing {
                pump.infused = 0;
            }
            kinds.push(if pump.is_infusing { Kind::DeliveryStarts } else { Kind::DeliveryStops });
        }
        if random.once_in(ALARMS) {
            kinds.push(Kind::AlarmStarts);
        }
        kinds
    }

    fn time_passes(&mut self) {
        for pump in self.pumps.iter_mut().filter(|pump| pump.is_infusing) {
            pump.infused = (pump.infused + 1).min(pump.to_be_infused);
        }
        self.turn = (self.turn + 1).checked_rem(self.pumps.len()).unwrap_or(0);
    }

    fn message(&mut self, number: u64, kind: Kind) -> Message {
        let time = self.times.next();
        let control_id = format!("{}{number:06}", self.started_us);
        let (trigger, profile) = match kind {
            Kind::Status => ("ORU^R01^ORU_R01", STATUS),
            Kind::DeliveryStarts | Kind::DeliveryStops => ("ORU^R42^ORU_R01", EVENT),
            Kind::AlarmStarts => ("ORU^R40^ORU_R40", ALARM),
        };
        let sender = format!("SIMPUMPS^{EUI64}^EUI-64");
        let mut segments = Segments::new(&sender, &time, trigger, &control_id, profile);
        segments.segment(NOBODY);
        let ordered = match kind {
            Kind::AlarmStarts => "196616^MDC_EVT_ALARM^MDC",
            Kind::Status | Kind::DeliveryStarts | Kind::DeliveryStops => {
                "999999^Unknown medication"
            }
        };
        segments.segment(&format!("OBR|1||{control_id}^{sender}|{ordered}|||{time}"));
        if let Some(pump) = self.pumps.get(self.turn) {
            pump.rows(&mut segments, &time, kind);
        }
        let (text, readings) = segments.finish();
        let (asks_for, charset) = (Acknowledgement::Accept, Charset::Utf8);
        Message { number, control_id, text, readings, asks_for, charset }
    }
}

impl Pump {
    fn rows(&self, segments: &mut Segments, time: &str, kind: Kind) {
        let equipment = format!("{}^^0012210000000000^EUI-64", self.label);
        segments.structure((70_053, "MDC_DEV_PUMP_INFUS_SYRINGE_MDS"), "1.0.0.0", &equipment);
        let event = match kind {
            Kind::Status => None,
            Kind::DeliveryStarts => Some("197288^MDC_EVT_PUMP_DELIV_START^MDC"),
            Kind::DeliveryStops => Some("197290^MDC_EVT_PUMP_DELIV_STOP^MDC"),
            Kind::AlarmStarts => return Self::alarm_rows(segments, time),
        };
        if let Some(event) = event {
            let code = (68_487, "MDC_ATTR_EVT_COND");
            segments.observation(time, row("CWE", code, "1.0.0.2", event, None));
        }
        segments.structure((70_054, "MDC_DEV_PUMP_INFUS_SYRINGE_VMD"), "1.1.0.0", "");
        let (status, now) = match self.is_infusing {
            true => ("^pump-status-infusing", self.rate),
            false => ("^pump-status-not-infusing", 0),
        };
        let (now, rate) = (decimal(now, 1), decimal(self.rate, 1));
        let (infused, left) =
            (decimal(self.infused, 1), decimal(self.to_be_infused - self.infused, 1));
        let flow = Some(ML_PER_HOUR);
        for row in [
            row("CWE", (184_519, "MDC_PUMP_INFUSING_STATUS"), "1.1.1.1", status, None),
            row("NM", (158_014, "MDC_FLOW_FLUID_PUMP_CURRENT"), "1.1.1.2", &now, flow),
            row("NM", (157_784, "MDC_FLOW_FLUID_PUMP"), "1.1.2.4", &rate, flow),
            row("NM", (157_993, "MDC_VOL_FLUID_DELIV_TOTAL"), "1.1.2.7", &infused, Some(ML)),
            row("NM", (157_872, "MDC_VOL_FLUID_TBI_REMAIN"), "1.1.2.8", &left, Some(ML)),
        ] {
            segments.observation(time, row);
        }
    }

    fn alarm_rows(segments: &mut Segments, time: &str) {
        let condition = "197218^MDC_EVT_SYRINGE_BARREL_CAPTURE_FAULT^MDC";
        for (value_type, code, facet, value) in [
            ("CWE", (196_616, "MDC_EVT_ALARM"), "1.1.0.0.1", condition),
            ("ST", (68_481, "MDC_ATTR_EVENT_PHASE"), "1.1.0.0.3", "start"),
            ("ST", (68_482, "MDC_ATTR_ALARM_STATE"), "1.1.0.0.4", "active"),
            ("ST", (68_546, "MDC_ATTR_ALERT_TEXT"), "1.1.0.0.8", "Syringe holder open"),
        ] {
            segments.observation(time, row(value_type, code, facet, value, None));
        }
    }
}

fn row<'a>(
    value_type: &'a str,
    code: (u32, &'a str),
    sub_id: &'a str,
    value: &'a str,
    unit: Option<(u32, &'a str)>,
) -> Observation<'a> {
    Observation { value_type, code, sub_id, value, unit, time: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_message_has_its_trigger_profile_and_parts() {
        let mut rack = Rack::new("5281");
        let status = rack.message(1, Kind::Status);
        assert!(status.text.contains("|ORU^R01^ORU_R01|"));
        assert!(status.text.contains("157784^MDC_FLOW_FLUID_PUMP^MDC|1.1.2.4|0.3|265266^"));
        assert!(status.text.contains("|P52811^^0012210000000000^EUI-64"));
        let start = rack.message(2, Kind::DeliveryStarts);
        assert!(start.text.contains("|ORU^R42^ORU_R01|") && start.text.contains("6.4.10^ISO"));
        assert!(start.text.contains("|197288^MDC_EVT_PUMP_DELIV_START^MDC|"));
        let alarm = rack.message(3, Kind::AlarmStarts);
        assert!(alarm.text.contains("|ORU^R40^ORU_R40|") && alarm.text.contains("6.4.4^ISO"));
        assert_eq!(alarm.readings[3].value, "Syringe holder open");
    }

    #[test]
    fn nobody_is_named_and_the_identity_is_marked_unknown() {
        let fields: Vec<&str> = NOBODY.split('|').collect();
        assert_eq!(
            (fields[3], fields[5], fields[31]),
            ("Unknown Patient^Unknown Patient", "^^^^^^U", "Y")
        );
    }
}
