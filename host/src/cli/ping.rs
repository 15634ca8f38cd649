//! `ping`.

use super::arguments::{Output, Ping};
use super::report::{Outcome, Report};
use super::{backup, signals};
use plakar_wasm::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tells whether a backup could start now.
pub(super) async fn main(arguments: &Ping, output: &Output) -> u8 {
    let report = Report::new(output, "ping");
    match signals::unless_signalled(run(arguments, &report)).await {
        Ok(Ok((origin, elapsed))) => report.end(&Outcome::Reachable { origin: &origin, elapsed }),
        Ok(Err(error)) => report.end(&Outcome::Failed(&error)),
        Err(code) => report.end(&Outcome::Signalled(code)),
    }
}

async fn run(arguments: &Ping, report: &Arc<Report>) -> Result<(String, Duration), Error> {
    let mut importer = backup::open(&arguments.source, report).await?;
    let begun = Instant::now();
    importer.ping().await?;
    Ok((importer.origin().to_owned(), begun.elapsed()))
}
