//! The network grant: exactly the authorities that the user typed.

use crate::{Description, Error};
use http::Uri;
use plakar_connector::{Authority, location};
use std::fmt;
use std::net::Ipv6Addr;

/// What a component may send HTTP requests to.
#[derive(Debug, Clone, Default)]
pub struct Grant {
    authorities: Vec<Authority>,
}

impl Grant {
    /// Nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// These authorities and no other.
    pub fn new(authorities: Vec<Authority>) -> Self {
        Self { authorities }
    }

    /// What the arguments of a connector's own command line name: `endpoints`
    /// where given, else every argument that is a location of its protocols.
    pub fn of_arguments(
        description: &Description,
        arguments: &[String],
        endpoints: Option<&str>,
    ) -> Result<Self, Error> {
        let protocols = description.protocols();
        let is_location = |argument: &&String| {
            argument.split_once("://").is_some_and(|(name, _)| {
                protocols.iter().any(|protocol| protocol.name.eq_ignore_ascii_case(name))
            })
        };
        let mut locations: Vec<String> = arguments.iter().filter(is_location).cloned().collect();
        if locations.is_empty() && endpoints.is_some() {
            locations.extend(protocols.first().map(|protocol| format!("{}://", protocol.name)));
        }
        let mut authorities = Vec::new();
        for text in &locations {
            let source = location::parse(&protocols, text, endpoints)
                .map_err(|error| Error::invalid(error.to_string()))?;
            authorities.extend(source.authorities);
        }
        Ok(Self::new(authorities))
    }

    /// How many authorities it names.
    pub fn len(&self) -> usize {
        self.authorities.len()
    }

    /// Whether it names none.
    pub fn is_empty(&self) -> bool {
        self.authorities.is_empty()
    }

    /// Whether any of them is reached over TLS.
    pub fn is_secure(&self) -> bool {
        self.authorities.iter().any(|authority| authority.tls)
    }

    /// What is granted, in the order typed.
    pub fn iter(&self) -> impl Iterator<Item = &Authority> {
        self.authorities.iter()
    }

    /// Whether a request to this URI may leave the sandbox.
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

/// A request that was not let out.
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
            "the component asked for `{asked}`, which is not granted; granted: {}",
            self.granted
        )
    }
}

/// The authority of a URI in the spelling of [`Authority`]; none where it holds
/// anything that a location may not hold, user information above all.
fn asked(uri: &Uri) -> Option<Authority> {
    let authority = uri.authority()?;
    if authority.as_str().contains('@') {
        return None;
    }
    let (tls, default_port) = match uri.scheme_str()? {
        "http" => (false, 80),
        "https" => (true, 443),
        _ => return None,
    };
    let host = match authority.host().strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.to_string(),
        None => authority.host().to_ascii_lowercase(),
    };
    // `host:` and `host:99999` have no port that can be read, which is not the
    // same as naming none.
    let port = match authority.port_u16() {
        Some(port) => port,
        None if authority.as_str().len() == authority.host().len() => default_port,
        None => return None,
    };
    Some(Authority { host, port, tls })
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
            "/v3/status",
        ] {
            let refusal = grant.allows(&Uri::from_static(uri)).expect_err(uri).to_string();
            assert!(refusal.contains("granted: http://node1:2379"), "{refusal}");
            assert!(!refusal.contains("hunter2"), "{refusal}");
        }
        assert!(Grant::none().allows(&Uri::from_static("http://node1:2379")).is_err());
    }
}
