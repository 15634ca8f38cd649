//! What the core asks of a network, free of any ABI.
//!
//! The adapter in [`crate::wasi`] implements [`Network`] over `wasi:http`; unit
//! tests implement it over a script. An implementation decides nothing: it never
//! retries, follows no redirect and decodes no content encoding.

use crate::error::{Error, Stage};
use plakar_connector::names::CONNECTION;
use plakar_connector::{Authority, Kind};
use std::time::Duration;

/// How long one exchange may take, part by part.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Name resolution, connection, handshake.
    pub connect: Duration,
    /// From the sent request to the response's head.
    pub first_byte: Duration,
    /// Between two pieces of the response's body.
    pub between_bytes: Duration,
}

/// An HTTP request to one endpoint. No `Debug`: it may carry a password or a token.
#[derive(Clone)]
pub struct Request {
    /// Where it goes, and whether over TLS.
    pub endpoint: Authority,
    /// The path, from the first slash.
    pub path: &'static str,
    /// Headers besides those that every client sends.
    pub headers: Vec<(&'static str, String)>,
    /// The body of a POST; `None` makes it a GET.
    pub body: Option<Vec<u8>>,
    /// Its time limits.
    pub timeouts: Timeouts,
}

/// The head of an HTTP response.
#[derive(Debug, Clone)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// A header's first value, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The name of the connection that it came over, where the host tells.
    pub fn connection(&self) -> Option<String> {
        self.header(CONNECTION).map(Into::into)
    }
}

/// What follows a body: more headers.
#[derive(Debug, Clone, Default)]
pub struct Trailers(pub Vec<(String, Vec<u8>)>);

impl Trailers {
    /// A trailer's first value, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.0, name)
    }
}

fn find<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a str> {
    let (_, value) = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(value).ok()
}

/// A whole response with a small body.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status and headers.
    pub head: Head,
    /// What followed the body.
    pub trailers: Trailers,
    /// The body, at most [`SMALL_BODY`] bytes of it.
    pub body: Vec<u8>,
}

/// The most that is read of a body that should be small, in bytes.
pub const SMALL_BODY: usize = 1 << 20;

/// A response's body, as it comes.
pub trait Body {
    /// The next bytes, never empty, or `None` where the body ended cleanly: by
    /// its last chunk, its announced length or the end of the stream.
    fn read(&mut self) -> Result<Option<Vec<u8>>, NetworkError>;

    /// What followed it; to be asked once, after its end.
    fn trailers(&mut self) -> Result<Trailers, NetworkError>;
}

/// The way out.
pub trait Network: Clone + 'static {
    /// A response's body.
    type Body: Body + 'static;

    /// Sends a request and waits for the head of its response.
    fn send(&self, request: Request) -> Result<(Head, Self::Body), NetworkError>;

    /// Sends all requests at once and waits for all small responses, no longer
    /// than `within`. Answers come in the order of the requests.
    fn exchange(
        &self,
        requests: Vec<Request>,
        within: Duration,
    ) -> Vec<Result<Response, NetworkError>>;
}

/// What can go wrong between here and a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkError {
    /// Nothing listens there, or a firewall says so.
    Refused,
    /// The name has no address.
    Dns,
    /// No connection within its limit.
    ConnectTimeout,
    /// Connected, but silent for longer than its limit.
    ReadTimeout,
    /// The host did not grant this authority.
    Denied,
    /// TLS failed; the text says how.
    Tls(String),
    /// The connection ended before the response did.
    Cut(String),
    /// What came is not HTTP as it should be.
    Protocol(String),
    /// Anything else.
    Other(String),
}

impl NetworkError {
    /// The error for people: at this endpoint, during this stage.
    pub fn at(self, endpoint: &Authority, stage: Stage, timeouts: &Timeouts) -> Error {
        let seconds = |limit: Duration| humantime::format_duration(limit).to_string();
        let error = match self {
            NetworkError::Refused => Error::new(Kind::Unreachable, "connection refused")
                .remedy("check that etcd runs and listens there"),
            NetworkError::Dns => Error::new(Kind::Unreachable, "the name has no address")
                .remedy("check its spelling and the DNS of this machine"),
            NetworkError::ConnectTimeout => Error::new(
                Kind::Unreachable,
                format!("no connection within {}", seconds(timeouts.connect)),
            )
            .remedy("check the network, or raise `connect_timeout`"),
            NetworkError::ReadTimeout => {
                let (limit, option) = match stage {
                    Stage::Snapshot => (timeouts.between_bytes, "stall_timeout"),
                    _ => (timeouts.first_byte, "connect_timeout"),
                };
                // A login is a proposal to the whole cluster; nothing else here is.
                let check = match stage {
                    Stage::Login => {
                        "a login needs a quorum: check that a majority of the members runs"
                    }
                    _ => "check that member's load and disk",
                };
                Error::new(Kind::TimedOut, format!("the server was silent for {}", seconds(limit)))
                    .remedy(format!("{check}, or raise `{option}`"))
            }
            NetworkError::Denied => Error::new(Kind::Other, "the host did not grant this endpoint")
                .remedy("name it in the location or in `endpoints`"),
            NetworkError::Tls(text) => Error::new(Kind::Unreachable, text),
            // Some hosts call an end before its time a protocol error.
            NetworkError::Cut(text) | NetworkError::Protocol(text) if stage == Stage::Snapshot => {
                Error::new(Kind::Interrupted, format!("the connection was cut ({text})"))
                    .remedy("look into that member's log, and run the backup again")
            }
            NetworkError::Cut(text) => {
                Error::new(Kind::Unreachable, format!("the connection was closed ({text})"))
                    .remedy("check that this is etcd's client port, and whether it wants TLS")
            }
            NetworkError::Protocol(text) => {
                Error::new(Kind::Unreachable, format!("the answer is not HTTP ({text})"))
                    .remedy("check that this is etcd's client port, and whether it wants TLS")
            }
            NetworkError::Other(text) => Error::new(Kind::Unreachable, text),
        };
        error.at(endpoint, stage)
    }
}
