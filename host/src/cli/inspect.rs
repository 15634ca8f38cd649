//! `inspect`.

use super::arguments::{Inspect, Output};
use super::{config, failed, schema};
use plakar_connector::limits;
use plakar_wasm::{Connector, Description, Error, OptionKind, Sandbox};
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;

/// Shows what a connector is and takes, and what it would be granted.
pub(super) async fn main(arguments: &Inspect, output: &Output) -> u8 {
    match run(arguments, output.json).await {
        Ok(text) => {
            let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
            0
        }
        Err(error) => failed(&error),
    }
}

async fn run(arguments: &Inspect, json: bool) -> Result<String, Error> {
    let connector = Sandbox::new()?.connector(&arguments.connector).await?;
    if arguments.schema {
        return Ok(format!("{:#}", schema::of(connector.description())));
    }
    let grant = match &arguments.location {
        None => None,
        Some(location) => {
            let options = config::read(&arguments.options, connector.description(), &())?;
            let plan = connector.plan(location, &options)?;
            Some(plan.grant.iter().map(|a| format!("{}://{a}", a.scheme())).collect())
        }
    };
    Ok(if json { as_json(&connector, grant) } else { as_text(&connector, grant) })
}

fn kind(kind: &OptionKind) -> String {
    match kind {
        OptionKind::Text => "text".into(),
        OptionKind::Boolean => "boolean".into(),
        OptionKind::Duration => "duration".into(),
        OptionKind::Authorities => "authorities".into(),
        OptionKind::Choice(words) => words.join("|"),
    }
}

fn as_text(connector: &Connector, grant: Option<Vec<String>>) -> String {
    let Description { name, version, summary, kind: filed, protocols, options } =
        connector.description();
    let mut text = format!("{name} {version}: {summary}\ntype: {filed}\n\nprotocols\n");
    for protocol in protocols {
        let over = if protocol.tls { "TLS" } else { "plain HTTP" };
        let _ = writeln!(text, "  {}://  {over}, port {}", protocol.name, protocol.default_port);
    }
    text += "\noptions\n";
    let mut rows = Vec::new();
    for option in options {
        let mut remarks = Vec::new();
        remarks.extend(option.secret.then(|| "secret".to_owned()));
        remarks.extend(option.default.as_ref().map(|default| format!("default {default}")));
        let remarks = match remarks.is_empty() {
            true => String::new(),
            false => format!(" ({})", remarks.join(", ")),
        };
        rows.push((option.name.clone(), kind(&option.kind), format!("{}{remarks}", option.help)));
    }
    for limit in limits::ALL.iter().filter(|l| connector.description().option(l.name).is_none()) {
        let help = format!("{} (of the host, default {})", limit.help, limit.default);
        rows.push((limit.name.to_owned(), "duration".to_owned(), help));
    }
    let name_width = rows.iter().map(|row| row.0.len()).max().unwrap_or(0);
    let kind_width = rows.iter().map(|row| row.1.len()).max().unwrap_or(0);
    for (name, kind, help) in rows {
        let _ = writeln!(text, "  {name:name_width$}  {kind:kind_width$}  {help}");
    }
    let (imports, exports) = connector.interfaces();
    for (title, names) in [("imports", imports), ("exports", exports)] {
        let _ = write!(text, "\n{title}\n  {}\n", names.join("\n  "));
    }
    if let Some(grant) = grant {
        let _ = write!(
            text,
            "\ngranted: HTTP requests to these, and nothing else\n  {}\n",
            grant.join("\n  ")
        );
    }
    text
}

fn as_json(connector: &Connector, grant: Option<Vec<String>>) -> String {
    let Description { name, version, summary, kind: filed, protocols, options } =
        connector.description();
    let protocols: Vec<_> = protocols
        .iter()
        .map(|p| json!({ "name": p.name, "tls": p.tls, "default_port": p.default_port }))
        .collect();
    let options: Vec<_> = options
        .iter()
        .map(|o| {
            let choices = match &o.kind {
                OptionKind::Choice(words) => words.clone(),
                _ => Vec::new(),
            };
            let kind = if choices.is_empty() { kind(&o.kind) } else { "choice".into() };
            json!({
                "name": o.name, "kind": kind, "choices": choices,
                "secret": o.secret, "help": o.help, "default": o.default,
            })
        })
        .collect();
    let (imports, exports) = connector.interfaces();
    json!({
        "v": 1, "event": "description", "command": "inspect",
        "name": name, "version": version, "summary": summary, "type": filed,
        "protocols": protocols, "options": options,
        "imports": imports, "exports": exports, "grant": grant,
    })
    .to_string()
}
