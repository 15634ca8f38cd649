//! A component's own command line, in the same sandbox.

use super::stdio::{Shown, Stdout};
use super::{Loaded, Log, State, root_cause, shortage};
use crate::http::Client;
use plakar_connector::{ErrorKind, limits};
use plakar_policy::Error;
use plakar_policy::grant::Grant;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use wasmtime_wasi::cli::AsyncStdoutStream;
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

/// How many bytes may wait for the reader of standard output, and of standard error.
const STDOUT_BUFFER: usize = 1 << 20;
const STDERR_BUFFER: usize = 64 << 10;

/// How much later than its `max_duration` a component may end, so that it can report this
/// itself.
const LATE: Duration = Duration::from_secs(10);

impl Loaded {
    /// Runs the component's `wasi:cli/run` with these arguments, the first being
    /// its name, and these variables. The standard streams are those of this
    /// process. Returns the exit code; 0 once what was written is on the disk.
    pub(crate) async fn run(
        &self,
        arguments: &[String],
        variables: &[(String, String)],
        grant: Grant,
        client: Client,
        max_duration: Duration,
        log: &Arc<Log>,
    ) -> Result<u8, Error> {
        let mut wasi = WasiCtxBuilder::new();
        // Written in the background: a reader that stalls must not keep the component, or
        // the host, from checking the time.
        let (stdout, written) = Stdout::new();
        let stdout = Shown::stdout(AsyncStdoutStream::new(STDOUT_BUFFER, stdout));
        let stderr = AsyncStdoutStream::new(STDERR_BUFFER, tokio::io::stderr());
        wasi.inherit_stdin().stdout(stdout).stderr(stderr).args(arguments).envs(variables);
        let mut store = State::store_with(&self.engine, wasi, grant, client, log);
        let command = Command::instantiate_async(&mut store, &self.component, &self.linker)
            .await
            .map_err(|error| {
            shortage(&error).unwrap_or_else(|| {
                let what = format!("the connector has no command line ({})", root_cause(&error));
                Error::unsupported(what).remedy("use `plakar-wasm backup`")
            })
        })?;
        let call = command.wasi_cli_run().call_run(&mut store);
        let ended = timeout(max_duration.saturating_add(LATE), call).await.map_err(|_| {
            Error::reported(
                ErrorKind::TimedOut,
                format!(
                    "the run took longer than its `max_duration` of {}",
                    limits::show(max_duration)
                ),
            )
        })?;
        let code = match ended {
            Ok(Ok(())) => 0,
            Ok(Err(())) => 1,
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(I32Exit(code)) => u8::try_from(*code).unwrap_or(1),
                None => {
                    let cause = root_cause(&error);
                    return Err(Error::component(format!("the component trapped: {cause}")));
                }
            },
        };
        if code == 0 {
            written.keep().await?;
        }
        Ok(code)
    }
}
