//! The network grant: exactly the authorities that the user typed.

use crate::{Description, Error};
use http::Uri;
use plakar_connector::{Authority, Protocol, location};
use std::fmt;

/// What a component may send HTTP requests to.
#[derive(Debug, Clone, Default)]
pub struct Grant {
    authorities: Vec<Authority>,
}

impl Grant {
    /// A grant of nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// A grant of these authorities and no others.
    pub fn new(authorities: Vec<Authority>) -> Self {
        Self { authorities }
    }

    /// A grant of what the arguments of a connector's own command line name: `endpoints` if
    /// given, otherwise every argument that is a location of one of its protocols.
    pub fn of_arguments(
        description: &Description,
        arguments: &[String],
        endpoints: Option<&str>,
    ) -> Result<Self, Error> {
        let protocols = description.protocols();
        let is_location = |argument: &&String| {
            let is_protocol = |name: &str| {
                protocols.iter().any(|protocol| protocol.name.eq_ignore_ascii_case(name))
            };
            argument.split_once(':').is_some_and(|(name, _)| is_protocol(name))
        };
        let mut locations: Vec<String> = arguments.iter().filter(is_location).cloned().collect();
        if locations.is_empty() && endpoints.is_some() {
            locations.extend(protocols.first().map(|protocol| format!("{}://", protocol.name)));
        }
        let mut authorities = Vec::new();
        for text in &locations {
            let source = location::parse(&protocols, text, endpoints).map_err(Error::invalid)?;
            authorities.extend(source.authorities);
        }
        Ok(Self::new(authorities))
    }

    /// Returns the number of authorities.
    pub fn len(&self) -> usize {
        self.authorities.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.authorities.is_empty()
    }

    /// Returns whether any of them is reached over TLS.
    pub fn uses_tls(&self) -> bool {
        self.authorities.iter().any(|authority| authority.tls)
    }

    /// Iterates over the authorities, in the order typed.
    pub fn iter(&self) -> impl Iterator<Item = &Authority> {
        self.authorities.iter()
    }

    /// Checks whether a request to this URI may leave the sandbox.
    pub fn allows(&self, uri: &Uri) -> Result<(), Refusal> {
        let asked = asked(uri);
        match &asked {
            Some(asked) if self.authorities.contains(asked) => Ok(()),
            _ => Err(Refusal {
                asked: asked.map(|asked| format!("{}://{asked}", asked.scheme())),
                granted: self.to_string(),
            }),
        }
    }
}

/// `http://node1:2379, http://[::1]:2379`, or `nothing`.
impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        for (index, authority) in self.authorities.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}://{authority}", authority.scheme())?;
        }
        Ok(())
    }
}

/// A request that may not leave the sandbox.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    asked: Option<String>,
    granted: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = self.asked.as_deref().unwrap_or("a malformed authority");
        write!(
            f,
            "the component requested `{asked}`, which is not granted; granted: {}",
            self.granted
        )
    }
}

/// The schemes of requests, and their default ports.
const SCHEMES: [Protocol<'static>; 2] = [
    Protocol { name: "http", tls: false, default_port: 80 },
    Protocol { name: "https", tls: true, default_port: 443 },
];

/// Returns the authority of a URI, parsed like that of a location; `None` if it is not
/// valid in a location.
fn asked(uri: &Uri) -> Option<Authority> {
    let scheme = SCHEMES.into_iter().find(|scheme| uri.scheme_str() == Some(scheme.name))?;
    location::authority(uri.authority()?.as_str(), scheme).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(authorities: &[(&str, u16)]) -> Grant {
        let authorities = authorities
            .iter()
            .map(|&(host, port)| Authority { host: host.into(), port, tls: false })
            .collect();
        Grant::new(authorities)
    }

    #[test]
    fn what_was_typed_is_granted_in_every_spelling() {
        let grant = grant(&[("node1", 2379), ("::1", 80)]);
        for uri in ["http://node1:2379/x", "http://NODE1:2379", "http://[::1]", "http://[0::1]:80/"]
        {
            assert_eq!(grant.allows(&Uri::from_static(uri)), Ok(()), "{uri}");
        }
    }

    #[test]
    fn a_location_among_arguments_is_granted_in_every_form_that_the_component_accepts() {
        let description = Description {
            name: "test".into(),
            version: "0.1.0".into(),
            summary: String::new(),
            kind: "test".into(),
            protocols: vec![crate::Protocol { name: "test".into(), tls: false, default_port: 7 }],
            options: Vec::new(),
        };
        for location in ["test://node1", "test:node1", "TEST://node1/"] {
            let arguments = ["backup", "-o", "a=test:x", location].map(String::from);
            let grant = Grant::of_arguments(&description, &arguments, None).expect(location);
            assert_eq!(grant.to_string(), "http://node1:7", "{location}");
        }
    }

    #[test]
    fn nothing_else_is_granted() {
        let grant = grant(&[("node1", 2379)]);
        for uri in [
            "http://node1/",
            "http://node1:2380",
            "https://node1:2379",
            "http://node2:2379",
            "http://node1.:2379",
            "http://root:hunter2@node1:2379",
            "http://node1:2379@evil:2379",
            "http://node1:",
            "/v3/status",
        ] {
            let refusal = grant.allows(&Uri::from_static(uri)).expect_err(uri).to_string();
            assert!(refusal.contains("granted: http://node1:2379"), "{refusal}");
            assert!(!refusal.contains("hunter2"), "{refusal}");
        }
        assert!(Grant::none().allows(&Uri::from_static("http://node1:2379")).is_err());
    }
}
