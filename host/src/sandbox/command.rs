//! A component's own command line, in the same sandbox.

use super::{Loaded, Log, State, root_cause};
use crate::Error;
use crate::http::Client;
use crate::policy::grant::Grant;
use std::sync::Arc;
use wasmtime_wasi::cli::AsyncStdoutStream;
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

/// How many bytes may wait for whoever reads standard output.
const STDOUT_BUFFER: usize = 1 << 20;

impl Loaded {
    /// Runs the component's `wasi:cli/run` with these arguments, the first being
    /// its name, and these variables. The standard streams are those of this
    /// process. Answers the exit code.
    pub(crate) async fn run(
        &self,
        arguments: &[String],
        variables: &[(String, String)],
        grant: Grant,
        client: Client,
        log: &Arc<Log>,
    ) -> Result<u8, Error> {
        let mut wasi = WasiCtxBuilder::new();
        // Written in the background: a reader that stands still must not keep the
        // component from looking at the clock.
        let stdout = AsyncStdoutStream::new(STDOUT_BUFFER, tokio::io::stdout());
        wasi.inherit_stdio().stdout(stdout).args(arguments).envs(variables);
        let mut store = State::store_with(&self.engine, wasi, grant, client, log);
        let command = Command::instantiate_async(&mut store, &self.component, &self.linker)
            .await
            .map_err(|error| {
            Error::unsupported(format!(
                "the connector has no command line of its own: {}",
                root_cause(&error)
            ))
        })?;
        match command.wasi_cli_run().call_run(&mut store).await {
            Ok(Ok(())) => Ok(0),
            Ok(Err(())) => Ok(1),
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(I32Exit(code)) => Ok(u8::try_from(*code).unwrap_or(1)),
                None => {
                    Err(Error::component(format!("the component trapped: {}", root_cause(&error))))
                }
            },
        }
    }
}
