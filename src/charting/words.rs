//! What parameters are called at the bedside, in Finnish, Swedish and English. A parameter without
//! words of its own goes by its name in the vocabulary.

use serde_json::{Value as Json, json};

/// Parameter, Finnish, Swedish, English. Words seen in public clinical sources where one was found;
/// the rest are translations that a nurse of the language has to check.
const WORDS: [(&str, &str, &str, &str); 33] = [
    ("heart-rate", "Syke", "Hjärtfrekvens", "Heart rate"),
    ("pulse-rate-pleth", "Pulssi", "Puls", "Pulse rate"),
    ("pulse-rate", "Pulssi", "Puls", "Pulse rate"),
    ("respiration-rate", "Hengitystaajuus", "Andningsfrekvens", "Respiratory rate"),
    ("spo2", "Happisaturaatio", "Syremättnad", "Oxygen saturation"),
    (
        "nibp-systolic",
        "Verenpaine, systolinen",
        "Blodtryck, systoliskt",
        "Blood pressure, systolic",
    ),
    (
        "nibp-diastolic",
        "Verenpaine, diastolinen",
        "Blodtryck, diastoliskt",
        "Blood pressure, diastolic",
    ),
    ("nibp-mean", "Keskiverenpaine", "Medelblodtryck", "Blood pressure, mean"),
    (
        "nibp-cuff-systolic",
        "Verenpaine, systolinen",
        "Blodtryck, systoliskt",
        "Blood pressure, systolic",
    ),
    (
        "nibp-cuff-diastolic",
        "Verenpaine, diastolinen",
        "Blodtryck, diastoliskt",
        "Blood pressure, diastolic",
    ),
    ("nibp-cuff-mean", "Keskiverenpaine", "Medelblodtryck", "Blood pressure, mean"),
    (
        "arterial-systolic",
        "Valtimopaine, systolinen",
        "Artärtryck, systoliskt",
        "Arterial pressure, systolic",
    ),
    (
        "arterial-diastolic",
        "Valtimopaine, diastolinen",
        "Artärtryck, diastoliskt",
        "Arterial pressure, diastolic",
    ),
    ("arterial-mean", "Valtimopaine, keskipaine", "Artärtryck, medel", "Arterial pressure, mean"),
    ("puls-rate-non-inv", "Pulssi (mansetti)", "Puls (manschett)", "Pulse rate (cuff)"),
    ("perfusion-index", "Perfuusioindeksi", "Perfusionsindex", "Perfusion index"),
    ("temperature", "Lämpötila", "Kroppstemperatur", "Temperature"),
    ("temperature-core", "Ydinlämpötila", "Kärntemperatur", "Core temperature"),
    ("etco2", "Uloshengityksen hiilidioksidi", "Slut-tidal koldioxid", "End-tidal CO2"),
    ("fio2", "Sisäänhengityksen happipitoisuus", "Inandad syrgasfraktion", "Inspired oxygen"),
    ("tidal-volume", "Kertahengitystilavuus", "Tidalvolym", "Tidal volume"),
    ("minute-volume", "Minuuttitilavuus", "Minutvolym", "Minute volume"),
    ("peep", "PEEP", "PEEP", "PEEP"),
    ("airway-pressure-peak", "Huippupaine", "Toppryck", "Peak airway pressure"),
    ("airway-pressure-mean", "Ilmatiepaine, keski", "Medelluftvägstryck", "Mean airway pressure"),
    ("pain-nrs", "Kipu (NRS)", "Smärta (NRS)", "Pain (NRS)"),
    ("consciousness-acvpu", "Tajunnantaso", "Medvetandegrad", "Level of consciousness"),
    ("urine-output", "Virtsamäärä", "Urinmängd", "Urine output"),
    ("oxygen-device", "Happihoito", "Oxygenbehandling", "Oxygen therapy"),
    ("oxygen-flow", "Happivirtaus", "Syrgasflöde", "Oxygen flow"),
    ("cuff-site", "Mansetin paikka", "Manschettens plats", "Cuff site"),
    ("position", "Asento", "Kroppsställning", "Position"),
    ("bis", "BIS", "BIS", "BIS"),
];

/// The words of a parameter by language.
pub fn parameter(name: &str) -> Json {
    match WORDS.iter().find(|(known, ..)| *known == name) {
        Some((_, fi, sv, en)) => json!({ "fi": fi, "sv": sv, "en": en }),
        None => json!({ "fi": name, "sv": name, "en": name }),
    }
}
