//! One import, owned by one task.
//!
//! ```text
//!  Import ──next, acknowledge──▶ ┌─────────┐
//!  Open   ──open, read─────────▶ │  Owner  │ ──one call at a time──▶ component
//!  Close  ──fail───────────────▶ └─────────┘
//!                                  verdict ──▶ callers that ask or wait
//! ```
//!
//! Only the owner calls the component. It ends with one verdict, and then drops the
//! component and its connections, whether or not plakar continues to read. A caller that
//! waits for a reply that the owner no longer gives gets the verdict, so every open call of
//! plakar's ends with it.

use super::messages::{self, plakar::connectors};
use crate::backup::{Side, WaitTimes};
use crate::{Import, Importer, Reader, Record, Step};
use bytes::Bytes;
use plakar_connector::{ErrorKind, TimeLimits, limits};
use plakar_policy::Error;
use plakar_policy::account::{Account, Exemption};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// The bytes of one message. plakar accepts no message above 4 MiB; larger messages mean
/// fewer of them.
const CHUNK_BYTES: u32 = 1 << 20;

/// How an import ended; `None` while it runs.
type Verdict = Option<Result<(), Error>>;

/// A handle on a running import. A caller waits for its reply, so there are
/// never more questions under way than plakar has calls.
#[derive(Clone)]
pub(super) struct Run {
    questions: mpsc::UnboundedSender<Question>,
    verdict: Arc<watch::Sender<Verdict>>,
}

enum Question {
    Next { reply: oneshot::Sender<Option<connectors::Record>> },
    Open { pathname: String, reply: oneshot::Sender<()> },
    Read { pathname: String, reply: oneshot::Sender<Option<Bytes>> },
    Acknowledge { pathname: String, kept: Option<u64>, reply: oneshot::Sender<()> },
}

impl Run {
    /// Starts an import.
    pub(super) fn start(importer: Importer, exemption: Exemption) -> Self {
        let (questions, asked) = mpsc::unbounded_channel();
        let verdict = Arc::new(watch::Sender::new(None));
        tokio::spawn(own(importer, exemption, asked, Arc::clone(&verdict)));
        Self { questions, verdict }
    }

    /// Returns the next record, without its content; `None` once every record is stored and
    /// the component has finished.
    pub(super) async fn next(&self) -> Result<Option<connectors::Record>, Error> {
        self.ask(|reply| Question::Next { reply }).await
    }

    /// Reports that a file is about to be read.
    pub(super) async fn open(&self, pathname: String) -> Result<(), Error> {
        self.ask(|reply| Question::Open { pathname, reply }).await
    }

    /// Returns the next bytes of a file; `None` at its proven end.
    pub(super) async fn read(&self, pathname: String) -> Result<Option<Bytes>, Error> {
        self.ask(|reply| Question::Read { pathname, reply }).await
    }

    /// Reports that plakar has finished a record, and how many bytes it keeps of it.
    pub(super) async fn acknowledge(
        &self,
        pathname: String,
        kept: Option<u64>,
    ) -> Result<(), Error> {
        self.ask(|reply| Question::Acknowledge { pathname, kept, reply }).await
    }

    /// Ends the import for this reason, unless it has ended.
    pub(super) fn fail(&self, reason: Error) {
        decide(&self.verdict, Err(reason));
    }

    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, Error> {
        let (reply, replied) = oneshot::channel();
        if self.questions.send(question(reply)).is_ok()
            && let Ok(reply) = replied.await
        {
            return Ok(reply);
        }
        match self.verdict.subscribe().wait_for(Option::is_some).await.as_deref() {
            Ok(Some(Err(reason))) => Err(reason.clone()),
            _ => Err(Error::store("plakar requested more from an import that has ended")),
        }
    }
}

/// Sets the verdict, unless there is one already.
fn decide(verdict: &watch::Sender<Verdict>, outcome: Result<(), Error>) {
    verdict.send_if_modified(|verdict| {
        let first = verdict.is_none();
        verdict.get_or_insert(outcome);
        first
    });
}

async fn own(
    importer: Importer,
    exemption: Exemption,
    questions: mpsc::UnboundedReceiver<Question>,
    verdict: Arc<watch::Sender<Verdict>>,
) {
    let mut given_up = verdict.subscribe();
    let limits = importer.limits();
    let pace = WaitTimes::new();
    let outcome = tokio::select! {
        biased;
        _ = given_up.wait_for(Option::is_some) => return,
        outcome = timeout(limits.max_duration, drive(importer, exemption, questions, &pace)) => outcome,
    };
    decide(&verdict, outcome.unwrap_or_else(|_| Err(pace.over(limits.max_duration))));
}

async fn drive(
    importer: Importer,
    exemption: Exemption,
    questions: mpsc::UnboundedReceiver<Question>,
    pace: &WaitTimes,
) -> Result<(), Error> {
    let limits = importer.limits();
    let import = importer.start().await?;
    let owner = Owner {
        import,
        limits,
        questions,
        pace,
        account: Account::new(exemption),
        readers: HashMap::new(),
        waiting: None,
        progress: Progress::Running,
    };
    owner.serve().await
}

