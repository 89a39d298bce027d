//! Which acts nobody vouches for yet: done while the provider was out of reach, by a person for
//! whom it has not vouched since. They stand, and stay listed until it does.

use serde_json::{Map, Value as Json, json};

use super::{Bedside, Refused};

impl Bedside {
    /// The acts of the last two days whose person nobody has vouched for since, oldest first.
    /// `vouched_us`: when the provider vouched for a person last.
    ///
    /// # Errors
    /// They are not read back yet.
    pub fn unverified(
        &self,
        vouched_us: impl Fn(&str) -> Option<i64>,
    ) -> Result<Vec<Json>, Refused> {
        let mut rows = self.with_chart(|chart| {
            let open = chart.acts().filter(|(_, known)| {
                // What let an act go says again what the act said.
                !known.data.contains_key("releases")
                    && is_offline(&known.data)
                    && vouched_us(&known.by) < Some(stated_us(&known.data, &known.at))
            });
            let row = |(client_id, known): (&str, &super::Known)| {
                let by = known.data.get("by");
                let part = |name: &str| by.and_then(|by| by.get(name)).cloned();
                json!({
                    "client_id": client_id,
                    "act": known.record,
                    "at": known.at,
                    "by": part("name"),
                    "role": part("role"),
                    "identity_age_s": by.and_then(|by| by.pointer("/verified/identity_age_s")),
                    "withdrawn": known.is_withdrawn,
                })
            };
            open.map(row).collect::<Vec<Json>>()
        })?;
        rows.sort_by_key(|row| row["at"].to_string());
        Ok(rows)
    }
}

fn is_offline(data: &Map<String, Json>) -> bool {
    let identity = data.get("by").and_then(|by| by.pointer("/verified/identity"));
    identity.and_then(Json::as_str) == Some("offline")
}

/// When the person did it. What cannot be read counts as done now, so that it stays listed.
fn stated_us(data: &Map<String, Json>, at: &str) -> i64 {
    let stated = data.get("stated").and_then(Json::as_str).unwrap_or(at);
    stated.parse::<jiff::Timestamp>().map_or(i64::MAX, jiff::Timestamp::as_microsecond)
}
