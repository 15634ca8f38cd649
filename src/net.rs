//! What the core needs of a network, independent of any ABI.
//!
//! The adapter in [`crate::wasi`] implements [`Network`] over `wasi:http`; unit
//! tests implement it over a script. An implementation makes no decisions: it does not
//! retry, follow redirects or decode content encodings.

use plakar_connector::Authority;
use plakar_connector::names::CONNECTION;
use std::time::Duration;

/// The time limits of the parts of one exchange.
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
    /// The endpoint, and whether the connection is TLS.
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
    /// A header's first value, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The name of the connection on which it arrived, if the host reports it.
    pub fn connection(&self) -> Option<String> {
        self.header(CONNECTION).map(Into::into)
    }

    /// Whether its headers show that an HTTP proxy passed the response on. etcd itself sends
    /// none of these headers, and not every proxy adds one.
    pub fn is_proxied(&self) -> bool {
        ["server", "via", "x-envoy-upstream-service-time"]
            .iter()
            .any(|name| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)))
    }
}

/// The headers that follow a body.
#[derive(Debug, Clone, Default)]
pub struct Trailers(pub Vec<(String, Vec<u8>)>);

impl Trailers {
    /// A trailer's first value, if it is text.
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
    /// The trailers of the body.
    pub trailers: Trailers,
    /// The body, at most [`SMALL_BODY`] bytes of it.
    pub body: Vec<u8>,
}

/// The largest part of a body that is read if the body should be small, in bytes.
pub const SMALL_BODY: usize = 1 << 20;

/// A response's body, as it arrives.
pub trait Body {
    /// Reads the next bytes, maybe none, or returns `None` if the body ended cleanly: by
    /// its last chunk, its announced length or the end of the stream.
    fn read(&mut self) -> Result<Option<Vec<u8>>, NetworkError>;

    /// Returns its trailers; to be called once, after its end.
    fn trailers(&mut self) -> Result<Trailers, NetworkError>;
}

/// The network, as the core uses it.
pub trait Network: Clone + 'static {
    /// A response's body.
    type Body: Body + 'static;

    /// Sends a request and waits for the head of its response.
    fn send(&self, request: Request) -> Result<(Head, Self::Body), NetworkError>;

    /// Sends all requests at once and waits for all small responses, for at
    /// most `within`. Responses come in the order of the requests.
    fn exchange(
        &self,
        requests: Vec<Request>,
        within: Duration,
    ) -> Vec<Result<Response, NetworkError>>;
}

/// What can go wrong between here and a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkError {
    /// The connection was refused, by the server or a firewall.
    Refused,
    /// There is no route to the address, or a firewall says so.
    Unroutable,
    /// The name has no address.
    Dns,
    /// No connection within its limit.
    ConnectTimeout,
    /// Connected, but nothing arrived within the limit.
    ReadTimeout,
    /// Something arrived, but not all of it within the limit.
    Late,
    /// The host did not grant this authority.
    Denied,
    /// The host has as many requests under way as it allows.
    Busy,
    /// TLS failed; the text says how, and after a semicolon what to do about it.
    Tls(String),
    /// The connection ended before the response did.
    Cut(String),
    /// What arrived is not valid HTTP.
    Protocol(String),
    /// More arrived than a response may contain; the text says in which part.
    TooLong(String),
    /// Anything else.
    Other(String),
}
