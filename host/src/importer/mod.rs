//! Typed calls into a component, each within its time.
//!
//! ```text
//! Sandbox ─load─▶ Connector ─plan─▶ Plan ─open─▶ Importer ─start─▶ Import
//! ```
//!
//! After a call was cancelled or trapped nothing more is called, as the contract requires:
//! each type returns an error from then on, and dropping it drops the whole store.

mod convert;
mod digest;
mod instance;

use crate::Sandbox;
use crate::bindings::{importer as wit, types};
use crate::http::Client;
use crate::sandbox::{Loaded, Log};
use bytes::Bytes;
use convert::{into_description, reported};
use digest::Hashing;
use instance::Instance;
use plakar_connector::{ErrorKind, TimeLimits};
use plakar_policy::account::Fate;
use plakar_policy::grant::Grant;
use plakar_policy::limits::one_line;
use plakar_policy::options::Options;
use plakar_policy::{CommandPlan, Description, Error, Event, Fact, Observer, Plan, Speaker};
use plakar_policy::{facts, records};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use wasmtime::component::ResourceAny;

/// A component that is a connector, and its description of itself.
pub struct Connector {
    loaded: Loaded,
    description: Description,
}

impl Sandbox {
    /// Loads the component in the file `path` and asks for its description.
    pub async fn connector(&self, path: &Path) -> Result<Connector, Error> {
        let loaded = self.load(path).await?;
        let client = Client::new(default_limits()?, None)?;
        let mut instance = Instance::new(&loaded, Grant::none(), client, Arc::new(())).await?;
        let call =
            instance.exports.plakar_connector_description().call_describe(&mut instance.store);
        let description = instance.calls.quick("describe", call).await?;
        Ok(Connector { loaded, description: into_description(description).check()? })
    }
}

fn default_limits() -> Result<TimeLimits, Error> {
    TimeLimits::read(|_| None).map_err(Error::invalid)
}

impl Connector {
    /// Returns the component's description of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Returns the names of the interfaces that the component imports, and of those that it
    /// exports.
    pub fn interfaces(&self) -> (Vec<String>, Vec<String>) {
        let ty = self.loaded.component.component_type();
        let imports = ty.imports(&self.loaded.engine).map(|(name, _)| name.to_owned()).collect();
        let exports = ty.exports(&self.loaded.engine).map(|(name, _)| name.to_owned()).collect();
        (imports, exports)
    }

    /// Decides what a run on `location` may do and which options it gets. Reads the files that
    /// options name, and contacts nothing.
    pub async fn plan(&self, location: &str, options: &Options) -> Result<Plan, Error> {
        let options = options.load(&self.description).await?;
        Plan::new(&self.description, location, &options)
    }

    /// Passes the plan to a new instance. The component checks it and contacts nothing.
    pub async fn open(&self, plan: Plan, observer: Arc<dyn Observer>) -> Result<Importer, Error> {
        let Plan { protocol, config, grant, tls, limits, warnings } = plan;
        for line in &warnings {
            observer.event(Event::Warning { from: Speaker::Host, line });
        }
        let client = Client::new(limits, tls.as_ref())?;
        let authority = |authority: &plakar_connector::Authority| types::Authority {
            host: authority.host.clone(),
            port: authority.port,
            tls: authority.tls,
        };
        let options = wit::ImportOptions {
            protocol,
            authorities: grant.iter().map(authority).collect(),
            config: config.pairs().to_vec(),
            digests: vec![types::DigestAlgorithm::Sha256],
        };
        let endpoints = grant.len();
        let mut instance = Instance::new(&self.loaded, grant, client, observer).await?;
        let Instance { store, exports, calls, .. } = &mut instance;
        let interface = exports.plakar_connector_importer().importer();
        let call = interface.call_open(&mut *store, &options);
        let resource = calls.quick("importer.open", call).await?.map_err(reported)?;
        let call = interface.call_origin(&mut *store, resource);
        let origin = one_line(&calls.quick("importer.origin", call).await?);
        Ok(Importer {
            instance,
            resource,
            origin,
            limits,
            endpoints,
            connector: self.description.name.clone(),
            version: self.description.version.clone(),
        })
    }

