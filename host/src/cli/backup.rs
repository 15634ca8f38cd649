//! `backup`.

use super::arguments::{Backup, Output, Source};
use super::report::{Outcome, Report};
use super::{config, signals};
use plakar_wasm::backup::Summary;
use plakar_wasm::{DirectorySink, Error, Importer, Sandbox, backup};
use std::sync::Arc;

/// Backs up into a directory.
pub(super) async fn main(arguments: &Backup, output: &Output) -> u8 {
    let report = Report::new(output, "backup");
    match signals::unless_signalled(run(arguments, &report)).await {
        Ok(Ok(summary)) => report.end(&Outcome::BackedUp { summary, to: &arguments.to }),
        Ok(Err(error)) => report.end(&Outcome::Failed(&error)),
        Err(code) => report.end(&Outcome::Signalled(code)),
    }
}

async fn run(arguments: &Backup, report: &Arc<Report>) -> Result<Summary, Error> {
    let importer = open(&arguments.source, report).await?;
    let sink = DirectorySink::create(&arguments.to, arguments.force)?;
    backup::run(importer, sink, report.as_ref()).await
}

/// Loads the connector and configures it. Contacts nothing.
pub(super) async fn open(source: &Source, report: &Arc<Report>) -> Result<Importer, Error> {
    let sandbox = Sandbox::new()?;
    let connector = sandbox.connector(&source.connector).await?;
    let options = config::read(&source.options, connector.description(), report.as_ref()).await?;
    let plan = connector.plan(&source.location, &options).await?;
    tracing::info!("granted: {}", plan.grant);
    connector.open(plan, report.clone()).await
}
