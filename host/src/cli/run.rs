//! `run`.

use super::arguments::{self, Run};
use super::config;
use super::report::{Outcome, Report};
use plakar_connector::text::escaped;
use plakar_connector::{TimeLimits, names};
use plakar_policy::grant::Grant;
use plakar_policy::invocation::option;
use plakar_policy::tls::Tls;
use plakar_policy::{Error, Event, Observer, Speaker};
use plakar_wasm::Sandbox;
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
            Err(_) => {
                Err(Error::invalid(format!("the variable `{name}` is not set, or is not text")))
            }
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let args = &arguments.args;
    let grant = Grant::of_arguments(connector.description(), args, option(args, names::ENDPOINTS))?;
    tracing::info!("granted: {grant}");
    let options = arguments::Options { options: arguments.options.clone(), config: None };
    let options = config::read(&options, connector.description(), &warnings).await?;
    if let Some(name) = options.names().find(|name| !name.starts_with(names::TLS_PREFIX)) {
        return Err(Error::invalid(format!(
            "option `{}` is not one of the host's TLS options",
            escaped(name, names::LONGEST)
        ))
        .remedy("write it after `--`"));
    }
    let options = options.load(connector.description()).await?;
    let tls = Tls::read(connector.description(), &options, grant.is_secure())?;
    // The component reads them as well. Those that it does not declare it refuses.
    let limits = TimeLimits::read(|name| option(args, name)).map_err(Error::invalid)?;
    connector.run(args, &variables, grant, limits, tls, Arc::new(warnings)).await
}
