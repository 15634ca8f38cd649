//! `plugin`.

use super::arguments::Plugin;
use super::failed;
use super::report::Report;
use plakar_policy::Error;
use plakar_wasm::plugin;
use std::path::PathBuf;
use std::sync::Arc;

/// Serves a connector to plakar.
pub(super) async fn main(arguments: &Plugin, report: &Report) -> u8 {
    // If the file cannot be found, plakar gets the error with its first call.
    let connector = arguments.connector.clone().map_or_else(beside_the_executable, Ok);
    let lines = report.clone();
    match plugin::serve(connector, Arc::new(move |line| lines.line(line))).await {
        Ok(()) => {
            report.flush();
            0
        }
        Err(error) => failed(&error),
    }
}

/// Returns where a package has its connector.
fn beside_the_executable() -> Result<PathBuf, Error> {
    let executable = std::env::current_exe().map_err(|error| {
        Error::invalid(format!(
            "cannot find the directory of this executable, which contains the component: {error}"
        ))
    })?;
    Ok(executable.with_file_name("connector.wasm"))
}
