//! What one run is granted, decided from what the user typed before anything is contacted.

use crate::grant::Grant;
use crate::invocation::option;
use crate::options::{Config, Loaded};
use crate::tls::Tls;
use crate::{Description, Error};
use plakar_connector::{TimeLimits, location, names};

/// What an import is granted, and which options it gets.
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
    /// Plans a run of this connector from the location and options that were typed.
    pub fn new(description: &Description, typed: &str, options: &Loaded) -> Result<Self, Error> {
        let mut config = Config::read(description, options)?;
        let endpoints = config.get(names::ENDPOINTS);
        let protocols = description.protocols();
        let source = location::parse(&protocols, typed, endpoints).map_err(Error::invalid)?;
        let mut warnings = options.warnings();
        warnings.extend(source.warning());
        let grant = Grant::new(source.authorities);
        let tls = Tls::read(description, options, grant.uses_tls())?;
        warnings.extend(tls.as_ref().and_then(Tls::warning).map(str::to_owned));
        // As the component receives them, because they may come from a file.
        let limits = TimeLimits::read(|name| config.get(name).or(options.get(name)))
            .map_err(Error::invalid)?;

        let protocol = source.protocol.name.to_owned();
        let rest = &typed[protocol.len() + 1..];
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        config.push_location(format!("{protocol}://{rest}"));
        Ok(Self { protocol, config, grant, tls, limits, warnings })
    }
}

/// What a run of the connector's own command line is granted. The arguments are the
/// connector's; the host reads only those of its options that it enforces.
#[derive(Debug)]
pub struct CommandPlan {
    /// What it may reach.
    pub grant: Grant,
    /// How connections are secured; none if no authority is reached over TLS.
    pub tls: Option<Tls>,
    /// How long it may take.
    pub limits: TimeLimits,
    /// Warnings for the user before it starts.
    pub warnings: Vec<String>,
}

impl CommandPlan {
    /// Plans a run with these arguments. Of the options of the host only those for TLS are
    /// accepted: all others are the connector's, and belong in the arguments.
    pub fn new(
        description: &Description,
        arguments: &[String],
        options: &Loaded,
    ) -> Result<Self, Error> {
        let endpoints = option(arguments, names::ENDPOINTS);
        let grant = Grant::of_arguments(description, arguments, endpoints)?;
        let tls = Tls::read(description, options, grant.uses_tls())?;
        let mut warnings = options.warnings();
        warnings.extend(tls.as_ref().and_then(Tls::warning).map(str::to_owned));
        // The component reads them as well, and refuses those that it does not declare.
        let limits = TimeLimits::read(|name| option(arguments, name)).map_err(Error::invalid)?;
        Ok(Self { grant, tls, limits, warnings })
    }
}
