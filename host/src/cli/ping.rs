//! `ping`.

use super::arguments::Ping;
use super::backup;
use super::report::{Outcome, Report};
use super::signals::Signals;
use plakar_policy::Error;
use std::time::{Duration, Instant};

/// Reports whether a backup could start now.
pub(super) async fn main(arguments: &Ping, report: &Report, signals: Signals) -> u8 {
    let outcome = match signals.unless_signalled(run(arguments, report)).await {
        Ok(Ok((origin, elapsed))) => Outcome::Reachable { origin, elapsed },
        Ok(Err(error)) => Outcome::Failed(error),
        Err(code) => Outcome::Signalled(code),
    };
    report.end(outcome)
}

async fn run(arguments: &Ping, report: &Report) -> Result<(String, Duration), Error> {
    let mut importer = backup::open(&arguments.source, report).await?;
    let begun = Instant::now();
    importer.ping().await?;
    Ok((importer.origin().to_owned(), begun.elapsed()))
}
