//! Locations, endpoints, and the authorities they name.
//!
//! The set of authorities read here **is** the network grant, so the reading is
//! strict: anything that is not clearly a host and a port is refused, and a text that
//! could contain a credential is never repeated in a message.
//!
//! The crate `url` is not used. For a scheme such as `etcd` it neither lower-cases
//! a host nor checks an address, it has no form `etcd:HOST`, it silently drops tabs and
//! newlines and reads `HOST:` as `HOST`: all checks here would still be needed, before and
//! after it. And it adds 72 KB to a component of 680 KB (`url` 2.5 with the ASCII-only
//! `idna_adapter` 1.0). The host receives requests as `http::Uri`, whose authority
//! [`authority`] reads by the same rules.

use crate::Message;
use crate::names::ENDPOINTS;
use crate::text::escaped;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A protocol of a connector, as its description declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol<'a> {
    /// The text before `://`.
    pub name: &'a str,
    /// Whether connections are TLS.
    pub tls: bool,
    /// The port if none is typed.
    pub default_port: u16,
}

/// A host and a port to connect to, in one canonical spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Authority {
    /// A lower-case DNS name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The TCP port, never 0.
    pub port: u16,
    /// Whether connections to it are TLS.
    pub tls: bool,
}

/// As in a URL: IPv6 in brackets, always with the port.
impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Authority {
    /// The scheme of requests to it.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

/// What a location and its `endpoints` name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source<'a> {
    /// The location's protocol.
    pub protocol: Protocol<'a>,
    /// Where to connect: in the order typed, without duplicates, at least one.
    pub authorities: Vec<Authority>,
    /// The host of the location, if `endpoints` is given and does not contain it.
    pub unused: Option<Authority>,
}

impl Source<'_> {
    /// A warning if the user typed a location that is not used.
    pub fn warning(&self) -> Option<String> {
        let unused = self.unused.as_ref()?;
        Some(format!("`{unused}`, the location, is not in `{ENDPOINTS}`: it is not used"))
    }
}

/// Reads a location and, if given, the `endpoints` that take precedence over it.
///
/// An error never shows a text that contains an `@`, nor what follows a `?` or a `#`: it
/// may be a password.
pub fn parse<'a>(
    protocols: &[Protocol<'a>],
    location: &str,
    endpoints: Option<&str>,
) -> Result<Source<'a>, Message> {
    let bad = |reason: &str, remedy: String| {
        Message::new(reason).at(format_args!("location `{}`", shown(location))).remedy(remedy)
    };
    let forms = || {
        let forms: Vec<_> = protocols.iter().map(|p| format!("`{}://HOST:PORT`", p.name)).collect();
        format!("write {}", forms.join(" or "))
    };
    // Plakar reads `etcd:host` as `etcd://host`, and so do the host and the component.
    let Some((name, rest)) = location.split_once(':') else {
        return Err(bad("it has no protocol", forms()));
    };
    let Some(&protocol) = protocols.iter().find(|p| is_called(p, name)) else {
        return Err(if is_socket_file(name) {
            bad(SOCKET_FILE.reason, SOCKET_FILE.remedy.into())
        } else {
            bad("its protocol is unknown", forms())
        });
    };
    let rest = rest.strip_prefix("//").unwrap_or(rest);

    // A bad location is an error even if the endpoints take precedence over it.
    let named = match rest.trim_end_matches('/') {
        "" => None,
        host => Some(authority(host, protocol).map_err(|f| bad(f.reason, f.remedy.into()))?),
    };
    let (authorities, unused) = match endpoints {
        Some(list) => {
            let authorities = parse_endpoints(protocols, protocol, list)?;
            let unused = named.filter(|named| !authorities.contains(named));
            (authorities, unused)
        }
        None => (named.into_iter().collect(), None),
    };
    if authorities.is_empty() {
        return Err(bad("it names no host", format!("{}, or give `{ENDPOINTS}`", forms())));
    }
    Ok(Source { protocol, authorities, unused })
}

