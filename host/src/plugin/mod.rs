//! Serves a connector to plakar, which started this process for it.
//!
//! ```text
//! plakar ══ HTTP/2 over stdin, stdout ══▶ Service ──▶ Run ──▶ component
//!            Init, Import, Open, …          │          │
//!                                        messages   policy::account
//! ```
//!
//! plakar keeps a snapshot even if a content could not be read, and takes the end of an
//! import as its success. So a call here ends successfully only if the
//! [account](plakar_policy::account) reports a success; everything else ends the import
//! with an error, at once, and every open content with it.
//!
//! | module | what it contains |
//! | --- | --- |
//! | `wire` | the connection |
//! | `messages` | the protocol's messages, generated, and what they mean here |
//! | `service` | the calls that plakar makes |
//! | `run` | the task that owns a running import |

mod messages;
mod run;
mod service;
mod wire;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use messages::importer::importer_server::ImporterServer;
use plakar_policy::{Error, Event, Observer, Speaker};
use service::Service;
use std::path::PathBuf;
use std::sync::Arc;

/// Takes a line for plakar's standard error, without waiting for its reader.
pub type Say = Arc<dyn Fn(String) + Send + Sync>;

/// Serves the component in a file over standard input and output, until plakar closes
/// them. If the file is not known, plakar gets the reason when it asks.
///
/// Serves at once, because plakar does not wait: the component is compiled meanwhile.
pub async fn serve(path: Result<PathBuf, Error>, say: Say) -> Result<(), Error> {
    let connection = wire::take()?;
    let service = TowerToHyperService::new(ImporterServer::new(Service::new(path, say)));
    // However the connection ends, plakar can no longer receive a report.
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(connection), service)
        .await;
    Ok(())
}

/// Warnings as lines on plakar's standard error.
struct Warnings {
    connector: String,
    say: Say,
}

impl Observer for Warnings {
    fn event(&self, event: Event<'_>) {
        if let Event::Warning { from, line } = event {
            let from = match from {
                Speaker::Component => &self.connector,
                Speaker::Host => "plakar-wasm",
            };
            (self.say)(format!("{from}: warning: {line}"));
        }
    }
}
