//! One GET over `wasi:http`.

use crate::wasi::http::outgoing_handler::handle;
use crate::wasi::http::types::{ErrorCode, Fields, IncomingBody, OutgoingRequest, Scheme};
use crate::wasi::io::streams::{InputStream, StreamError};
use crate::{Content, Error};

/// The body of a response.
pub struct Body {
    url: String,
    /// Dropped before the body that it belongs to.
    stream: InputStream,
    _body: IncomingBody,
}

/// Sends a GET of `url`, which begins with `http://` or `https://`, and returns the body of a
/// response with status 200. Redirects are not followed.
pub fn get(url: &str) -> Result<Body, Error> {
    let other = |reason: &str| Error::Other(format!("`{url}`: {reason}"));
    let failed = |code| of_exchange(url, code);
    let (scheme, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => (Scheme::Http, rest),
        (_, Some(rest)) => (Scheme::Https, rest),
        _ => return Err(other("it has no scheme that is known")),
    };
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let request = OutgoingRequest::new(Fields::new());
    request
        .set_scheme(Some(&scheme))
        .and_then(|()| request.set_authority(Some(host)))
        .and_then(|()| request.set_path_with_query(Some(path)))
        .map_err(|()| other("it is malformed"))?;
    let pending = handle(request, None).map_err(failed)?;
    pending.subscribe().block();
    let response = match pending.get() {
        Some(Ok(response)) => response.map_err(failed)?,
        _ => return Err(other("no response")),
    };
    if response.status() != 200 {
        return Err(other(&format!("status {}", response.status())));
    }
    let body = response.consume().map_err(|()| other("no body"))?;
    let stream = body.stream().map_err(|()| other("no body"))?;
    Ok(Body { url: url.into(), stream, _body: body })
}

/// The case of the contract's `error` for a request that failed.
fn of_exchange(url: &str, code: ErrorCode) -> Error {
    let text = |reason| format!("`{url}`: {reason}");
    match code {
        ErrorCode::HttpRequestDenied => Error::Other(text("its host was not granted")),
        ErrorCode::DnsTimeout
        | ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::HttpResponseTimeout => Error::TimedOut(text("it took too long")),
        ErrorCode::DnsError(_) => Error::Unreachable(text("its name cannot be resolved")),
        ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::ConnectionRefused => Error::Unreachable(text("no connection")),
        ErrorCode::ConnectionTerminated | ErrorCode::HttpResponseIncomplete => {
            Error::Interrupted(text("the connection was lost"))
        }
        ErrorCode::TlsProtocolError
        | ErrorCode::TlsCertificateError
        | ErrorCode::TlsAlertReceived(_) => Error::Unreachable(text("TLS failed")),
        _ => Error::Other(text("the request failed")),
    }
}

impl Content for Body {
    fn read(&self, max_bytes: u32) -> Result<Option<Vec<u8>>, Error> {
        match self.stream.blocking_read(max_bytes.into()) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StreamError::Closed) => Ok(None),
            Err(_) => Err(Error::Interrupted(format!("`{}` was cut short", self.url))),
        }
    }
}
