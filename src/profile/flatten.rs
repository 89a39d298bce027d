//! The device file for one firmware: each variant that lists it replaces whole fields by parameter.
//!
//! It works on the TOML table, so that what `profile show` prints is what the driver gets.

use super::file::{ProfileFile, Protocol, Replace, Variant};

/// The protocol part for one firmware. The loader has checked that every listed one works.
pub(super) fn protocol(table: &toml::Table, file: &ProfileFile, firmware: &str) -> Protocol {
    let flat = flattened(table, file, firmware);
    let protocol = flat.get("protocol").cloned();
    protocol.and_then(|value| value.try_into().ok()).unwrap_or_else(|| file.protocol.clone())
}

/// The same, with the reason where it does not work.
pub(super) fn try_protocol(
    table: &toml::Table,
    file: &ProfileFile,
    firmware: &str,
) -> Result<Protocol, String> {
    let flat = flattened(table, file, firmware);
    let protocol = flat.get("protocol").cloned().ok_or("expected [protocol]")?;
    protocol.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}

/// The whole file for one firmware.
pub(super) fn text(table: &toml::Table, file: &ProfileFile, firmware: &str) -> String {
    let mut flat = flattened(table, file, firmware);
    flat.remove("variant");
    toml::to_string_pretty(&flat).expect("a table that was read can be written")
}

fn flattened(table: &toml::Table, file: &ProfileFile, firmware: &str) -> toml::Table {
    let mut flat = table.clone();
    let applies = |variant: &&Variant| variant.firmware.iter().any(|listed| listed == firmware);
    for variant in file.variant.iter().filter(applies) {
        for replace in &variant.replace {
            if let Some(field) = field_mut(&mut flat, file.protocol.family(), replace)
                && let Ok(new) = toml::Value::try_from(&replace.field)
            {
                *field = new;
            }
        }
    }
    flat
}

fn field_mut<'a>(
    table: &'a mut toml::Table,
    family: &str,
    replace: &Replace,
) -> Option<&'a mut toml::Value> {
    let messages =
        table.get_mut("protocol")?.get_mut(family)?.get_mut("message")?.as_array_mut()?;
    let text = |value: &toml::Value, key: &str| value.get(key)?.as_str().map(str::to_owned);
    let message =
        messages.iter_mut().find(|one| text(one, "name").as_ref() == Some(&replace.message))?;
    let fields = message.get_mut("field")?.as_array_mut()?;
    fields.iter_mut().find(|one| text(one, "parameter").as_ref() == Some(&replace.field.parameter))
}

/// Whether a variant's target is there.
pub(super) fn has_target(table: &toml::Table, file: &ProfileFile, replace: &Replace) -> bool {
    field_mut(&mut table.clone(), file.protocol.family(), replace).is_some()
}
