//! `run`.

use super::arguments::{self, Run};
use super::config;
use super::report::{Outcome, Report};
use plakar_policy::{CommandPlan, Error, Event, Observer, Speaker};
use plakar_wasm::Sandbox;
use std::sync::Arc;

/// Shows only warnings of the host; the component itself has the standard streams.
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
    let description = connector.description();
    let options = arguments::Options { options: arguments.options.clone(), config: None };
    let options = config::read(&options, description, &warnings).await?;
    options.only_tls()?;
    let options = options.load(description).await?;
    let plan = CommandPlan::new(description, &arguments.args, &options)?;
    tracing::info!("granted: {}", plan.grant);
    connector.run(&arguments.args, &variables, plan, Arc::new(warnings)).await
}
