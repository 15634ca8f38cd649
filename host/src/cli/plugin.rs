//! `plugin`.

use super::arguments::Plugin;
use super::failed;
use plakar_wasm::{Error, plugin};
use std::path::PathBuf;

/// Serves a connector to plakar.
pub(super) async fn main(arguments: &Plugin) -> u8 {
    match run(arguments).await {
        Ok(()) => 0,
        Err(error) => failed(&error),
    }
}

async fn run(arguments: &Plugin) -> Result<(), Error> {
    let connector = match &arguments.connector {
        Some(connector) => connector.clone(),
        None => beside_the_executable()?,
    };
    plugin::serve(connector).await
}

/// Where a package has its connector.
fn beside_the_executable() -> Result<PathBuf, Error> {
    let executable = std::env::current_exe().map_err(|error| {
        Error::invalid(format!(
            "cannot tell where this executable lies: {error}; name the connector"
        ))
    })?;
    Ok(executable.with_file_name("connector.wasm"))
}
