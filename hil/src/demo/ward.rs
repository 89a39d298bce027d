//! The wards that the demo can show: which devices, in which beds, with which device files.

use std::net::SocketAddr;

use clap::ValueEnum;

/// Everything has the same seed on every run, so that two runs can be compared.
const SEED: u64 = 20;

/// How a device is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A serial line: a pseudo terminal.
    Serial,
    /// It connects to the gateway over TCP.
    Connects,
    /// The gateway asks it over UDP.
    Asked { address: SocketAddr },
}

/// How a reading is found again in the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// The device sends neither time nor number: by order.
    Order,
    /// By specimen or by the device's own time, and by parameter.
    Key,
}

/// One device.
#[derive(Clone, Debug)]
pub struct Device {
    /// The link's name in the gateway and in the report.
    pub name: String,
    /// The simulator.
    pub verb: &'static str,
    pub bed: String,
    pub profile: &'static str,
    /// As a person enters it; none where the device says it.
    pub firmware: Option<&'static str>,
    pub transport: Transport,
    pub join: Join,
    pub every_ms: u32,
    pub seed: u64,
    pub more: &'static [&'static str],
}

/// Which ward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ward {
    /// One device of each family that a small ward has.
    Mixed,
    /// Twelve beds, each with a monitor, a ventilator and an oximeter, and a chart that takes one
    /// value a minute.
    Icu,
    /// What one box must carry: 32 monitors with four waveforms each, 32 ventilators and 64
    /// oximeters, and a core that takes the waveforms. For measuring.
    Large,
}

impl Ward {
    /// The ward's name in the gateway's configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mixed | Self::Icu | Self::Large => "icu",
        }
    }

    /// Whether a second core takes one value a minute.
    pub const fn charts(self) -> bool {
        match self {
            Self::Mixed | Self::Large => false,
            Self::Icu => true,
        }
    }

    /// Whether a second core takes the waveforms that its monitors are asked for.
    pub const fn has_waveforms(self) -> bool {
        match self {
            Self::Mixed | Self::Icu => false,
            Self::Large => true,
        }
    }

    /// What a person is told at the start.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Mixed => "five simulated devices, one gateway, one stand-in core",
            Self::Icu => "twelve beds with three devices each, one gateway, two stand-in cores",
            Self::Large => "32 beds with four devices each, one gateway, two stand-in cores",
        }
    }

    /// Its devices.
    pub fn devices(self) -> Vec<Device> {
        match self {
            Self::Mixed => mixed(),
            Self::Icu => icu(),
            Self::Large => large(),
        }
    }
}

/// A device whose simulator's verb is its name.
fn named(
    name: &'static str,
    bed: &str,
    profile: &'static str,
    firmware: &'static str,
    every_ms: u32,
) -> Device {
    Device {
        name: name.to_owned(),
        verb: name,
        bed: bed.to_owned(),
        profile,
        firmware: Some(firmware),
        transport: Transport::Connects,
        join: Join::Key,
        every_ms,
        seed: SEED,
        more: &[],
    }
}

fn mixed() -> Vec<Device> {
    let serial = |device: Device| Device {
        transport: Transport::Serial,
        join: Join::Order,
        more: &["--noise"],
        ..device
    };
    let pumps = "generic/infusion-pump-gateway";
    vec![
        serial(named("line-oximeter", "bed-1", "nordpuls/po-100", "2.2", 200)),
        serial(named("binary-oximeter", "bed-2", "nordpuls/bx-2", "3.1", 100)),
        named("astm-analyser", "lab-corner", "laborin/bg-7", "1.8.2", 400),
        named("hl7-monitor", "bed-3", "generic/pcd-01", "PCD-01 2.6", 250),
        named("infusion-pump-gateway", "pumps", pumps, "PCD-01 2.6", 300),
    ]
}

/// How many beds the intensive care unit has.
const BEDS: u64 = 12;

fn icu() -> Vec<Device> {
    (1..=BEDS).flat_map(|bed| [monitor(bed), ventilator(bed), oximeter(bed)]).collect()
}

/// A device of a bed: named after it, with values of its own.
fn in_bed(device: Device, bed: u64, what: &str) -> Device {
    let bed_name = format!("bed-{bed}");
    Device { name: format!("{bed_name}-{what}"), bed: bed_name, seed: SEED + bed, ..device }
}