    /// Runs the component's own command line: `arguments` without its name,
    /// `variables` as its whole environment, the standard streams of this process.
    /// The host ends the run if the component does not end it in time. Returns the exit
    /// code.
    pub async fn run(
        &self,
        arguments: &[String],
        variables: &[(String, String)],
        plan: CommandPlan,
        observer: Arc<dyn Observer>,
    ) -> Result<u8, Error> {
        let CommandPlan { grant, tls, limits, warnings } = plan;
        for line in &warnings {
            observer.event(Event::Warning { from: Speaker::Host, line });
        }
        let client = Client::new(limits, tls.as_ref())?;
        let log = Log::new(observer);
        let all = [std::slice::from_ref(&self.description.name), arguments].concat();
        let code = self.loaded.run(&all, variables, grant, client, limits.max_duration, &log).await;
        log.flush();
        code
    }
}

/// The number of responses that a connector may wait for, one after the other, before it
/// begins to read from an endpoint: a probe, a login, the identity of the member, and that
/// again.
const SHORT_ANSWERS: u32 = 12;

/// A configured source.
pub struct Importer {
    instance: Instance,
    resource: ResourceAny,
    origin: String,
    limits: TimeLimits,
    endpoints: usize,
    connector: String,
    version: String,
}

impl Importer {
    /// Returns what is imported from, in the component's words.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the connector's name.
    pub fn connector(&self) -> &str {
        &self.connector
    }

    /// Returns the connector's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the time limits of this run.
    pub fn limits(&self) -> TimeLimits {
        self.limits
    }

    /// Checks whether an import would start now. Takes no longer than a few short responses
    /// and one long one of each endpoint may take.
    pub async fn ping(&mut self) -> Result<(), Error> {
        let short = self.limits.connect.saturating_mul(SHORT_ANSWERS);
        let each = short.saturating_add(self.limits.stall);
        let limit = each.saturating_mul(u32::try_from(self.endpoints).unwrap_or(u32::MAX));
        let Instance { store, exports, calls, .. } = &mut self.instance;
        let interface = exports.plakar_connector_importer().importer();
        let call = interface.call_ping(store, self.resource);
        calls
            .within("importer.ping", limit.min(self.limits.max_duration), call)
            .await?
            .map_err(reported)
    }

    /// Starts an import. This and the calls that follow wait for the source without a
    /// limit: bound the whole by `max_duration`, as [`crate::backup::run`] does.
    pub async fn start(mut self) -> Result<Import, Error> {
        let Instance { store, exports, calls, .. } = &mut self.instance;
        let interface = exports.plakar_connector_importer().importer();
        let call = interface.call_start(store, self.resource);
        let resource = calls.waiting("importer.start", call).await?.map_err(reported)?;
        Ok(Import { instance: self.instance, resource })
    }
}

/// A running import.
pub struct Import {
    instance: Instance,
    resource: ResourceAny,
}

/// What an import's `next` returns.
pub enum Step {
    /// A record to store.
    Record(Record),
    /// The component continues only after acknowledgements.
    AwaitingAcknowledgements,
    /// There are no more records.
    Finished,
}

/// One thing to store.
pub struct Record {
    /// Identifies it in acknowledgements.
    pub id: u64,
    /// Where it belongs, as the component states it; not yet checked.
    pub pathname: Arc<str>,
    /// The permission bits of POSIX's mode.
    pub mode: u32,
    /// When its content last changed.
    pub modified: SystemTime,
    /// A file's bytes; a directory has none.
    pub reader: Option<Reader>,
}

/// The bytes of a file.
pub struct Reader {
    resource: ResourceAny,
    /// Bytes read so far.
    bytes: u64,
    /// Under way from the first read to the end.
    hashing: Option<Hashing>,
}

impl Import {
    /// Asks the component for its next step.
    pub async fn next(&mut self) -> Result<Step, Error> {
        let Instance { store, exports, calls, .. } = &mut self.instance;
        let interface = exports.plakar_connector_importer().import_run();
        let call = interface.call_next(store, self.resource);
        Ok(match calls.waiting("import-run.next", call).await?.map_err(reported)? {
            wit::Step::AwaitingAcknowledgements => Step::AwaitingAcknowledgements,
            wit::Step::Finished => Step::Finished,
            wit::Step::Next(record) => {
                let reader = |resource| Reader { resource, bytes: 0, hashing: None };
                Step::Record(Record {
                    id: record.id,
                    pathname: record.pathname.into(),
                    mode: records::mode(record.mode)?,
                    modified: records::modified(
                        record.modified.seconds,
                        record.modified.nanoseconds,
                    )?,
                    reader: match record.content {
                        wit::Content::Directory => None,
                        wit::Content::File(resource) => Some(reader(resource)),
                    },
                })
            }
        })
    }