fn parse_endpoints(
    protocols: &[Protocol<'_>],
    protocol: Protocol<'_>,
    list: &str,
) -> Result<Vec<Authority>, Message> {
    let mut authorities = Vec::new();
    for endpoint in list.split(',').map(str::trim) {
        let bad = |reason: String, remedy: String| {
            // A password may contain a comma, and is then spread over several entries.
            let text = if list.contains('@') { shown(list) } else { shown(endpoint) };
            Message::new(reason).at(format_args!("option `{ENDPOINTS}`: `{text}`")).remedy(remedy)
        };
        let address = match endpoint.split_once("://") {
            None => endpoint,
            Some((scheme, address)) => {
                let tls = match scheme.to_ascii_lowercase().as_str() {
                    "http" => false,
                    "https" => true,
                    other => match protocols.iter().find(|p| is_called(p, other)) {
                        Some(named) => named.tls,
                        None if is_socket_file(other) => {
                            return Err(bad(SOCKET_FILE.reason.into(), SOCKET_FILE.remedy.into()));
                        }
                        None => {
                            return Err(bad(
                                "its scheme is unknown".into(),
                                "write HOST:PORT, or a URL with `http` or `https`".into(),
                            ));
                        }
                    },
                };
                if tls != protocol.tls {
                    let is = |tls| if tls { "TLS" } else { "plain HTTP" };
                    let other = protocols.iter().find(|p| p.tls == tls);
                    return Err(bad(
                        format!(
                            "it is {}, but `{}://` is {}",
                            is(tls),
                            protocol.name,
                            is(protocol.tls)
                        ),
                        match other {
                            Some(other) => format!(
                                "use the same kind for all endpoints, and `{}://` as the \
                                    location for {}",
                                other.name,
                                is(tls)
                            ),
                            None => "use the same kind for all endpoints".into(),
                        },
                    ));
                }
                address.trim_end_matches('/')
            }
        };
        // An empty entry comes from an extra comma or an empty list.
        if endpoint.is_empty() {
            return Err(bad(
                "its host is empty".into(),
                "write HOST or HOST:PORT, separated by single commas".into(),
            ));
        }
        let authority = authority(address, protocol)
            .map_err(|fault| bad(fault.reason.into(), fault.remedy.into()))?;
        if !authorities.contains(&authority) {
            authorities.push(authority);
        }
    }
    Ok(authorities)
}

/// What is wrong with an authority, and what to write instead.
#[derive(Debug)]
pub struct Fault {
    reason: &'static str,
    remedy: &'static str,
}

const fn fault(reason: &'static str, remedy: &'static str) -> Fault {
    Fault { reason, remedy }
}

/// etcd can serve on a Unix socket, which a sandbox cannot reach.
const SOCKET_FILE: Fault = fault(
    "it is a socket file, which is not supported",
    "use the address of a TCP listener: HOST:PORT",
);

fn is_socket_file(scheme: &str) -> bool {
    ["unix", "unixs"].iter().any(|name| scheme.eq_ignore_ascii_case(name))
}

/// Schemes are case-insensitive (RFC 3986, section 3.1).
fn is_called(protocol: &Protocol<'_>, name: &str) -> bool {
    protocol.name.eq_ignore_ascii_case(name)
}

/// Reads `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`: what the user typed, and what a
/// component requests. A grant relies on one function reading both.
pub fn authority(text: &str, protocol: Protocol<'_>) -> Result<Authority, Fault> {
    if text.contains('@') {
        return Err(fault(
            "it contains credentials",
            "remove them, because Plakar stores the location in every snapshot; use options, and \
                `_file` for secrets",
        ));
    }
    if text.contains(['/', '?', '#']) {
        return Err(fault("it has a path or a query", "end it after the port"));
    }
    if text.contains([',', ';']) || text.contains(char::is_whitespace) {
        return Err(fault(
            "its host is neither a DNS name nor an address: it contains a comma, a semicolon or \
                a space",
            "list several hosts in `endpoints`, separated by commas: \
                `endpoints=node1:2379,node2:2379`",
        ));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inner, after) = rest.split_once(']').ok_or_else(|| {
                fault("its IPv6 address has no closing bracket", "write `[::1]:2379`")
            })?;
            if inner.contains('%') {
                return Err(LINK_LOCAL);
            }
            let address: Ipv6Addr = inner.parse().map_err(|_| {
                fault("the text in brackets is not an IPv6 address", "write `[::1]:2379`")
            })?;
            if address.is_unicast_link_local() {
                return Err(LINK_LOCAL);
            }
            let port = match after {
                "" => None,
                _ => Some(after.strip_prefix(':').ok_or_else(|| {
                    fault(
                        "the bracket is followed by something other than a port",
                        "write `[::1]:2379`",
                    )
                })?),
            };
            (address.to_string(), port)
        }
        None if text.matches(':').count() > 1 => {
            return Err(fault(
                "it has more than one colon",
                "put an IPv6 address in brackets: `[::1]:2379`",
            ));
        }
        None => {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            (dns_name_or_ipv4(host)?, port)
        }
    };
    let port = match port {
        None => protocol.default_port,
        // `parse` alone would take `+80`.
        Some(port) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            match port.parse() {
                Ok(port) if port != 0 => port,
                _ => return Err(fault("its port is out of range", "use a port from 1 to 65535")),
            }
        }
        Some(_) => return Err(fault("its port is not a number", "use a port from 1 to 65535")),
    };
    Ok(Authority { host, port, tls: protocol.tls })
}

