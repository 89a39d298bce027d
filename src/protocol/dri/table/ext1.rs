//! The class ext1 of the physiological database: offsets from phdb_offsets.csv of the corpus, which
//! were computed from GE document 8005313 (12th edition) chapter 3.6; steps and units from
//! its tables.

use super::Means::{Parameter, Pressure, Temperature, Unmapped};
use super::{Form, Group, Part, bits, marks, unread, value};

/// Its groups in their order.
pub(in crate::protocol::dri) const GROUPS: &[Group] = &[
    Group {
        name: "arrh_ecg",
        at: 0,
        headed: true,
        marks: marks::ECG,
        fields: &[
            value("hr", 6, "1", "/min", Unmapped),
            value("rr_time", 8, "1", "ms", Parameter("ecg-time-pd-rr-gl")),
            value("pvc", 10, "1", "/min", Parameter("ecg-v-p-c-rate")),
            bits("arrh_status_bf", 12),
            unread("reserved", 16, Form::Bytes(32)),
        ],
    },
    Group {
        name: "ecg12",
        at: 48,
        headed: true,
        marks: marks::ECG,
        fields: &[
            value("stI", 54, "0.01", "mm", Unmapped),
            value("stII", 56, "0.01", "mm", Unmapped),
            value("stIII", 58, "0.01", "mm", Unmapped),
            value("stAVL", 60, "0.01", "mm", Unmapped),
            value("stAVR", 62, "0.01", "mm", Unmapped),
            value("stAVF", 64, "0.01", "mm", Unmapped),
            value("stV1", 66, "0.01", "mm", Unmapped),
            value("stV2", 68, "0.01", "mm", Unmapped),
            value("stV3", 70, "0.01", "mm", Unmapped),
            value("stV4", 72, "0.01", "mm", Unmapped),
            value("stV5", 74, "0.01", "mm", Unmapped),
            value("stV6", 76, "0.01", "mm", Unmapped),
        ],
    },
    Group {
        name: "p7",
        at: 78,
        headed: true,
        marks: marks::PRESSURE,
        fields: &[
            value("sys", 84, "0.01", "mm[Hg]", Pressure(Part::Systolic)),
            value("dia", 86, "0.01", "mm[Hg]", Pressure(Part::Diastolic)),
            value("mean", 88, "0.01", "mm[Hg]", Pressure(Part::Mean)),
            value("hr", 90, "1", "/min", Parameter("bld-puls-rate-inv")),
        ],
    },
    Group {
        name: "p8",
        at: 92,
        headed: true,
        marks: marks::PRESSURE,
        fields: &[
            value("sys", 98, "0.01", "mm[Hg]", Pressure(Part::Systolic)),
            value("dia", 100, "0.01", "mm[Hg]", Pressure(Part::Diastolic)),
            value("mean", 102, "0.01", "mm[Hg]", Pressure(Part::Mean)),
            value("hr", 104, "1", "/min", Parameter("bld-puls-rate-inv")),
        ],
    },
    Group {
        name: "spo2_ch2",
        at: 106,
        headed: true,
        marks: marks::NONE,
        fields: &[
            value("SpO2", 112, "0.01", "%", Parameter("spo2")),
            value("pr", 114, "1", "/min", Parameter("pulse-rate-pleth")),
            value("ir_amp", 116, "0.01", "%", Unmapped),
            value("SvO2", 118, "0.01", "%", Unmapped),
        ],
    },
    Group {
        name: "t5",
        at: 120,
        headed: true,
        marks: marks::NONE,
        fields: &[value("temp", 126, "0.01", "Cel", Temperature)],
    },
    Group {
        name: "t6",
        at: 128,
        headed: true,
        marks: marks::NONE,
        fields: &[value("temp", 134, "0.01", "Cel", Temperature)],
    },
    Group {
        name: "reserved",
        at: 136,
        headed: false,
        marks: marks::NONE,
        fields: &[unread("pad", 136, Form::Bytes(134))],
    },
];