struct Owner<'a> {
    import: Import,
    limits: TimeLimits,
    questions: mpsc::UnboundedReceiver<Question>,
    pace: &'a WaitTimes,
    account: Account,
    readers: HashMap<Arc<str>, Reader>,
    /// The caller that waits for the next record.
    waiting: Option<oneshot::Sender<Option<connectors::Record>>>,
    progress: Progress,
}

/// What the component reported last.
#[derive(PartialEq)]
enum Progress {
    /// It may be asked for its next record.
    Running,
    /// It continues after an acknowledgement.
    Awaiting,
    /// It has no more records.
    Finished,
}

impl Owner<'_> {
    /// Serves questions until the import has succeeded.
    async fn serve(mut self) -> Result<(), Error> {
        loop {
            if let Some(asked) = self.advance().await? {
                // Nothing may fail from here on, because plakar reads no further.
                drop(self.import);
                let _ = asked.send(None);
                return Ok(());
            }
            self.pace.turn(Side::Store);
            let question = timeout(self.limits.store, self.questions.recv()).await;
            self.pace.turn(Side::Source);
            match question {
                Ok(Some(question)) => self.reply(question).await?,
                Ok(None) => return Err(Error::store("plakar is gone")),
                Err(_) => {
                    return Err(Error::reported(
                        ErrorKind::TimedOut,
                        format!(
                            "plakar accepted no data for {}, the `store_timeout`",
                            limits::show(self.limits.store)
                        ),
                    )
                    .remedy("check its store and its temporary directory, or raise the limit"));
                }
            }
        }
    }

    /// Asks the component for its next record, if plakar waits for one and the
    /// component has more. At the successful end, returns the caller that waits for it.
    async fn advance(
        &mut self,
    ) -> Result<Option<oneshot::Sender<Option<connectors::Record>>>, Error> {
        while let Some(asked) = self.waiting.take() {
            match self.progress {
                Progress::Running => {}
                Progress::Finished if self.account.unsettled() == 0 => {
                    self.import.finish().await?;
                    return Ok(Some(asked));
                }
                Progress::Awaiting | Progress::Finished => {
                    self.waiting = Some(asked);
                    break;
                }
            }
            match self.import.next().await? {
                Step::Record(record) => self.hand_out(record, asked)?,
                step => {
                    self.waiting = Some(asked);
                    self.progress = match step {
                        Step::Finished => Progress::Finished,
                        _ => {
                            self.account.await_acknowledgements()?;
                            Progress::Awaiting
                        }
                    };
                }
            }
        }
        Ok(None)
    }

    /// Passes a record on and keeps its content until it is opened.
    fn hand_out(
        &mut self,
        record: Record,
        asked: oneshot::Sender<Option<connectors::Record>>,
    ) -> Result<(), Error> {
        self.account.admit(record.id, &record.pathname, record.reader.is_none())?;
        let message = messages::record(&record);
        if let Some(reader) = record.reader {
            self.readers.insert(record.pathname, reader);
        }
        let _ = asked.send(Some(message));
        Ok(())
    }

    async fn reply(&mut self, question: Question) -> Result<(), Error> {
        match question {
            Question::Next { reply } => self.waiting = Some(reply),
            Question::Open { pathname, reply } => {
                self.account.open(&pathname)?;
                let _ = reply.send(());
            }
            Question::Read { pathname, reply } => {
                let bytes = self.read(&pathname).await?;
                let _ = reply.send(bytes);
            }
            Question::Acknowledge { pathname, kept, reply } => {
                let (id, fate) = self.account.acknowledge(&pathname, kept)?;
                // It was not read if nothing is stored.
                if let Some(reader) = self.readers.remove(pathname.as_str()) {
                    self.import.close(reader).await?;
                }
                self.import.acknowledge(id, fate).await?;
                if self.progress == Progress::Awaiting {
                    self.progress = Progress::Running;
                }
                let _ = reply.send(());
            }
        }
        Ok(())
    }

    /// Returns the next bytes of a file that was opened; `None` at its proven end.
    async fn read(&mut self, pathname: &str) -> Result<Option<Bytes>, Error> {
        let Some(reader) = self.readers.get_mut(pathname) else {
            return Err(Error::store(format!("plakar reads `{pathname}`, which cannot be read")));
        };
        if let Some(bytes) = self.import.read(reader, CHUNK_BYTES).await? {
            self.account.read(pathname, bytes.len() as u64)?;
            return Ok(Some(bytes));
        }
        let size = self.import.size(reader).await?;
        self.account.end(pathname, size)?;
        if let Some(reader) = self.readers.remove(pathname) {
            self.import.close(reader).await?;
        }
        Ok(None)
    }
}