fn dns_name_or_ipv4(host: &str) -> Result<String, Fault> {
    if host.is_empty() {
        return Err(fault("its host is empty", "write HOST or HOST:PORT"));
    }
    let labels_are_good = host.len() <= 253
        && host.strip_suffix('.').unwrap_or(host).split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        });
    // `1.2.3`, `1.2.3.256` and `0x7f000001` look like addresses and may resolve to others.
    let looks_like_ipv4 = host.split('.').all(is_number);
    if !labels_are_good || (looks_like_ipv4 && host.parse::<Ipv4Addr>().is_err()) {
        return Err(fault(
            "its host is neither a DNS name nor an address",
            "write HOST or HOST:PORT",
        ));
    }
    Ok(host.to_ascii_lowercase())
}

/// Whether the resolver of C accepts it as a part of an address: decimal, octal or
/// hexadecimal.
fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x").or(label.strip_prefix("0X")) {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => label.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// Such an address also needs its interface, which a request cannot name.
const LINK_LOCAL: Fault = fault(
    "it is a link-local IPv6 address or has a zone, which is not supported",
    "use another address of that member, such as `[2001:db8::1]:2379`",
);

/// The longest part of a location or an endpoint in a message, in characters.
const LONGEST_SHOWN: usize = 256;

/// What a message may show of a text that the user typed.
fn shown(text: &str) -> String {
    if text.contains('@') {
        return "…".into();
    }
    match text.split_once(['?', '#']) {
        Some((before, _)) => format!("{}…", escaped(before, LONGEST_SHOWN)),
        None => escaped(text, LONGEST_SHOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETCD: [Protocol<'static>; 3] = [
        Protocol { name: "etcd", tls: false, default_port: 2379 },
        Protocol { name: "etcd+http", tls: false, default_port: 2379 },
        Protocol { name: "etcd+https", tls: true, default_port: 2379 },
    ];

    fn granted(location: &str, endpoints: Option<&str>) -> Vec<String> {
        parse(&ETCD, location, endpoints)
            .unwrap_or_else(|e| panic!("{location} {endpoints:?}: {e}"))
            .authorities
            .iter()
            .map(|a| format!("{}://{a}", a.scheme()))
            .collect()
    }

    fn refused(location: &str, endpoints: Option<&str>) -> String {
        parse(&ETCD, location, endpoints).expect_err(location).to_string()
    }

    #[test]
    fn every_form_of_a_location_names_one_authority() {
        for (location, authority) in [
            ("etcd://node1", "http://node1:2379"),
            ("etcd:node1:1234", "http://node1:1234"),
            ("etcd://Node1.Example.:1234/", "http://node1.example.:1234"),
            ("etcd+http://10.0.0.1", "http://10.0.0.1:2379"),
            ("ETCD://node1", "http://node1:2379"),
            ("etcd+HTTPS:node1", "https://node1:2379"),
            ("etcd://0xcafe.example", "http://0xcafe.example:2379"),
            ("etcd://[::ffff:127.0.0.1]", "http://[::ffff:127.0.0.1]:2379"),
            ("etcd+https://node1:2379", "https://node1:2379"),
            ("etcd://[::1]", "http://[::1]:2379"),
            ("etcd://[0:0::1]:2380/", "http://[::1]:2380"),
        ] {
            assert_eq!(granted(location, None), [authority], "{location}");
        }
    }

    #[test]
    fn endpoints_take_precedence_over_the_location() {
        assert_eq!(
            granted("etcd://other", Some("http://a:1, b ,etcd://c/,[::1]:2")),
            ["http://a:1", "http://b:2379", "http://c:2379", "http://[::1]:2"]
        );
        assert_eq!(
            granted("etcd+https://", Some("a,https://b:1,HTTPS://c,Etcd+Https://d/")),
            ["https://a:2379", "https://b:1", "https://c:2379", "https://d:2379"]
        );
    }

    #[test]
    fn a_location_that_endpoints_replace_is_reported() {
        let warning =
            |location, endpoints| parse(&ETCD, location, endpoints).expect("it is fine").warning();
        let warned = warning("etcd://node9", Some("node1,node2")).expect("a warning");
        assert!(warned.starts_with("`node9:2379`"), "{warned}");
        for (location, endpoints) in [
            ("etcd://NODE1:2379", Some("node1,node2")),
            ("etcd://", Some("node1")),
            ("etcd://node1", None),
        ] {
            assert_eq!(warning(location, endpoints), None);
        }
    }

    #[test]
    fn duplicate_endpoints_are_dropped_whatever_their_spelling() {
        assert_eq!(
            granted("etcd://", Some("A,a:2379,http://a/,[::1],[0::1]:2379")),
            ["http://a:2379", "http://[::1]:2379"]
        );
    }

    #[test]
    fn mixed_schemes_are_refused() {
        let message = refused("etcd://", Some("http://a,https://b"));
        assert!(
            message.contains("`https://b`") && message.contains("`etcd+https://`"),
            "{message}"
        );
        assert!(refused("etcd+https://", Some("http://a")).contains("plain HTTP"));
    }

    #[test]
    fn credentials_are_refused_and_never_repeated() {
        for (location, endpoints) in [
            ("etcd://root:hunter2@node1", None),
            ("etcd://hunter2@node1:2379/", None),
            ("nope://root:hunter2@node1", None),
            ("etcd://root:hunter2@node1", Some("node1")),
            ("etcd://", Some("a,http://root:hunter2@b")),
            ("etcd://", Some("ftp://root:hunter2@b")),
        ] {
            let message = refused(location, endpoints);
            assert!(!message.contains("hunter2"), "{message}");
        }
        assert!(refused("etcd://root:hunter2@node1", None).contains("credentials"));
    }

    #[test]
    fn a_text_that_may_contain_a_password_or_control_a_terminal_is_not_repeated() {
        for (location, endpoints) in [
            ("etcd://node1/?password=hunter2", None),
            ("etcd://node1#hunter2", None),
            ("nope://node1?password=hunter2", None),
            ("etcd://", Some("a,b?password=hunter2")),
            ("etcd://", Some("http://root:hunter2,x@b")),
        ] {
            let message = refused(location, endpoints);
            assert!(!message.contains("hunter2"), "{message}");
        }
        for text in ["etcd://a\nb", "etcd://\x1b[2Ja", "\u{9b}2J", "etcd://a\u{202e}b"] {
            let message = refused(text, None);
            assert!(!message.contains(crate::text::is_hidden), "{message:?}");
        }
        assert!(refused(&"x".repeat(1 << 20), None).len() < 1000);
    }

    #[test]
    fn forms_that_other_programs_accept_are_refused_with_the_right_form() {
        for (location, endpoints, words) in [
            ("etcd://a:2379,b:2379", None, "`endpoints=node1:2379,node2:2379`"),
            ("etcd://a:2379 b:2379", None, "`endpoints=node1:2379,node2:2379`"),
            ("etcd://", Some("a:2379;b:2379"), "separated by commas"),
            ("etcd://", Some("a:2379\nb:2379"), "separated by commas"),
            ("etcd://", Some("a:2379,"), "separated by single commas"),
            ("etcd://", Some("unix:///run/etcd.sock"), "socket file"),
            ("unixs:///run/etcd.sock", None, "socket file"),
            ("etcd://[fe80::1%25eth0]", None, "link-local"),
            ("etcd://[fe80::1%lo]:2379", None, "link-local"),
            ("etcd://[fe80::1]", None, "link-local"),
        ] {
            let message = refused(location, endpoints);
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn bad_locations_say_what_is_wrong_and_how_to_write_it() {
        for (location, reason) in [
            ("node1", "no protocol"),
            ("etc://node1", "protocol is unknown"),
            ("http://node1", "`etcd://HOST:PORT`"),
            ("etcd://", "names no host"),
            ("etcd:///", "names no host"),
            ("etcd://:2379", "host is empty"),
            ("etcd://node1:", "not a number"),
            ("etcd://node1:+80", "not a number"),
            ("etcd://node1:0", "out of range"),
            ("etcd://node1:65536", "out of range"),
            ("etcd://node1:2379/path", "path or a query"),
            ("etcd://node1?x=1", "path or a query"),
            ("etcd://::1", "brackets"),
            ("etcd://[::1", "closing bracket"),
            ("etcd://[nope]", "not an IPv6"),
            ("etcd://[::1]x", "other than a port"),
            ("etcd://no de", "neither a DNS name"),
            ("etcd://-a", "neither a DNS name"),
            ("etcd://1.2.3.256", "neither a DNS name"),
            ("etcd://127.1", "neither a DNS name"),
            ("etcd://0x7f000001", "neither a DNS name"),
            ("etcd://0X7f.1", "neither a DNS name"),
            ("etcd://0177.0.0.1", "neither a DNS name"),
            ("etcd://a..b", "neither a DNS name"),
        ] {
            let message = refused(location, None);
            assert!(message.contains(reason), "{location}: {message}");
        }
        assert!(refused("etcd://", Some("a,,b")).contains("host is empty"));
        assert!(refused("etcd://", Some("")).contains("host is empty"));
    }
}
