//! `backup`.

use super::arguments::{Backup, Source};
use super::config;
use super::report::{Outcome, Report};
use super::signals::Signals;
use plakar_policy::Error;
use plakar_sink::DirectorySink;
use plakar_wasm::backup::Summary;
use plakar_wasm::{Importer, Sandbox, backup};
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// Backs up into a directory.
pub(super) async fn main(arguments: &Backup, report: &Report, signals: Signals) -> u8 {
    let outcome = match signals.unless_signalled(run(arguments, report)).await {
        Ok(Ok(summary)) => Outcome::BackedUp { summary, to: arguments.to.clone() },
        Ok(Err(error)) => Outcome::Failed(error),
        Err(code) => Outcome::Signalled(code),
    };
    report.end(outcome)
}

async fn run(arguments: &Backup, report: &Report) -> Result<Summary, Error> {
    let importer = open(&arguments.source, report).await?;
    let (to, force) = (arguments.to.clone(), arguments.force);
    // A file system may block it, which must not delay signals.
    let sink = spawn_blocking(move || DirectorySink::create(&to, force)).await;
    let sink = sink.unwrap_or_else(|error| Err(Error::store(error.to_string())))?;
    backup::run(importer, sink, report).await
}

/// Loads the connector and configures it. Contacts nothing.
pub(super) async fn open(source: &Source, report: &Report) -> Result<Importer, Error> {
    let sandbox = Sandbox::new()?;
    let connector = sandbox.connector(&source.connector).await?;
    let options = config::read(&source.options, connector.description(), report).await?;
    let plan = connector.plan(&source.location, &options).await?;
    tracing::info!("granted: {}", plan.grant);
    connector.open(plan, Arc::new(report.clone())).await
}
