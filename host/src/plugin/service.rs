//! The calls that plakar makes.

use super::messages::importer::importer_server;
use super::messages::importer::{
    CloseRequest, CloseResponse, ImportRequest, ImportResponse, InitRequest, InitResponse,
    OpenRequest, OpenResponse, PingRequest, PingResponse,
};
use super::messages::{FLAGS, ROOT, acknowledgement, status};
use super::run::Run;
use super::{Say, Warnings};
use crate::{Connector, Importer, Sandbox};
use futures_util::stream::try_unfold;
use plakar_connector::names::{FILE_SUFFIX, LOCATION};
use plakar_policy::account::Exemption;
use plakar_policy::invocation::Invocation;
use plakar_policy::options::{Options, is_secret};
use plakar_policy::{Error, Event, Observer, Speaker};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Mutex, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

type Loading = JoinHandle<Result<Connector, Error>>;

/// One connector, and the one source that it is configured for.
pub(super) struct Service {
    state: Mutex<State>,
    say: Say,
}

enum State {
    /// The component is being loaded.
    Loading(Loading),
    /// The source can be pinged, or an import started.
    Configured(Box<Importer>, Exemption),
    /// An import was started.
    Started(Run),
    /// There is nothing more to call.
    Closed,
}

impl Service {
    /// Begins to load the component.
    pub(super) fn new(path: Result<PathBuf, Error>, say: Say) -> Self {
        let load = async move {
            let (path, sandbox) = (path?, spawn_blocking(Sandbox::new).await);
            sandbox.map_err(|error| Error::machine(error.to_string()))??.connector(&path).await
        };
        let loading = tokio::spawn(load);
        Self { state: Mutex::new(State::Loading(loading)), say }
    }
}

#[tonic::async_trait]
impl importer_server::Importer for Service {
    type ImportStream = BoxStream<ImportResponse>;
    type OpenStream = BoxStream<OpenResponse>;

    async fn init(&self, request: Request<InitRequest>) -> Result<Response<InitResponse>, Status> {
        let mut state = self.state.lock().await;
        let State::Loading(loading) = std::mem::replace(&mut *state, State::Closed) else {
            return Err(out_of_turn("Init"));
        };
        let (importer, exemption, response) = configure(loading, request.into_inner(), &self.say)
            .await
            .map_err(|error| status(&error))?;
        *state = State::Configured(Box::new(importer), exemption);
        Ok(Response::new(response))
    }

    async fn ping(&self, _: Request<PingRequest>) -> Result<Response<PingResponse>, Status> {
        match &mut *self.state.lock().await {
            State::Configured(importer, _) => {
                importer.ping().await.map_err(|error| status(&error))?;
                Ok(Response::new(PingResponse {}))
            }
            _ => Err(out_of_turn("Ping")),
        }
    }

    async fn import(
        &self,
        request: Request<Streaming<ImportRequest>>,
    ) -> Result<Response<Self::ImportStream>, Status> {
        let mut state = self.state.lock().await;
        let State::Configured(importer, exemption) = std::mem::replace(&mut *state, State::Closed)
        else {
            return Err(out_of_turn("Import"));
        };
        let run = Run::start(*importer, exemption);
        *state = State::Started(run.clone());
        let acknowledged = acknowledge(request.into_inner(), run.clone());
        Ok(Response::new(records(run, acknowledged)))
    }

    async fn open(
        &self,
        request: Request<OpenRequest>,
    ) -> Result<Response<Self::OpenStream>, Status> {
        let State::Started(run) = &*self.state.lock().await else {
            return Err(out_of_turn("Open"));
        };
        let pathname = request.into_inner().record.unwrap_or_default().pathname;
        Ok(Response::new(content(run.clone(), pathname)))
    }

    async fn close(&self, _: Request<CloseRequest>) -> Result<Response<CloseResponse>, Status> {
        let state = std::mem::replace(&mut *self.state.lock().await, State::Closed);
        if let State::Started(run) = state {
            run.fail(Error::store("plakar closed the importer before the import was finished"));
        }
        Ok(Response::new(CloseResponse {}))
    }
}

/// Returns the status of a call that plakar makes out of order.
fn out_of_turn(call: &str) -> Status {
    Status::failed_precondition(format!(
        "`{call}` came out of order: plakar 1.1 does not call a plugin like this"
    ))
}

