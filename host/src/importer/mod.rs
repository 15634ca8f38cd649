//! Typed calls into a component, each within its time.
//!
//! ```text
//! Sandbox ─load─▶ Connector ─plan─▶ Plan ─open─▶ Importer ─start─▶ Import
//! ```
//!
//! After a call was cancelled or trapped nothing more is called, as the contract
//! demands: each type answers an error from then on, and dropping it drops the
//! whole store.

mod convert;
mod instance;

use crate::bindings::importer as wit;
use crate::http::Client;
use crate::policy::Plan;
use crate::policy::account::Fate;
use crate::policy::grant::Grant;
use crate::policy::limits::one_line;
use crate::policy::options::Options;
use crate::policy::records;
use crate::policy::tls::Tls;
use crate::sandbox::{Loaded, Log};
use crate::{Description, Error, Event, Fact, Observer, Sandbox, Speaker};
use convert::{into_description, modified, reported};
use instance::Instance;
use plakar_connector::TimeLimits;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use wasmtime::component::ResourceAny;

/// A component that is a connector, and what it says it is.
pub struct Connector {
    loaded: Loaded,
    description: Description,
}

impl Sandbox {
    /// Loads the component in the file `path` and asks what it is.
    pub async fn connector(&self, path: &Path) -> Result<Connector, Error> {
        let loaded = self.load(path).await?;
        let client = Client::new(default_limits()?, None)?;
        let mut instance = Instance::new(&loaded, Grant::none(), client, Arc::new(())).await?;
        let call = instance.exports.plakar_connector_importer().call_describe(&mut instance.store);
        let description = instance.life.quick("describe", call).await?;
        Ok(Connector { loaded, description: into_description(description).check()? })
    }
}

fn default_limits() -> Result<TimeLimits, Error> {
    TimeLimits::read(|_| None).map_err(|error| Error::invalid(error.to_string()))
}

/// A client for one run, which is warned of where it believes too much.
fn client(limits: TimeLimits, tls: Option<&Tls>, observer: &dyn Observer) -> Result<Client, Error> {
    if let Some(line) = tls.and_then(Tls::warning) {
        observer.event(Event::Warning { from: Speaker::Host, line });
    }
    Client::new(limits, tls)
}

impl Connector {
    /// What it says it is.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The names of the interfaces that the component imports, and those of the
    /// interfaces that it exports.
    pub fn interfaces(&self) -> (Vec<String>, Vec<String>) {
        let ty = self.loaded.component.component_type();
        let imports = ty.imports(&self.loaded.engine).map(|(name, _)| name.to_owned()).collect();
        let exports = ty.exports(&self.loaded.engine).map(|(name, _)| name.to_owned()).collect();
        (imports, exports)
    }

    /// Decides what a run on `location` may do and will be told. Contacts nothing.
    pub fn plan(&self, location: &str, options: &Options) -> Result<Plan, Error> {
        Plan::new(&self.description, location, options)
    }

    /// Gives a fresh instance what was planned. The component checks it and
    /// contacts nothing.
    pub async fn open(&self, plan: Plan, observer: Arc<dyn Observer>) -> Result<Importer, Error> {
        self.open_in(plan, Circumstances::default(), observer).await
    }

    /// The same, for a host that knows more about the run.
    pub async fn open_in(
        &self,
        plan: Plan,
        circumstances: Circumstances,
        observer: Arc<dyn Observer>,
    ) -> Result<Importer, Error> {
        let Plan { protocol, config, grant, tls, limits } = plan;
        let endpoints = grant.len();
        let client = client(limits, tls.as_ref(), observer.as_ref())?;
        let mut instance = Instance::new(&self.loaded, grant, client, observer).await?;
        let Circumstances { hostname, max_concurrency, excludes } = circumstances;
        let options = wit::ImportOptions { hostname, max_concurrency, excludes };
        let Instance { store, exports, life, .. } = &mut instance;
        let interface = exports.plakar_connector_importer().importer();
        let call = interface.call_open(&mut *store, &options, &protocol, config.pairs());
        let resource = life.quick("importer.open", call).await?.map_err(reported)?;
        let call = interface.call_origin(&mut *store, resource);
        let origin = one_line(&life.quick("importer.origin", call).await?);
        let call = interface.call_root(&mut *store, resource);
        let root = life.quick("importer.root", call).await?;
        records::check_pathname(&root)?;
        let call = interface.call_location_flags(&mut *store, resource);
        let flags = life.quick("importer.location-flags", call).await?;
        Ok(Importer {
            instance,
            resource,
            origin,
            root,
            no_merge: flags.contains(wit::LocationFlags::NO_MERGE),
            limits,
            endpoints,
            connector: self.description.name.clone(),
            version: self.description.version.clone(),
        })
    }

