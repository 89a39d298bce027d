//! The basic class of the physiological database: offsets from phdb_offsets.csv of the corpus, which
//! were computed from GE document 8005313 (12th edition) chapter 3.5; steps and units from
//! its tables.

use super::Means::{
    AgentExpired, AgentInspired, CardiacOutput, Co2Rate, Cuff, CuffUnmapped, HeartRate,
    MixedVenous, Parameter, PostTetanic, Pressure, Temperature, Unmapped, Wedge,
};
use super::{Form, Group, Part, marks, unread, value};

/// Its groups in their order.
pub(in crate::protocol::dri) const GROUPS: &[Group] = &[
    Group {
        name: "ecg",
        at: 0,
        headed: true,
        marks: marks::ECG,
        fields: &[
            value("hr", 6, "1", "/min", HeartRate),
            value("st1", 8, "0.01", "mm", Unmapped),
            value("st2", 10, "0.01", "mm", Unmapped),
            value("st3", 12, "0.01", "mm", Unmapped),
            value("imp_rr", 14, "1", "/min", Parameter("tthor-resp-rate")),
        ],
    },
    Group {
        name: "p1",
        at: 16,
        headed: true,
        marks: marks::PRESSURE,
        fields: &[
            value("sys", 22, "0.01", "mm[Hg]", Pressure(Part::Systolic)),
            value("dia", 24, "0.01", "mm[Hg]", Pressure(Part::Diastolic)),
            value("mean", 26, "0.01", "mm[Hg]", Pressure(Part::Mean)),
            value("hr", 28, "1", "/min", Parameter("bld-puls-rate-inv")),
        ],
    },
    Group {
        name: "p2",
        at: 30,
        headed: true,
        marks: marks::PRESSURE,
        fields: &[
            value("sys", 36, "0.01", "mm[Hg]", Pressure(Part::Systolic)),
            value("dia", 38, "0.01", "mm[Hg]", Pressure(Part::Diastolic)),
            value("mean", 40, "0.01", "mm[Hg]", Pressure(Part::Mean)),
            value("hr", 42, "1", "/min", Parameter("bld-puls-rate-inv")),
        ],
    },
    Group {
        name: "p3",
        at: 44,
        headed: true,
        marks: marks::PRESSURE,
        fields: &[
            value("sys", 50, "0.01", "mm[Hg]", Pressure(Part::Systolic)),
            value("dia", 52, "0.01", "mm[Hg]", Pressure(Part::Diastolic)),
            value("mean", 54, "0.01", "mm[Hg]", Pressure(Part::Mean)),
            value("hr", 56, "1", "/min", Parameter("bld-puls-rate-inv")),
        ],
    },
    Group {
        name: "p4",
        at: 58,
        headed: true,
        marks: marks::PRESSURE,
        fields: &[
            value("sys", 64, "0.01", "mm[Hg]", Pressure(Part::Systolic)),
            value("dia", 66, "0.01", "mm[Hg]", Pressure(Part::Diastolic)),
            value("mean", 68, "0.01", "mm[Hg]", Pressure(Part::Mean)),
            value("hr", 70, "1", "/min", Parameter("bld-puls-rate-inv")),
        ],
    },
    Group {
        name: "nibp",
        at: 72,
        headed: true,
        marks: marks::NONE,
        fields: &[
            value("sys", 78, "0.01", "mm[Hg]", Cuff("nibp-systolic")),
            value("dia", 80, "0.01", "mm[Hg]", Cuff("nibp-diastolic")),
            value("mean", 82, "0.01", "mm[Hg]", Cuff("nibp-mean")),
            value("hr", 84, "1", "/min", CuffUnmapped),
        ],
    },
    Group {
        name: "t1",
        at: 86,
        headed: true,
        marks: marks::NONE,
        fields: &[value("temp", 92, "0.01", "Cel", Temperature)],
    },
    Group {
        name: "t2",
        at: 94,
        headed: true,
        marks: marks::NONE,
        fields: &[value("temp", 100, "0.01", "Cel", Temperature)],
    },
    Group {
        name: "t3",
        at: 102,
        headed: true,
        marks: marks::NONE,
        fields: &[value("temp", 108, "0.01", "Cel", Temperature)],
    },
    Group {
        name: "t4",
        at: 110,
        headed: true,
        marks: marks::NONE,
        fields: &[value("temp", 116, "0.01", "Cel", Temperature)],
    },
    Group {
        name: "spo2",
        at: 118,
        headed: true,
        marks: marks::NONE,
        fields: &[
            value("SpO2", 124, "0.01", "%", Parameter("spo2")),
            value("pr", 126, "1", "/min", Parameter("pulse-rate-pleth")),
            value("ir_amp", 128, "0.01", "%", Unmapped),
            value("SvO2", 130, "0.01", "%", Unmapped),
        ],
    },
    Group {
        name: "co2",
        at: 132,
        headed: true,
        marks: marks::CO2,
        fields: &[
            value("et", 138, "0.01", "%", Parameter("conc-away-co2-et")),
            value("fi", 140, "0.01", "%", Parameter("conc-away-co2-insp")),
            value("rr", 142, "1", "/min", Co2Rate),
            value("amb_press", 144, "0.1", "mm[Hg]", Unmapped),
        ],
    },
    Group {
        name: "o2",
        at: 146,
        headed: true,
        marks: marks::GAS,
        fields: &[
            value("et", 152, "0.01", "%", Parameter("conc-away-o2-et")),
            value("fi", 154, "0.01", "%", Parameter("conc-away-o2-insp")),
        ],
    },
    Group {
        name: "n2o",
        at: 156,
        headed: true,
        marks: marks::GAS,
        fields: &[
            value("et", 162, "0.01", "%", Parameter("conc-away-n2o-et")),
            value("fi", 164, "0.01", "%", Parameter("conc-away-n2o-insp")),
        ],
    },
    Group {
        name: "aa",
        at: 166,
        headed: true,
        marks: marks::GAS,
        fields: &[
            value("et", 172, "0.01", "%", AgentExpired),
            value("fi", 174, "0.01", "%", AgentInspired),
            value("mac_sum", 176, "0.01", "", Unmapped),
        ],
    },
    Group {
        name: "flow_vol",
        at: 178,
        headed: true,
        marks: marks::FLOW,
        fields: &[
            value("rr", 184, "1", "/min", Parameter("away-resp-rate")),
            value("ppeak", 186, "0.01", "cm[H2O]", Parameter("press-away-insp-peak")),
            value("peep", 188, "0.01", "cm[H2O]", Parameter("press-away-end-exp-pos")),
            value("pplat", 190, "0.01", "cm[H2O]", Parameter("press-resp-plat")),
            value("tv_insp", 192, "0.1", "mL", Unmapped),
            value("tv_exp", 194, "0.1", "mL", Unmapped),
            value("compliance", 196, "0.01", "mL/cm[H2O]", Parameter("compl-lung")),
            value("mv_exp", 198, "0.01", "L/min", Parameter("vol-minute-away-exp")),
        ],
    },
    Group {
        name: "co_wedge",
        at: 200,
        headed: true,
        marks: marks::NONE,
        fields: &[
            value("co", 206, "1", "mL/min", CardiacOutput),
            value("blood_temp", 208, "0.01", "Cel", Parameter("temp-bld")),
            value("ref", 210, "0.01", "%", Unmapped),
            value("pcwp", 212, "0.01", "mm[Hg]", Wedge),
        ],
    },
    Group {
        name: "nmt",
        at: 214,
        headed: true,
        marks: marks::NONE,
        fields: &[
            value("t1", 220, "0.1", "%", Unmapped),
            value("tratio", 222, "0.1", "%", Unmapped),
            value("ptc", 224, "1", "", PostTetanic),
        ],
    },
    Group {
        name: "ecg_extra",
        at: 226,
        headed: false,
        marks: marks::NONE,
        fields: &[
            value("hr_ecg", 226, "1", "/min", Unmapped),
            value("hr_max", 228, "1", "/min", Unmapped),
            value("hr_min", 230, "1", "/min", Unmapped),
        ],
    },
    Group {
        name: "svo2",
        at: 232,
        headed: true,
        marks: marks::SVO2,
        fields: &[value("svo2", 238, "0.01", "%", MixedVenous)],
    },
    Group {
        name: "p5",
        at: 240,
        headed: true,
        marks: marks::PRESSURE,
        fields: &[
            value("sys", 246, "0.01", "mm[Hg]", Pressure(Part::Systolic)),
            value("dia", 248, "0.01", "mm[Hg]", Pressure(Part::Diastolic)),
            value("mean", 250, "0.01", "mm[Hg]", Pressure(Part::Mean)),
            value("hr", 252, "1", "/min", Parameter("bld-puls-rate-inv")),
        ],
    },
    Group {
        name: "p6",
        at: 254,
        headed: true,
        marks: marks::PRESSURE,
        fields: &[
            value("sys", 260, "0.01", "mm[Hg]", Pressure(Part::Systolic)),
            value("dia", 262, "0.01", "mm[Hg]", Pressure(Part::Diastolic)),
            value("mean", 264, "0.01", "mm[Hg]", Pressure(Part::Mean)),
            value("hr", 266, "1", "/min", Parameter("bld-puls-rate-inv")),
        ],
    },
    Group {
        name: "reserved",
        at: 268,
        headed: false,
        marks: marks::NONE,
        fields: &[unread("pad", 268, Form::Bytes(2))],
    },
];