/// Monitors that connect and send HL7 v2 in the dialects of their makers, that are asked over the
/// LAN, and that are asked over a serial line.
fn monitor(bed: u64) -> Device {
    let asked = |verb, profile, firmware, port| Device {
        transport: Transport::Asked { address: of_bed(bed, port) },
        ..on_a_line(verb, profile, firmware, &[])
    };
    let hl7 = |profile, firmware, join, more| {
        let device = named("hl7-monitor", "", profile, firmware, 1000);
        Device { join, more, ..device }
    };
    let monitor = match bed {
        1 | 11 => asked("intellivue-lan", "philips/intellivue-lan", None, 24_105),
        2 => on_a_line("intellivue-rs232", "philips/intellivue-rs232", None, &[]),
        3 | 12 => on_a_line("dri-monitor", "ge/carescape-dri", None, &["--level", "11"]),
        5 => named("hl7-monitor", "", "generic/pcd-01", "PCD-01 2.6", 1000),
        // Its values carry no time.
        6 => hl7("mindray/vs", "PCD-01 2.6", Join::Order, &MINDRAY_VS),
        7 => hl7("mindray/xh80x", "HL7 2.4", Join::Key, &["--dialect", "mindray-xh80x", "--noise"]),
        8 => {
            hl7("philips/piic-mdil", "MDIL 2.3", Join::Key, &["--dialect", "piic-mdil", "--noise"])
        }
        9 => Device {
            // Once a minute by its sheet; this often, so that a short run sees more than one.
            every_ms: 10_000,
            ..hl7("philips/efficia-cm", "HL7 2.4", Join::Key, &["--dialect", "efficia-cm"])
        },
        // One code under two channels at one time.
        10 => {
            let more = &["--dialect", "ge-b-series", "--noise"];
            hl7("ge-healthcare/b-series", "PCD-01 2.6", Join::Order, more)
        }
        _ => {
            let firmware = Some("Dash 4000 of the capture of 2019-05-05");
            asked("dash-monitor", "ge/dash-unity", firmware, 2_000)
        }
    };
    in_bed(monitor, bed, "monitor")
}

/// It is switched off and on in the middle of a run.
const MINDRAY_VS: [&str; 5] = ["--dialect", "mindray-vs", "--noise", "--power-cycle", "25"];

/// A device on the network of this machine, with an address of its own.
fn of_bed(bed: u64, port: u16) -> SocketAddr {
    let last = u8::try_from(bed).unwrap_or(u8::MAX);
    SocketAddr::from(([127, 0, 24, last], port))
}

/// On a serial line; joined by order, because nothing on it numbers a reading.
fn on_a_line(
    verb: &'static str,
    profile: &'static str,
    firmware: Option<&'static str>,
    more: &'static [&'static str],
) -> Device {
    let device = named(verb, "", profile, "", 1000);
    Device { firmware, transport: Transport::Serial, join: Join::Order, more, ..device }
}

fn ventilator(bed: u64) -> Device {
    let device = match bed % 3 {
        0 => on_a_line("puritan-bennett-840", "puritan-bennett/840", Some("DCI"), &[]),
        // These say themselves which firmware they have.
        1 => {
            let more = &["--variant", "evita-4"];
            on_a_line("medibus-ventilator", "draeger/evita-4", None, more)
        }
        _ => {
            let more = &["--variant", "infinity-v500"];
            on_a_line("medibus-ventilator", "draeger/evita-infinity-v500", None, more)
        }
    };
    in_bed(device, bed, "ventilator")
}

fn oximeter(bed: u64) -> Device {
    let device = match bed % 4 {
        0 => on_a_line("masimo-radical-7", "masimo/radical-7", Some("ASCII 1"), &["--noise"]),
        1 => on_a_line("scripted", "nellcor/n-595", None, &["--kind", "n-595"]),
        2 => on_a_line("scripted", "nonin/ascii", Some("real-time"), &["--kind", "nonin-ascii"]),
        _ => on_a_line("line-oximeter", "nordpuls/po-100", Some("2.2"), &["--noise"]),
    };
    in_bed(device, bed, "oximeter")
}

/// The beds of the large unit.
const LARGE_BEDS: u64 = 32;

fn large() -> Vec<Device> {
    (1..=LARGE_BEDS).flat_map(bed_of_large_unit).collect()
}

/// Level 11 of GE's interface knows alarms, and the device file asks for waveforms.
fn bed_of_large_unit(bed: u64) -> [Device; 4] {
    let monitor = on_a_line("dri-monitor", WITH_WAVEFORMS, None, &["--level", "11"]);
    let more = &["--variant", "infinity-v500"];
    let ventilator = on_a_line("medibus-ventilator", "draeger/evita-infinity-v500", None, more);
    let oximeter = || on_a_line("line-oximeter", "nordpuls/po-100", Some("2.2"), &[]);
    [
        in_bed(monitor, bed, "monitor"),
        in_bed(ventilator, bed, "ventilator"),
        in_bed(oximeter(), bed, "oximeter-1"),
        in_bed(oximeter(), bed, "oximeter-2"),
    ]
}

/// The device file that the large unit asks for waveforms.
pub const WITH_WAVEFORMS: &str = "ge/carescape-dri";

/// Four of them: 425 samples a second, of the 600 that the line carries.
pub const WAVEFORMS: &str = "waves = [\"ecg1\", \"pleth\", \"co2\", \"resp\"]\n";