    /// Runs the component's own command line: `arguments` without its name,
    /// `variables` as its whole environment, the standard streams of this process.
    /// The whole is ended by the host where the component does not end it in time.
    /// Answers the exit code.
    pub async fn run(
        &self,
        arguments: &[String],
        variables: &[(String, String)],
        grant: Grant,
        limits: TimeLimits,
        tls: Option<Tls>,
        observer: Arc<dyn Observer>,
    ) -> Result<u8, Error> {
        let client = client(limits, tls.as_ref(), observer.as_ref())?;
        let log = Log::new(observer);
        let all = [std::slice::from_ref(&self.description.name), arguments].concat();
        let code = self.loaded.run(&all, variables, grant, client, limits.max_duration, &log).await;
        log.flush();
        code
    }
}

/// What a host knows about a run, beside what was typed for it.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// The name of the machine.
    pub hostname: String,
    /// How many records may be read at a time; at least 1.
    pub max_concurrency: u32,
    /// Patterns of pathnames that are to be left out.
    pub excludes: Vec<String>,
}

/// This machine, one record at a time, everything.
impl Default for Circumstances {
    fn default() -> Self {
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { hostname, max_concurrency: 1, excludes: Vec::new() }
    }
}

/// A configured source.
pub struct Importer {
    instance: Instance,
    resource: ResourceAny,
    origin: String,
    root: String,
    no_merge: bool,
    limits: TimeLimits,
    endpoints: usize,
    connector: String,
    version: String,
}

impl Importer {
    /// What is imported from, in the component's words.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The directory below which all records lie.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Whether it must not be merged with other sources.
    pub fn no_merge(&self) -> bool {
        self.no_merge
    }

    /// The connector's name.
    pub fn connector(&self) -> &str {
        &self.connector
    }

    /// The connector's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The time limits of this run.
    pub fn limits(&self) -> TimeLimits {
        self.limits
    }

    /// Whether an import could start now. Takes no longer than a connection and
    /// an answer of each endpoint may.
    pub async fn ping(&mut self) -> Result<(), Error> {
        let each = self.limits.connect.saturating_add(self.limits.stall);
        let limit = each.saturating_mul(u32::try_from(self.endpoints).unwrap_or(u32::MAX));
        let Instance { store, exports, life, .. } = &mut self.instance;
        let interface = exports.plakar_connector_importer().importer();
        let call = interface.call_ping(store, self.resource);
        life.within("importer.ping", limit.min(self.limits.max_duration), call)
            .await?
            .map_err(reported)
    }

    /// Starts an import. This and what follows waits for the source as long as
    /// it takes: bound the whole by `max_duration`, as [`crate::backup::run`] does.
    pub async fn start(mut self) -> Result<Import, Error> {
        let Instance { store, exports, life, .. } = &mut self.instance;
        let interface = exports.plakar_connector_importer().importer();
        let call = interface.call_start(store, self.resource);
        let resource = life.waiting("importer.start", call).await?.map_err(reported)?;
        Ok(Import { instance: self.instance, resource })
    }
}

/// A running import.
pub struct Import {
    instance: Instance,
    resource: ResourceAny,
}

/// What an import's `next` answers.
pub enum Step {
    /// A record to store.
    Record(Record),
    /// The component goes on only after acknowledgements.
    AwaitingAcknowledgements,
    /// There are no more records.
    Finished,
}

