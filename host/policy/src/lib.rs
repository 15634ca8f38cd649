//! Decides what a run may reach, which options it gets and what it may use. Runs no
//! WebAssembly, so its tests take seconds.
//!
//! | module | what it decides |
//! | --- | --- |
//! | [`contract`] | which versions of the contract are spoken |
//! | [`options`] | which of the typed options reach the component |
//! | [`grant`] | which requests leave the sandbox |
//! | [`tls`] | whom the host trusts, and who it is to a server |
//! | [`records`] | which records are let in |
//! | [`account`] | what became of each record, and whether that is a success |
//! | [`digest`] | what a digest may cover of a content |
//! | [`facts`] | which facts are passed on |
//! | [`invocation`] | what plakar's command line means, where its protocol does not say |
//! | [`limits`] | how much memory, how many log lines and how much time a component gets |
//!
//! It knows a connector by its [`Description`], and reports to an [`Observer`]. All of
//! it is pure, except that [`options`] reads [`files`] and [`invocation`] the command
//! line of plakar.

#![forbid(unsafe_code)]

pub mod account;
pub mod contract;
mod description;
pub mod digest;
mod error;
mod events;
pub mod facts;
pub mod files;
pub mod grant;
pub mod invocation;
pub mod limits;
pub mod options;
pub mod records;
pub mod tls;

pub use description::{Description, OptionDescription, OptionKind, Protocol};
pub use error::{Error, Fault};
pub use events::{Event, Fact, Observer, Speaker};

use grant::Grant;
use options::{Config, Loaded};
use plakar_connector::{TimeLimits, location, names};
use tls::Tls;

/// What one run is granted and which options it gets, decided from what the user typed
/// before anything is contacted.
#[derive(Debug)]
pub struct Plan {
    /// The location's protocol.
    pub protocol: String,
    /// The options that the component gets.
    pub config: Config,
    /// What it may reach.
    pub grant: Grant,
    /// How connections are secured; none if no authority is reached over TLS.
    pub tls: Option<Tls>,
    /// How long it may take.
    pub limits: TimeLimits,
    /// Warnings for the user before it starts.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Decides a run of the connector described from the location and options typed.
    pub fn new(description: &Description, typed: &str, options: &Loaded) -> Result<Self, Error> {
        let mut config = Config::read(description, options)?;
        let endpoints = config.get(names::ENDPOINTS);
        let protocols = description.protocols();
        let source = location::parse(&protocols, typed, endpoints).map_err(Error::invalid)?;
        let mut warnings = options.warnings();
        warnings.extend(source.warning());
        let grant = Grant::new(source.authorities);
        let tls = Tls::read(description, options, grant.is_secure())?;
        warnings.extend(tls.as_ref().and_then(Tls::warning).map(str::to_owned));
        // As the component gets them, because they may come from a file.
        let limits = TimeLimits::read(|name| config.get(name).or(options.get(name)))
            .map_err(Error::invalid)?;

        let protocol = source.protocol.name.to_owned();
        let rest = &typed[protocol.len() + 1..];
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        config.push_location(format!("{protocol}://{rest}"));
        Ok(Self { protocol, config, grant, tls, limits, warnings })
    }
}
