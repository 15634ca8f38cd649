//! Drives one import into a sink, and keeps the account of it.
//!
//! A backup succeeds only if every content ended cleanly and has the digest that the
//! component stated, the store keeps as many bytes of each as were read, every record was
//! acknowledged, and the component reported that it finished. Only then does the sink
//! commit; dropping it before that leaves nothing behind.

mod pace;

use crate::{Import, Importer, Reader, Record, Step};
pub(crate) use pace::{Side, WaitTimes};
use plakar_connector::TimeLimits;
use plakar_policy::account::Account;
use plakar_policy::{Error, Event, Observer};
use plakar_sink::{Entry, Sink};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// The number of bytes to request from a component at once. More saves no time, and a
/// backup keeps twice this in memory.
const READ_BYTES: u32 = 512 << 10;

/// The result of a successful backup.
#[derive(Debug, Clone, Copy)]
pub struct Summary {
    /// Records stored, directories among them.
    pub records: u64,
    /// Bytes of content stored.
    pub bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// Imports everything into `sink` and commits it.
///
/// The observer gets the import's facts at its end, even if it failed, as long
/// as the component can still be asked.
pub async fn run(
    importer: Importer,
    sink: impl Sink,
    observer: &dyn Observer,
) -> Result<Summary, Error> {
    let limits = importer.limits();
    let pace = WaitTimes::new();
    let backup = Backup { limits, pace: &pace, account: Account::default(), sink, observer };
    match timeout(limits.max_duration, backup.drive(importer)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(pace.over(limits.max_duration)),
    }
}

struct Backup<'a, S> {
    limits: TimeLimits,
    pace: &'a WaitTimes,
    account: Account,
    sink: S,
    observer: &'a dyn Observer,
}

impl<S: Sink> Backup<'_, S> {
    async fn drive(mut self, importer: Importer) -> Result<Summary, Error> {
        let begun = Instant::now();
        self.observer.event(Event::Started {
            connector: importer.connector(),
            version: importer.version(),
            origin: importer.origin(),
        });
        let mut import = importer.start().await?;
        let imported = self.import(&mut import).await;
        let facts = import.facts().await;
        if let Ok(facts) = &facts {
            self.observer.event(Event::Facts(facts));
        }
        imported?;
        facts?;
        // From here on nothing is awaited, so nothing can be cut short: the commit is one
        // step.
        drop(import);
        self.sink.commit()?;
        let Account { records, bytes, .. } = self.account;
        Ok(Summary { records, bytes, elapsed: begun.elapsed() })
    }

    async fn import(&mut self, import: &mut Import) -> Result<(), Error> {
        loop {
            self.pace.turn(Side::Source);
            match import.next().await? {
                Step::Record(record) => self.record(import, record).await?,
                Step::Finished => return import.finish().await,
                Step::AwaitingAcknowledgements => self.account.await_acknowledgements()?,
            }
        }
    }

    async fn record(&mut self, import: &mut Import, record: Record) -> Result<(), Error> {
        let Record { id, pathname, mode, modified, reader } = record;
        self.account.admit(id, &pathname, reader.is_none())?;
        let entry = Entry { pathname: pathname.to_string(), mode, modified };
        let kept = match reader {
            None => {
                self.observer.event(Event::RecordBegun { pathname: &entry.pathname, size: None });
                self.pace.turn(Side::Store);
                within(self.limits.store, self.sink.directory(&entry)).await?;
                0
            }
            Some(reader) => self.file(import, &entry, reader).await?,
        };
        self.pace.turn(Side::Source);
        let (id, fate) = self.account.acknowledge(&entry.pathname, Some(kept))?;
        import.acknowledge(id, fate).await?;
        self.observer.event(Event::RecordStored { pathname: &entry.pathname, bytes: kept });
        Ok(())
    }

    async fn file(
        &mut self,
        import: &mut Import,
        entry: &Entry,
        mut reader: Reader,
    ) -> Result<u64, Error> {
        let pathname = entry.pathname.as_str();
        self.account.open(pathname)?;
        let mut size = import.size(&reader).await?;
        self.observer.event(Event::RecordBegun { pathname, size });
        self.pace.turn(Side::Store);
        within(self.limits.store, self.sink.begin_file(entry)).await?;

        let mut streamed = 0;
        loop {
            self.pace.turn(Side::Source);
            let Some(bytes) = import.read(&mut reader, READ_BYTES).await? else { break };
            if streamed == 0 && size.is_none() {
                size = import.size(&reader).await?;
            }
            self.pace.turn(Side::Store);
            let length = bytes.len() as u64;
            within(self.limits.store, self.sink.write(bytes)).await?;
            streamed += length;
            self.account.read(pathname, length)?;
            self.observer.event(Event::Progress { pathname, bytes: streamed, size });
        }
        self.account.end(pathname, import.size(&reader).await?.or(size))?;
        import.close(reader).await?;

        self.pace.turn(Side::Store);
        within(self.limits.store, self.sink.finish_file()).await
    }
}

/// Does a sink's work within `store_timeout`.
async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(pace::store_stalled(limit)))
}
