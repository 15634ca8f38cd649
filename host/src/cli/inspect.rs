//! `inspect`.

use super::arguments::Inspect;
use super::report::{Outcome, Report};
use super::{config, schema, write};
use plakar_connector::names::FILE_SUFFIX;
use plakar_policy::options;
use plakar_policy::{Description, Error, OptionDescription, OptionKind};
use plakar_wasm::{Connector, Sandbox};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Shows a connector's description and options, and what it would be granted.
pub(super) async fn main(arguments: &Inspect, json: bool, report: &Report) -> u8 {
    match run(arguments, json).await {
        Ok(text) => write(format!("{}\n", text.trim_end()).as_bytes()),
        Err(error) => report.end(Outcome::Failed(error)),
    }
}

async fn run(arguments: &Inspect, json: bool) -> Result<String, Error> {
    let connector = Sandbox::new()?.connector(&arguments.connector).await?;
    if arguments.schema {
        return Ok(format!("{:#}", schema::of(connector.description())));
    }
    let grant = match &arguments.location {
        None if arguments.options.are_given() => {
            return Err(Error::invalid("the options are not used without a location")
                .remedy("give the location of the run that they are for"));
        }
        None => None,
        Some(location) => {
            let options = config::read(&arguments.options, connector.description(), &()).await?;
            let plan = connector.plan(location, &options).await?;
            Some(plan.grant.iter().map(|a| format!("{}://{a}", a.scheme())).collect())
        }
    };
    Ok(if json { as_json(&connector, grant) } else { as_text(&connector, grant) })
}

/// The widest column; longer values exceed it.
const WIDEST: usize = 64;

fn kind(kind: &OptionKind) -> String {
    match kind {
        OptionKind::Text => "text".into(),
        OptionKind::Boolean => "boolean".into(),
        OptionKind::Duration => "duration".into(),
        OptionKind::Authorities => "authorities".into(),
        OptionKind::Choice(words) => words.join("|"),
    }
}

fn help(option: &OptionDescription, host: bool) -> String {
    let mut remarks = Vec::new();
    remarks.extend(host.then(|| "of the host".to_owned()));
    remarks.extend(option.secret.then(|| "secret".to_owned()));
    remarks.extend(option.default.as_ref().map(|default| format!("default {default}")));
    remarks.extend(options::has_file(option).then(|| format!("or `{}{FILE_SUFFIX}`", option.name)));
    if remarks.is_empty() {
        option.help.clone()
    } else {
        format!("{} ({})", option.help, remarks.join(", "))
    }
}

fn as_text(connector: &Connector, grant: Option<Vec<String>>) -> String {
    let Description { name, version, summary, kind: filed, protocols, options: declared } =
        connector.description();
    let mut text = format!("{name} {version}: {summary}\ntype: {filed}\n\nprotocols\n");
    for protocol in protocols {
        let over = if protocol.tls { "TLS" } else { "plain HTTP" };
        let _ = writeln!(text, "  {}://  {over}, port {}", protocol.name, protocol.default_port);
    }
    text += "\noptions\n";
    let of_host = options::of_host(connector.description());
    let own = declared.iter().map(|option| (option, false));
    let rows: Vec<_> = own
        .chain(of_host.iter().map(|option| (option, true)))
        .map(|(option, host)| (&option.name, kind(&option.kind), help(option, host)))
        .collect();
    // The longest name has 64 bytes; the words of a choice may fill pages.
    let name_width = rows.iter().map(|row| row.0.len()).max().unwrap_or(0).min(WIDEST);
    let kind_width = rows.iter().map(|row| row.1.len()).max().unwrap_or(0).min(WIDEST);
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
            "\ngranted: HTTP requests to these authorities, and nothing else\n  {}\n",
            grant.join("\n  ")
        );
    }
    text
}

fn as_json(connector: &Connector, grant: Option<Vec<String>>) -> String {
    let Description { name, version, summary, kind: filed, protocols, options: declared } =
        connector.description();
    let protocols: Vec<_> = protocols
        .iter()
        .map(|p| json!({ "name": p.name, "tls": p.tls, "default_port": p.default_port }))
        .collect();
    let described =
        |options: &[OptionDescription]| -> Vec<_> { options.iter().map(option_as_json).collect() };
    let of_host = options::of_host(connector.description());
    let (imports, exports) = connector.interfaces();
    json!({
        "v": 1, "event": "description", "command": "inspect",
        "name": name, "version": version, "summary": summary, "type": filed,
        "protocols": protocols, "options": described(declared), "host_options": described(&of_host),
        "imports": imports, "exports": exports, "grant": grant,
    })
    .to_string()
}

fn option_as_json(option: &OptionDescription) -> Value {
    let choices = match &option.kind {
        OptionKind::Choice(words) => words.as_slice(),
        _ => &[],
    };
    let kind = if choices.is_empty() { kind(&option.kind) } else { "choice".into() };
    json!({
        "name": option.name, "kind": kind, "choices": choices,
        "secret": option.secret, "help": option.help, "default": option.default,
    })
}