    /// Reports to the component what happened to a record.
    pub async fn acknowledge(&mut self, record: u64, fate: Fate) -> Result<(), Error> {
        let Instance { store, exports, calls, .. } = &mut self.instance;
        let interface = exports.plakar_connector_importer().import_run();
        let fate = match fate {
            Fate::Stored(bytes) => wit::Fate::Stored(bytes),
            Fate::Skipped => wit::Fate::Skipped,
        };
        let call = interface.call_ack(store, self.resource, record, fate);
        calls.quick("import-run.ack", call).await
    }

    /// Lets the component end what it began, once every record is acknowledged and
    /// before anything is committed.
    pub async fn finish(&mut self) -> Result<(), Error> {
        let Instance { store, exports, calls, .. } = &mut self.instance;
        let interface = exports.plakar_connector_importer().import_run();
        let call = interface.call_finish(store, self.resource);
        calls.waiting("import-run.finish", call).await?.map_err(reported)
    }

    /// Reads the next bytes of a file, at least 1 and at most `max_bytes`. Returns `None`
    /// at its end, if the file has the digest that the component states. Not to be called
    /// again after that.
    pub async fn read(
        &mut self,
        reader: &mut Reader,
        max_bytes: u32,
    ) -> Result<Option<Bytes>, Error> {
        let Instance { store, exports, calls, .. } = &mut self.instance;
        let interface = exports.plakar_connector_importer().reader();
        let call = interface.call_read(store, reader.resource, max_bytes);
        let Some(bytes) = calls.waiting("reader.read", call).await?.map_err(reported)? else {
            self.check_digest(reader).await?;
            return Ok(None);
        };
        if bytes.is_empty() {
            return Err(Error::broke(
                "`reader.read` returned an empty list, which is not the end of a content",
            ));
        }
        if bytes.len() > max_bytes as usize {
            return Err(Error::broke(format!(
                "`reader.read` returned {} bytes, more than the {max_bytes} requested",
                bytes.len()
            )));
        }
        let bytes = Bytes::from(bytes);
        reader.bytes += bytes.len() as u64;
        reader.hashing.get_or_insert_with(Hashing::start).update(bytes.clone()).await;
        Ok(Some(bytes))
    }

    /// Fails if a content does not have the digest that the component states.
    async fn check_digest(&mut self, reader: &mut Reader) -> Result<(), Error> {
        let Instance { store, exports, calls, .. } = &mut self.instance;
        let interface = exports.plakar_connector_importer().reader();
        let call = interface.call_digest(store, reader.resource);
        let stated = calls.quick("reader.digest", call).await?;
        let Some(types::Digest { algorithm, bytes, value, mismatch }) = stated else {
            return Ok(());
        };
        let types::DigestAlgorithm::Sha256 = algorithm;
        let hashing = reader.hashing.take().unwrap_or_else(Hashing::start);
        let computed = hashing.finish().await?.of_first(bytes).ok_or_else(|| {
            Error::broke(format!(
                "`reader.digest` covers {bytes} bytes of a content that has {}",
                reader.bytes
            ))
        })?;
        if computed[..] == value[..] {
            Ok(())
        } else {
            Err(Error::reported(ErrorKind::Corrupt, one_line(&mismatch)))
        }
    }

    /// Returns how many bytes a file will have, if that is known.
    pub async fn size(&mut self, reader: &Reader) -> Result<Option<u64>, Error> {
        let Instance { store, exports, calls, .. } = &mut self.instance;
        let interface = exports.plakar_connector_importer().reader();
        let call = interface.call_size(store, reader.resource);
        calls.quick("reader.size", call).await
    }

    /// Gives a file's bytes back to the component, read to their end or not.
    pub async fn close(&mut self, reader: Reader) -> Result<(), Error> {
        let Instance { store, calls, .. } = &mut self.instance;
        calls.quick("dropping a reader", reader.resource.resource_drop_async(store)).await
    }

    /// Returns what is known so far; nothing if the component can no longer be called.
    pub async fn facts(&mut self) -> Result<Vec<Fact>, Error> {
        let Instance { store, exports, calls, .. } = &mut self.instance;
        if calls.ended {
            return Ok(Vec::new());
        }
        let interface = exports.plakar_connector_importer().import_run();
        let call = interface.call_facts(store, self.resource);
        let fact = |types::Fact { name, value }: types::Fact| Fact { name, value };
        let all = calls.quick("import-run.facts", call).await?.into_iter().map(fact).collect();
        facts::checked(all)
    }
}
