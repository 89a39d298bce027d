//! One value as OBX with its notes. What the message cannot say of it stands in a note.
//!
//! | the record says | OBX-11 | |
//! |---|---|---|
//! | unverified, not-stated, sent-before, other | R | entered, not verified: never taken for final |
//! | preliminary, final, corrected | P, F, C | |
//! | no-result beside a number | R, and QUES in an IHE message | docs/decisions/006 |
//! | withdrawn | W | stated of the wrong patient, or wrong at all |
//! | pending | I | |
//! | any other absence | X; C where it corrects | OBX-2 and OBX-5 empty, never zero |
//!
//! Sources: HL7 table 0085; facts/semantics.md 1.1 and 1.2.

use super::segment::{Segment, components, entity, text_of, triplets};
use crate::forward::hl7v2::map::{Form, KindTable, Map, SubId, Version, convert};
use crate::forward::hl7v2::place::{Known, NoPlace, Triplet, codes};
use crate::forward::hl7v2::statement::{Coding, Metric};

/// The longest ST.
const ST_CHARACTERS_MAX: usize = 199;

/// HL7 table 0078.
const ABNORMAL: [&str; 18] =
    ["L", "H", "LL", "HH", "<", ">", "N", "A", "AA", "U", "D", "B", "W", "S", "R", "I", "MS", "VS"];
/// The flags of IHE DEC that can stand beside a value of a patient.
const QUALITY: [&str; 6] = ["QUES", "CAL", "VAL", "EARLY", "ALACT", "ALINH"];

/// What all values of a message share.
pub(super) struct Frame<'a> {
    pub map: &'a Map,
    pub table: &'a KindTable,
    /// The device's name.
    pub subject: &'a str,
    pub chart_time: &'a str,
    pub device_time: Option<&'a str>,
}

/// One value, ready but for its number.
#[derive(Debug)]
pub(super) struct Entry {
    pub obx: Segment,
    pub notes: Vec<String>,
}