/// Waits for the component, and passes it what was typed.
async fn configure(
    loading: Loading,
    request: InitRequest,
    say: &Say,
) -> Result<(Importer, Exemption, InitResponse), Error> {
    let connector = loading.await.unwrap_or_else(|error| {
        Err(Error::component(format!("the component cannot be loaded: {error}")))
    })?;
    let description = connector.description();
    let warnings = Arc::new(Warnings { connector: description.name.clone(), say: Arc::clone(say) });
    let invocation = Invocation::of_parent();

    let mut config = request.config;
    let location = config.remove(LOCATION).unwrap_or_default();
    let mut options = Options::default();
    let mut pairs: Vec<_> = config.into_iter().collect();
    pairs.sort();
    for (name, value) in pairs {
        if is_secret(description, &name) && invocation.typed(&name) {
            let line = format!(
                "plakar records its command line in every snapshot, including `{name}`; use \
                    `{name}{FILE_SUFFIX}`, or `plakar source add`"
            );
            warnings.event(Event::Warning { from: Speaker::Host, line: &line });
        }
        options.set(name, value);
    }

    let plan = connector.plan(&location, &options).await?;
    let exemption = Exemption {
        dry_run: invocation.is_dry_run(),
        excludes: request.options.unwrap_or_default().excludes,
    };
    let importer = connector.open(plan, warnings).await?;
    let response = InitResponse {
        origin: importer.origin().to_owned(),
        r#type: connector.description().kind.clone(),
        root: ROOT.into(),
        flags: FLAGS,
    };
    Ok((importer, exemption, response))
}

/// Passes on what plakar reports about the records. The receiver resolves when plakar has
/// reported everything.
fn acknowledge(mut results: Streaming<ImportRequest>, run: Run) -> oneshot::Receiver<()> {
    let (all_said, wait) = oneshot::channel();
    tokio::spawn(async move {
        while let Ok(Some(request)) = results.message().await {
            match acknowledgement(request.result.unwrap_or_default()) {
                // An error is the import's verdict, which its own stream reports.
                Ok((pathname, kept)) => _ = run.acknowledge(pathname, kept).await,
                Err(error) => run.fail(error),
            }
        }
        run.fail(Error::store("plakar cancelled the import before it was finished"));
        drop(all_said);
    });
    wait
}

/// Fails the import if it is dropped early, as happens with a call that plakar cancelled.
struct Guard {
    run: Run,
    what: Option<String>,
}

impl Guard {
    fn disarm(&mut self) {
        self.what = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(what) = self.what.take() {
            self.run.fail(Error::store(format!("plakar stopped {what} before its end")));
        }
    }
}

enum Records {
    /// There may be more.
    Coming,
    /// plakar knows that there are no more.
    Finished,
}

/// Streams the records, then the message that all of them are stored, then the end, but
/// only after plakar's: plakar takes an earlier end for a broken connection.
fn records(run: Run, acknowledged: oneshot::Receiver<()>) -> BoxStream<ImportResponse> {
    let guard = Guard { run, what: Some("the import".into()) };
    let start = (guard, acknowledged, Records::Coming);
    Box::pin(try_unfold(start, async |(mut guard, acknowledged, records)| match records {
        Records::Coming => {
            let record = guard.run.next().await.map_err(|error| status(&error))?;
            let finished = record.is_none();
            let after = if finished {
                guard.disarm();
                Records::Finished
            } else {
                Records::Coming
            };
            let response = ImportResponse { record, finished };
            Ok(Some((response, (guard, acknowledged, after))))
        }
        Records::Finished => {
            let _ = acknowledged.await;
            Ok(None)
        }
    }))
}

/// Streams the bytes of a file, as plakar asks for them: what it does not take is not read.
fn content(run: Run, pathname: String) -> BoxStream<OpenResponse> {
    let what = Some(format!("reading `{pathname}`"));
    let start = (Guard { run, what }, pathname, false);
    Box::pin(try_unfold(start, async |(mut guard, pathname, opened)| {
        // The import reports why; a second report would be noise.
        let failed = |_| Status::aborted("the backup has failed");
        if !opened {
            guard.run.open(pathname.clone()).await.map_err(failed)?;
        }
        match guard.run.read(pathname.clone()).await.map_err(failed)? {
            Some(bytes) => {
                let chunk = OpenResponse { chunk: bytes };
                Ok(Some((chunk, (guard, pathname, true))))
            }
            None => {
                guard.disarm();
                Ok(None)
            }
        }
    }))
}
