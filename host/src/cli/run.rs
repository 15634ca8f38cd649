//! `run`.

use super::arguments::{self, Run};
use super::config;
use super::report::{Outcome, Report};
use plakar_connector::{TimeLimits, names};
use plakar_wasm::policy::grant::Grant;
use plakar_wasm::policy::tls::Tls;
use plakar_wasm::{Error, Event, Observer, Sandbox, Speaker};
use std::sync::Arc;

/// Says what the host has to say about the component; the component itself has
/// the standard streams.
struct Warnings(Report);

impl Observer for Warnings {
    fn event(&self, event: Event<'_>) {
        if let Event::Warning { from: Speaker::Host, .. } = &event {
            self.0.event(event);
        }
    }
}

/// Runs the connector's own command line.
pub(super) async fn main(arguments: &Run, report: &Report) -> u8 {
    match run(arguments, report).await {
        Ok(code) => {
            report.flush();
            code
        }
        Err(error) => report.end(Outcome::Failed(error)),
    }
}

async fn run(arguments: &Run, report: &Report) -> Result<u8, Error> {
    let warnings = Warnings(report.clone());
    let connector = Sandbox::new()?.connector(&arguments.connector).await?;
    let variables = arguments
        .env
        .iter()
        .map(|name| match std::env::var(name) {
            Ok(value) => Ok((name.clone(), value)),
            Err(_) => Err(Error::invalid(format!("variable `{name}` is not set, or is no text"))),
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let args = &arguments.args;
    let grant = Grant::of_arguments(connector.description(), args, option(args, names::ENDPOINTS))?;
    tracing::info!("granted: {grant}");
    let options = arguments::Options { options: arguments.options.clone(), config: None };
    let options = config::read(&options, connector.description(), &warnings).await?;
    if let Some(name) = options.names().find(|name| !name.starts_with(names::TLS_PREFIX)) {
        return Err(Error::invalid(format!(
            "option `{name}` is not one of the host's TLS options: give it after `--`"
        )));
    }
    let options = options.load(connector.description()).await?;
    let tls = Tls::read(connector.description(), &options, grant.is_secure())?;
    // The component reads them as well. Those that it does not declare it refuses.
    let limits = TimeLimits::read(|name| option(args, name))
        .map_err(|error| Error::invalid(error.to_string()))?;
    connector.run(args, &variables, grant, limits, tls, Arc::new(warnings)).await
}

/// The value of the last `-o NAME=…`, which is how a connector's own command line takes
/// the options that a host heeds too.
fn option<'a>(args: &'a [String], name: &str) -> Option<&'a str> {
    let preceded = |at: usize| at > 0 && matches!(args[at - 1].as_str(), "-o" | "--option");
    let pairs = args.iter().enumerate().filter_map(|(at, arg)| match preceded(at) {
        true => Some(arg.as_str()),
        false => arg.strip_prefix("-o").map(|pair| pair.strip_prefix('=').unwrap_or(pair)),
    });
    pairs.filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_an_option_is_found_however_it_is_typed() {
        for (line, found) in [
            ("backup x://h -o endpoints=a", Some("a")),
            ("backup x://h -oendpoints=a", Some("a")),
            ("backup x://h -o=endpoints=a", Some("a")),
            ("backup x://h --option endpoints=a -o endpoints=b", Some("b")),
            ("backup x://h endpoints=a", None),
            ("backup x://h -o endpoints", None),
            ("backup x://h -o myendpoints=a", None),
        ] {
            let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(option(&args, "endpoints"), found, "{line}");
        }
    }
}
