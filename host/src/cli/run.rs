//! `run`.

use super::arguments::{self, Run};
use super::{config, failed};
use plakar_connector::names;
use plakar_wasm::policy::grant::Grant;
use plakar_wasm::policy::tls::Tls;
use plakar_wasm::{Error, Event, Observer, Sandbox, Speaker};
use std::io::Write;
use std::sync::Arc;

/// Says what the host has to say about the component; the component itself has
/// the standard streams.
struct Warnings;

impl Observer for Warnings {
    fn event(&self, event: Event<'_>) {
        if let Event::Warning { from: Speaker::Host, line } = event {
            let _ = writeln!(std::io::stderr(), "warning: {line}");
        }
    }
}

/// Runs the connector's own command line.
pub(super) async fn main(arguments: &Run) -> u8 {
    match run(arguments).await {
        Ok(code) => code,
        Err(error) => failed(&error),
    }
}

async fn run(arguments: &Run) -> Result<u8, Error> {
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
    let grant = Grant::of_arguments(connector.description(), args, endpoints(args))?;
    tracing::info!("granted: {grant}");
    let options = arguments::Options { options: arguments.options.clone(), config: None };
    let options = config::read(&options, connector.description(), &Warnings).await?;
    if let Some(name) = options.names().find(|name| !name.starts_with(names::TLS_PREFIX)) {
        return Err(Error::invalid(format!(
            "option `{name}` is not one of the host's TLS options: give it after `--`"
        )));
    }
    let options = options.load(connector.description()).await?;
    let tls = Tls::read(connector.description(), &options, grant.is_secure())?;
    connector.run(args, &variables, grant, tls, Arc::new(Warnings)).await
}

/// The value of the last `-o endpoints=…`.
fn endpoints(args: &[String]) -> Option<&str> {
    let value = |arg: &'_ str| -> Option<usize> {
        let name = arg.strip_prefix("-o").unwrap_or(arg);
        name.strip_prefix(names::ENDPOINTS)?.strip_prefix('=').map(str::len)
    };
    let preceded = |at: usize| at > 0 && matches!(args[at - 1].as_str(), "-o" | "--option");
    args.iter()
        .enumerate()
        .filter(|(at, arg)| arg.starts_with("-o") || preceded(*at))
        .filter_map(|(_, arg)| value(arg).map(|length| &arg[arg.len() - length..]))
        .next_back()
}
