//! What the page is told before anybody has signed in: the site, the provider, the form, words.

use axum::extract::State;
use serde_json::{Value as Json, json};

use super::super::form::Form;
use super::super::set;
use super::Server;
use super::answers::{Answered, ok};

/// What the page needs before anybody has signed in.
pub async fn settings(State(server): State<Server>) -> Answered {
    let (rules, now) = (&server.bedside.rules, server.bedside.house.now());
    let mut settings = server.door.settings();
    let words = &server.site;
    let own = json!({
        "site": words.site,
        "ward": words.ward,
        "box": words.name,
        "languages": ["fi", "sv", "en"],
        "development": words.is_development,
        "idle_seconds": 120,
        "as_of_minutes_max": rules.as_of_minutes_max,
        "periodic_present_seconds": set::PRESENT_WITHIN_US / 1_000_000,
        "form": fields(&rules.form),
        "reject_reasons": reject_reasons(),
        "layout_label": { "text": LAYOUT_LABEL, "separators_text": SEPARATORS_LABEL },
        "time": now.utc_text(),
        "time_zone": words.zone.iana_name(),
    });
    settings.extend(own.as_object().cloned().unwrap_or_default());
    Ok(ok(Json::Object(settings)))
}

/// What a scanner must give of the printed test label (facts on keyboard wedges).
const LAYOUT_LABEL: &str = "LT-+/:()&=";
/// The second one: two GS1 elements of open length with their separator between.
const SEPARATORS_LABEL: &str = "10LT\u{1d}21LT";

fn fields(form: &Form) -> Json {
    let fields = form.field.iter().map(|field| {
        let mut shown = json!(field);
        if let Some(shown) = shown.as_object_mut() {
            let choices = shown.remove("choice").unwrap_or(Json::Array(Vec::new()));
            shown.insert("choices".to_owned(), choices);
            for (from, to) in [("minimum", "min"), ("maximum", "max")] {
                let limit = shown.remove(from);
                shown.extend(limit.map(|limit| (to.to_owned(), limit)));
            }
            let step = if field.decimals == 0 { "1" } else { "0.1" };
            shown.insert("step".to_owned(), json!(step));
        }
        shown
    });
    fields.collect()
}

fn reject_reasons() -> Json {
    json!([
        { "code": "not-this-patient", "words": { "fi": "Ei tämän potilaan",
          "sv": "Inte denna patients", "en": "Not this patient's" } },
        { "code": "sensor", "words": { "fi": "Anturi huonosti",
          "sv": "Sensorn sitter illa", "en": "Sensor badly placed" } },
        { "code": "moving", "words": { "fi": "Potilas liikkui",
          "sv": "Patienten rörde sig", "en": "Patient was moving" } },
        { "code": "other", "words": { "fi": "Muu syy", "sv": "Annan orsak",
          "en": "Other reason" } }
    ])
}
