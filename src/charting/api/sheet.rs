//! A sheet of one patient to print, for a core that is away: what was confirmed and entered, what
//! waits, by whom and when. Plain HTML without a script.

use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use jiff::tz::TimeZone;
use serde_json::{Map, Value as Json};

use super::super::house::Shown;
use super::Server;
use super::answers::Answered;
use super::asking::{Asked, Peer, dated, seen};

/// Words of the sheet by language.
struct Words {
    title: &'static str,
    born: &'static str,
    not_verified: &'static str,
    protected: &'static str,
    printed: &'static str,
    time: &'static str,
    value: &'static str,
    by: &'static str,
    entered: &'static str,
    withdrawn: &'static str,
    nothing: &'static str,
}

const FINNISH: Words = Words {
    title: "Mittaukset",
    born: "Syntymäaika",
    not_verified: "Potilasta ei ole vahvistettu potilastietojärjestelmästä",
    protected: "Turvakielto",
    printed: "Tulostettu",
    time: "Aika",
    value: "Arvo",
    by: "Vahvistaja",
    entered: "Käsin kirjattu",
    withdrawn: "Peruttu",
    nothing: "Ei vahvistettuja mittauksia",
};

const SWEDISH: Words = Words {
    title: "Mätvärden",
    born: "Födelsedatum",
    not_verified: "Patienten är inte verifierad i patientdatasystemet",
    protected: "Spärrmarkering",
    printed: "Utskriven",
    time: "Tid",
    value: "Värde",
    by: "Bekräftad av",
    entered: "Manuellt införd",
    withdrawn: "Återtagen",
    nothing: "Inga bekräftade mätvärden",
};

const ENGLISH: Words = Words {
    title: "Measurements",
    born: "Born",
    not_verified: "The patient is not verified by the patient administration",
    protected: "Protected information",
    printed: "Printed",
    time: "Time",
    value: "Value",
    by: "Confirmed by",
    entered: "Entered by hand",
    withdrawn: "Withdrawn",
    nothing: "No confirmed measurements",
};

/// The sheet.
pub async fn sheet(
    State(server): State<Server>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
    peer: Peer,
    parts: Parts,
) -> Answered {
    let (_, patient) = seen(&server, &parts, &peer, &name, &asked).await?;
    let (language, words) = match asked.lang.as_deref() {
        Some("sv") => ("sv", &SWEDISH),
        Some("en") => ("en", &ENGLISH),
        _ => ("fi", &FINNISH),
    };
    let sheet = Sheet { words, language, zone: &server.site.zone };
    let bedside = &server.bedside;
    let acts = bedside.acts_on(&patient)?;
    let rows: String = acts.iter().map(|act| sheet.rows(&act.data, act.is_withdrawn)).collect();
    let html = sheet.page(&server, &bedside.house.shown(&patient), &rows);
    Ok(([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response())
}

/// What the lines of a sheet share.
struct Sheet<'a> {
    words: &'a Words,
    language: &'a str,
    zone: &'a TimeZone,
}

impl Sheet<'_> {
    fn page(&self, server: &Server, shown: &Shown, rows: &str) -> String {
        let words = self.words;
        let mut marks = Vec::new();
        marks.extend((!shown.verified).then_some(words.not_verified));
        marks.extend(shown.protected.then_some(words.protected));
        let table = if rows.is_empty() {
            format!("<p>{}</p>", words.nothing)
        } else {
            format!(
                "<table><thead><tr><th>{}</th><th></th><th>{}</th><th>{}</th></tr></thead>\
                 <tbody>{rows}</tbody></table>",
                words.time, words.value, words.by
            )
        };
        format!(
            "<!doctype html><html lang=\"{language}\"><head><meta charset=\"utf-8\"><title>{title}\
             </title><link rel=\"stylesheet\" href=\"/bedside/sheet.css\"></head><body>\
             <h1>{title}</h1><p><strong>{name}</strong> {born} {birth}</p><p>{marks}</p>{table}\
             <p>{printed} {now} {ward} {site}</p></body></html>",
            language = self.language,
            title = words.title,
            name = escaped(shown.name.as_deref().unwrap_or("-")),
            born = words.born,
            birth = escaped(&shown.birth_date.as_deref().map_or("-".to_owned(), dated)),
            marks = marks.join(", "),
            printed = words.printed,
            now = self.time(&server.bedside.house.now().utc_text()),
            ward = escaped(&server.site.ward),
            site = escaped(&server.site.site),
        )
    }

    /// The lines of one act.
    fn rows(&self, data: &Map<String, Json>, is_withdrawn: bool) -> String {
        let by = data.get("by").and_then(|by| by.get("name")?.as_str()).unwrap_or("-");
        let at = data.get("at").and_then(Json::as_str).unwrap_or("-");
        let list = |name: &str| data.get(name).and_then(Json::as_array).into_iter().flatten();
        let measured = list("values")
            .filter(|value| value.get("act").and_then(Json::as_str) == Some("confirm"));
        let measured = measured.map(|metric| (metric, ""));
        let entered = list("entries").map(|metric| (metric, self.words.entered));
        let line = |(metric, how): (&Json, &str)| {
            let text = |name: &str| metric.get(name).and_then(Json::as_str);
            let name = text("parameter").unwrap_or("-");
            let shown = super::super::words::parameter(name);
            let shown = shown.get(self.language).and_then(Json::as_str).unwrap_or(name);
            let unit = metric.get("unit").and_then(|unit| unit.get(0)?.get("code")?.as_str());
            format!(
                "<tr{}><td>{}</td><td>{}</td><td>{} {}</td><td>{} {}</td></tr>",
                if is_withdrawn { " class=\"withdrawn\"" } else { "" },
                escaped(&self.time(text("measured").unwrap_or(at))),
                escaped(shown),
                escaped(text("value").unwrap_or("-")),
                escaped(unit.unwrap_or_default()),
                escaped(by),
                if is_withdrawn { self.words.withdrawn } else { how },
            )
        };
        measured.chain(entered).map(line).collect()
    }

    /// A time as it is read on the ward, to the second; of what is no time nothing is made.
    fn time(&self, text: &str) -> String {
        match text.parse::<jiff::Timestamp>() {
            Ok(at) => at.to_zoned(self.zone.clone()).strftime("%-d.%-m.%Y %H.%M.%S").to_string(),
            Err(_) => text.to_owned(),
        }
    }
}

/// Text in HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_of_an_act_is_markup() {
        let data = json!({ "at": "2026-11-29T10:00:00Z", "by": { "name": "<b>N</b>" },
            "values": [{ "act": "confirm", "parameter": "spo2", "value": "<script>", "unit": [{ "code": "%" }] }],
            "entries": [{ "parameter": "pain-nrs", "value": "3" }] });
        let zone = TimeZone::get("Europe/Helsinki").unwrap();
        let sheet = Sheet { words: &FINNISH, language: "fi", zone: &zone };
        let rows = sheet.rows(data.as_object().unwrap(), false);
        assert!(rows.contains("29.11.2026 12.00.00"), "{rows}");
        assert!(!rows.contains("<script>") && rows.contains("&lt;script&gt; %"), "{rows}");
        assert!(rows.contains("&lt;b&gt;N&lt;/b&gt;") && rows.contains("Kipu (NRS)"), "{rows}");
        assert!(rows.contains("Käsin kirjattu"), "{rows}");
    }
}