impl Frame<'_> {
    fn version(&self) -> Version {
        self.map.file().version
    }

    fn is_pcd(&self) -> bool {
        self.table.message.is_pcd()
    }

    /// `index` is the metric's number in the record that first stated it.
    pub fn entry(&self, metric: &Metric, index: usize) -> Result<Entry, NoPlace> {
        let known = Known {
            parameter: metric.parameter.as_deref(),
            mdc_code: metric.mdc_code,
            mdc: &metric.mdc,
            loinc: &metric.loinc,
        };
        let codes = codes(self.map, self.table, known)?;
        let mut notes = Vec::new();
        let written = self.value(metric, &mut notes)?;
        let flags = self.flags(metric, &mut notes);
        let mut obx = Segment::new("OBX")
            .written(2, written.kind)
            .written(3, triplets(&codes))
            .text(4, &self.sub_id(metric, index)?)
            .written(5, written.text)
            .written(6, written.unit)
            .text(7, &metric.limits)
            .written(8, flags)
            .written(11, status(metric, &mut notes))
            .written(14, self.chart_time)
            .written(17, triplets_sent(&metric.method));
        if self.version() >= Version::V24 {
            obx = obx
                .written(18, self.equipment(metric))
                .written(19, self.device_time.unwrap_or_default());
        } else {
            obx = obx.written(15, components(&[self.subject, "", "L"]));
        }
        if let Some(site) = &metric.body_site {
            if self.version() >= Version::V26 {
                obx = obx.written(20, components(&[&site.code, &site.words, &site.system]));
            } else {
                notes.push(format!("Site: {} {} {}", site.code, site.words, site.system));
            }
        }
        if !metric.doubts.is_empty() {
            notes.push(format!("Doubted by the gateway: {}", metric.doubts.join(", ")));
        }
        Ok(Entry { obx, notes })
    }

    fn sub_id(&self, metric: &Metric, index: usize) -> Result<String, NoPlace> {
        if self.table.message == Form::Pcd04 {
            return facet(&metric.mdc).map(|facet| format!("1.1.1.1.{facet}"));
        }
        let number = index + 1;
        Ok(match self.table.sub_id {
            SubId::Containment => format!("1.1.1.{number}"),
            SubId::Number => number.to_string(),
            SubId::Device => metric.sub_id.clone(),
        })
    }

    fn value(&self, metric: &Metric, notes: &mut Vec<String>) -> Result<Written, NoPlace> {
        let Some(text) = &metric.value else {
            let reason = metric.absent.as_deref().unwrap_or("not-stated");
            let mark = metric.absent_mark.as_deref();
            let mark = mark.map(|mark| format!(", sent as {mark:?}")).unwrap_or_default();
            notes.push(format!("No value: {reason}{mark}"));
            // A unit without a code is no loss where there is nothing to count.
            let unit = self.unit(metric).unwrap_or_default();
            return Ok(Written { kind: "", text: String::new(), unit });
        };
        if let Some(coded) = &metric.coded {
            let text = components(&[&coded.code, &coded.words, &coded.system]);
            let kind = if self.version() >= Version::V251 { "CWE" } else { "CE" };
            return Ok(Written { kind, text, unit: self.unit(metric)? });
        }
        if metric.form.is_none()
            && let Some(converted) = self.converted(metric, text, notes)?
        {
            return Ok(converted);
        }
        let unit = self.unit(metric)?;
        let is_number = metric.form.is_none() && metric.comparator.is_none() && is_nm(text);
        let kind = match text.chars().count() {
            _ if is_number => "NM",
            0..=ST_CHARACTERS_MAX => "ST",
            _ if self.is_pcd() => return Err(NoPlace::TooLong),
            _ => "TX",
        };
        Ok(Written { kind, text: text_of(text), unit })
    }

    /// The value in the unit that the map asks for; `None` if it has that one or asks for none.
    fn converted(
        &self,
        metric: &Metric,
        text: &str,
        notes: &mut Vec<String>,
    ) -> Result<Option<Written>, NoPlace> {
        let own = metric.parameter.as_deref().and_then(|name| self.map.parameter(name));
        let Some((wanted, decimals)) = own.and_then(|own| own.unit.as_ref().zip(own.decimals))
        else {
            return Ok(None);
        };
        if metric.unit_mdc.as_ref() == Some(wanted) {
            return Ok(None);
        }
        let (from, to) = (metric.ucum.as_deref(), self.map.unit_codes(wanted));
        let (Some(from), Some((_, Some(to)))) = (from, to) else { return Err(NoPlace::OtherUnit) };
        let digits = metric.digits.as_deref().unwrap_or(text);
        let converted = convert::convert(digits, from, to, decimals).ok_or(NoPlace::OtherUnit)?;
        notes.push(format!(
            "As sent by the device: {text} {from}. Converted to {to}, rounded {} to {decimals} \
             decimals",
            convert::ROUNDING
        ));
        let comparator = metric.comparator.as_deref().unwrap_or_default();
        let kind = if comparator.is_empty() { "NM" } else { "ST" };
        let text = text_of(&format!("{comparator}{converted}"));
        Ok(Some(Written { kind, text, unit: self.unit_by_name(wanted) }))
    }

    fn unit(&self, metric: &Metric) -> Result<String, NoPlace> {
        if let Some(mdc) = &metric.unit_mdc {
            return Ok(self.unit_by_name(mdc));
        }
        if let Some(ucum) = &metric.ucum {
            return Ok(triplets(&[Triplet::of(ucum, ucum, "UCUM")]));
        }
        match metric.unit.as_slice() {
            [] => Ok(String::new()),
            _ if self.is_pcd() => Err(NoPlace::UnitWithoutCode),
            sent => Ok(triplets_sent(sent)),
        }
    }

    fn unit_by_name(&self, name: &str) -> String {
        let codes = self.map.unit_codes(name);
        let mdc = codes.map(|(number, _)| Triplet::of(number, name, "MDC"));
        let ucum = codes.and_then(|(_, ucum)| ucum).map(|ucum| Triplet::of(ucum, ucum, "UCUM"));
        let local = self.map.file().unit.get(name).map(Triplet::local);
        let order = if self.is_pcd() { [mdc, ucum, local] } else { [local, ucum, mdc] };
        let codes: Vec<Triplet> = order.into_iter().flatten().take(2).collect();
        triplets(&codes)
    }

    fn flags(&self, metric: &Metric, notes: &mut Vec<String>) -> String {
        let mut flags: Vec<&str> = Vec::new();
        let fits =
            |flag: &str| ABNORMAL.contains(&flag) || self.is_pcd() && QUALITY.contains(&flag);
        let (known, others): (Vec<&String>, Vec<&String>) =
            metric.flags.iter().partition(|flag| fits(flag));
        flags.extend(known.iter().map(|flag| flag.as_str()));
        if !others.is_empty() {
            let others: Vec<&str> = others.iter().map(|flag| flag.as_str()).collect();
            notes.push(format!("Marked by the device: {}", others.join(", ")));
        }
        if metric.value.is_none() {
            let reason = metric.absent.as_deref().unwrap_or("not-stated");
            flags.extend(flag_of_absence(reason).filter(|flag| self.is_pcd() || flag.len() == 1));
        } else if self.is_pcd() && (!metric.doubts.is_empty() || metric.status == "no-result") {
            flags.push("QUES");
        }
        let mut written = Vec::new();
        for flag in flags {
            if !written.contains(&flag) {
                written.push(flag);
            }
        }
        written.join("~")
    }

    fn equipment(&self, metric: &Metric) -> String {
        let sent = metric.equipment.iter().filter_map(|text| {
            let parts: Vec<&str> = text.split('^').collect();
            let named = parts.first().is_some_and(|first| !first.is_empty());
            named.then(|| components(&parts))
        });
        let sent: Vec<String> = sent.collect();
        if !sent.is_empty() {
            return sent.join("~");
        }
        entity(self.subject, &self.map.file().sender.application)
    }
}