/// One thing to store.
pub struct Record {
    /// Names it in acknowledgements.
    pub id: u64,
    /// Where it belongs, as the component says; not yet checked.
    pub pathname: String,
    /// The low nine bits of POSIX's mode.
    pub mode: u32,
    /// When its content last changed.
    pub modified: SystemTime,
    /// A file's bytes; a directory has none.
    pub reader: Option<Reader>,
}

/// The bytes of a file.
pub struct Reader(ResourceAny);

impl Import {
    /// The next thing that happens.
    pub async fn next(&mut self) -> Result<Step, Error> {
        let Instance { store, exports, life, .. } = &mut self.instance;
        let interface = exports.plakar_connector_importer().import();
        let call = interface.call_next(store, self.resource);
        Ok(match life.waiting("import.next", call).await?.map_err(reported)? {
            wit::Step::AwaitingAcknowledgements => Step::AwaitingAcknowledgements,
            wit::Step::Finished => Step::Finished,
            wit::Step::Record(record) => Step::Record(Record {
                id: record.id,
                pathname: record.pathname,
                mode: record.mode & 0o777,
                modified: modified(record.modified)?,
                reader: match record.content {
                    wit::Content::Directory => None,
                    wit::Content::File(reader) => Some(Reader(reader)),
                },
            }),
        })
    }

    /// Tells the component what became of a record.
    pub async fn acknowledge(&mut self, record: u64, fate: Fate) -> Result<(), Error> {
        let Instance { store, exports, life, .. } = &mut self.instance;
        let interface = exports.plakar_connector_importer().import();
        let fate = match fate {
            Fate::Stored(bytes) => wit::Fate::Stored(bytes),
            Fate::Skipped => wit::Fate::Skipped,
        };
        let call = interface.call_ack(store, self.resource, record, &fate);
        life.quick("import.ack", call).await
    }

    /// The next bytes of a file, at least 1 and at most `max_bytes`; none at its end.
    pub async fn read(
        &mut self,
        reader: &Reader,
        max_bytes: u32,
    ) -> Result<Option<Vec<u8>>, Error> {
        let Instance { store, exports, life, .. } = &mut self.instance;
        let interface = exports.plakar_connector_importer().reader();
        let call = interface.call_read(store, reader.0, max_bytes);
        let bytes = life.waiting("reader.read", call).await?.map_err(reported)?;
        match &bytes {
            Some(bytes) if bytes.is_empty() => Err(Error::broke(
                "`reader.read` answered no bytes, which is not how a content ends",
            )),
            Some(bytes) if bytes.len() > max_bytes as usize => Err(Error::broke(format!(
                "`reader.read` answered {} bytes where at most {max_bytes} were asked for",
                bytes.len()
            ))),
            _ => Ok(bytes),
        }
    }

    /// How many bytes a file will have, where that is known.
    pub async fn size(&mut self, reader: &Reader) -> Result<Option<u64>, Error> {
        let Instance { store, exports, life, .. } = &mut self.instance;
        let interface = exports.plakar_connector_importer().reader();
        let call = interface.call_size(store, reader.0);
        life.quick("reader.size", call).await
    }

    /// Gives a file's bytes back to the component, read to their end or not.
    pub async fn close(&mut self, reader: Reader) -> Result<(), Error> {
        let Instance { store, life, .. } = &mut self.instance;
        life.quick("dropping a reader", reader.0.resource_drop_async(store)).await
    }

    /// What is known so far; nothing where the component can no longer be asked.
    pub async fn facts(&mut self) -> Result<Vec<Fact>, Error> {
        let Instance { store, exports, life, .. } = &mut self.instance;
        if life.ended {
            return Ok(Vec::new());
        }
        let interface = exports.plakar_connector_importer().import();
        let call = interface.call_facts(store, self.resource);
        let facts = life.quick("import.facts", call).await?;
        let fact =
            |fact: wit::Fact| Fact { name: one_line(&fact.name), value: one_line(&fact.value) };
        Ok(facts.into_iter().map(fact).collect())
    }
}
