//! The JSON Schema of the device file, from the loader's own types. `tests/schema.rs` compares it
//! with the committed one, so that it cannot rot.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use super::file::ProfileFile;

/// The schema of a device file (draft 7, which editors understand best).
pub fn device_profile() -> Value {
    let generator = SchemaGenerator::new(SchemaSettings::draft07());
    let mut schema = generator.into_root_schema_for::<ProfileFile>();
    RecursiveTransform(without_null).transform(&mut schema);
    schema.insert("title".to_owned(), Value::from("Wardgate device profile, format 1"));
    schema.to_value()
}

/// TOML has no null. Left in, an optional field becomes a choice of two, and an editor then reports
/// the whole table instead of the key that is wrong.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|one| one != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    let is_null = |one: &Value| one.get("type").is_some_and(|kind| kind == "null");
    if let Some(Value::Array(choices)) = object.get("anyOf")
        && choices.iter().any(is_null)
        && let [Value::Object(only)] =
            choices.iter().filter(|one| !is_null(one)).cloned().collect::<Vec<_>>().as_slice()
    {
        let only = only.clone();
        object.remove("anyOf");
        object.remove("default");
        // Draft 7 ignores what stands beside a $ref, so the description goes with it.
        if only.contains_key("$ref") {
            let description = object.remove("description");
            object.insert("allOf".to_owned(), Value::Array(vec![Value::Object(only)]));
            if let Some(description) = description {
                object.insert("description".to_owned(), description);
            }
        } else {
            object.extend(only);
        }
    }
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
}
