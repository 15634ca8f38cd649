//! The JSON Schema of what can be configured, for packages.

use plakar_connector::names::{FILE_SUFFIX, LOCATION};
use plakar_policy::options;
use plakar_policy::{Description, OptionDescription, OptionKind};
use serde_json::{Map, Value, json};

/// A duration, as the contract defines it.
const DURATION: &str = "^([0-9]+(ms|s|m|h|d))+$";

/// Describes the configuration of a source. Values are strings, as plakar passes them.
pub(super) fn of(description: &Description) -> Value {
    let protocols: Vec<String> = description
        .protocols
        .iter()
        .map(|p| p.name.replace('+', "\\+").replace('.', "\\."))
        .collect();
    let mut properties = Map::new();
    properties.insert(
        LOCATION.into(),
        json!({
            "type": "string",
            "pattern": format!("^({}):", protocols.join("|")),
            "description": "what to back up",
        }),
    );
    let mut exclusive = Vec::new();
    for option in description.options.iter().chain(&options::of_host(description)) {
        let name = option.name.as_str();
        properties.insert(name.into(), property(option));
        if options::has_file(option) {
            let file = format!("{name}{FILE_SUFFIX}");
            exclusive.push(json!({ "not": { "required": [name, file] } }));
            let help = format!("file that holds `{name}`");
            properties.insert(file, json!({ "type": "string", "description": help }));
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("{}: {}", description.name, description.summary),
        "type": "object",
        "properties": properties,
        "required": [LOCATION],
        "allOf": exclusive,
        "additionalProperties": false,
    })
}

fn property(option: &OptionDescription) -> Value {
    let mut property = match &option.kind {
        OptionKind::Text | OptionKind::Authorities => json!({ "type": "string" }),
        OptionKind::Boolean => json!({ "type": "string", "enum": ["true", "false"] }),
        OptionKind::Duration => json!({ "type": "string", "pattern": DURATION }),
        OptionKind::Choice(words) => json!({ "type": "string", "enum": words }),
    };
    property["description"] = option.help.clone().into();
    if let Some(default) = &option.default {
        property["default"] = default.clone().into();
    }
    if option.secret {
        property["writeOnly"] = true.into();
    }
    property
}