struct Written {
    kind: &'static str,
    text: String,
    unit: String,
}

/// OBX-8 of a value that is not there (facts/semantics.md 1.2, HL7 table 0078).
fn flag_of_absence(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "invalid" | "sensor-fault" => "INV",
        "off" => "OFF",
        "measuring" => "BUSY",
        "calibrating" => "CAL",
        "under-range" => "<",
        "over-range" => ">",
        "pending" => return None,
        "probe-off"
        | "searching"
        | "not-measured"
        | "not-available"
        | "not-performed"
        | "no-value-at-boundary" => "NAV",
        _ => "NI",
    })
}

fn status(metric: &Metric, notes: &mut Vec<String>) -> &'static str {
    let is_there = metric.value.is_some();
    match metric.status.as_str() {
        "withdrawn" => "W",
        "corrected" => "C",
        _ if metric.absent.as_deref() == Some("pending") => "I",
        _ if !is_there => "X",
        "preliminary" => "P",
        "final" => "F",
        "unverified" | "not-stated" => "R",
        other => {
            notes.push(format!("Status by the device: {other}"));
            "R"
        }
    }
}

/// The number behind the alarm's own place in OBX-4 (facts/semantics.md 1.5).
fn facet(mdc: &str) -> Result<u8, NoPlace> {
    Ok(match mdc {
        "MDC_ATTR_ALERT_SOURCE" => 2,
        "MDC_ATTR_EVENT_PHASE" => 3,
        "MDC_ATTR_ALARM_STATE" => 4,
        "MDC_ATTR_ALARM_INACTIVATION_STATE" => 5,
        "MDC_ATTR_ALARM_PRIORITY" => 6,
        "MDC_ATTR_ALERT_TYPE" => 7,
        "MDC_ATTR_ALERT_TEXT" => 8,
        event if event.starts_with("MDC_EVT_") => 1,
        _ => return Err(NoPlace::NoFacet),
    })
}

fn triplets_sent(codings: &[Coding]) -> String {
    let parts: Vec<&str> = codings
        .iter()
        .take(2)
        .flat_map(|one| [one.code.as_str(), one.words.as_str(), one.system.as_str()])
        .collect();
    components(&parts)
}

/// HL7's own number: a sign, digits, one point. Nothing else, so no exponent and no blank.
fn is_nm(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    all(whole)
        && all(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && digits.bytes().any(|byte| byte.is_ascii_digit())
}
