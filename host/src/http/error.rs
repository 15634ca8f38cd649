//! Translates a failed exchange into the errors of wasi:http.
//!
//! A component can act on a case; if none fits, the cause is passed as text. So are TLS
//! failures, because their cases carry no text that could name a remedy.

use super::cause::{chain, find, innermost, io_kind, is_cut};
use super::connection::TlsFailure;
use super::tls;
use hyper_util::client::legacy;
use std::error::Error as StdError;
use std::io::{self, ErrorKind};
use wasmtime_wasi_http::Error;

/// Returns why an exchange failed before its response's head arrived.
pub(super) fn of_exchange(error: &legacy::Error) -> Error {
    tracing::debug!("a request failed: {}", text(error));
    if let Some(reported) = TlsFailure::of(error) {
        return Error::InternalError(Some(reported));
    }
    if error.is_connect() { of_connection(error) } else { of_message(error) }
}

/// Returns why a response's body failed.
pub(super) fn of_body(error: &hyper::Error) -> Error {
    tracing::debug!("a response's body failed: {}", text(error));
    of_message(error)
}

fn of_connection(error: &legacy::Error) -> Error {
    // hyper-util's own connector identifies a failed lookup only by this text.
    if chain(error).any(|cause| cause.to_string() == "dns error") {
        return Error::DnsError { rcode: Some(innermost(error)), info_code: None };
    }
    if let Some(reported) = of_tls(error) {
        return reported;
    }
    match io_kind(error) {
        Some(ErrorKind::ConnectionRefused) => Error::ConnectionRefused,
        Some(ErrorKind::TimedOut) => Error::ConnectionTimeout,
        // Linux reports an address without a usable route as invalid.
        Some(
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::InvalidInput,
        ) => Error::DestinationIpUnroutable,
        Some(ErrorKind::PermissionDenied) => Error::DestinationIpProhibited,
        // TCP is set up or refused; only a handshake can be cut short.
        Some(kind) if is_cut(kind) => Error::InternalError(Some(tls::cut().to_string())),
        _ => Error::InternalError(Some(format!("connect: {}", innermost(error)))),
    }
}

fn of_message(error: &(dyn StdError + 'static)) -> Error {
    // The component's own error comes back if it aborted its request.
    if let Some(own) = find::<Error>(error) {
        return Error::InternalError(Some(format!("request: {own}")));
    }
    if let Some(reported) = of_tls(error) {
        return reported;
    }
    if let Some(http2) = find::<h2::Error>(error) {
        return of_http2(http2);
    }
    let hyper = find::<hyper::Error>(error);
    match (hyper, io_kind(error)) {
        (Some(hyper), _)
            if hyper.is_incomplete_message() || hyper.is_canceled() || hyper.is_closed() =>
        {
            Error::ConnectionTerminated
        }
        (Some(hyper), _) if hyper.is_timeout() => Error::HttpResponseTimeout,
        (Some(hyper), _) if hyper.is_parse_too_large() => {
            Error::HttpResponseHeaderSectionSize(None)
        }
        (Some(hyper), _) if hyper.is_parse() || spoke_first(hyper) => Error::HttpProtocolError,
        (_, Some(kind)) if is_cut(kind) => Error::ConnectionTerminated,
        (_, Some(ErrorKind::TimedOut)) => Error::ConnectionReadTimeout,
        _ => Error::InternalError(Some(text(error))),
    }
}

/// Returns whether the server sent something before the request, as an HTTP/2 server does.
/// hyper identifies this only by its text.
fn spoke_first(error: &hyper::Error) -> bool {
    error.to_string() == "received unexpected message from connection"
}

/// Finds a TLS failure by its text, which is all that HTTP/2 passes on.
fn of_tls(error: &(dyn StdError + 'static)) -> Option<Error> {
    let reported =
        chain(error).map(ToString::to_string).find(|text| text.starts_with(tls::MARK))?;
    Some(Error::InternalError(Some(reported)))
}

fn of_http2(error: &h2::Error) -> Error {
    match error.get_io().map(io::Error::kind) {
        Some(ErrorKind::TimedOut) => Error::ConnectionReadTimeout,
        Some(kind) if is_cut(kind) => Error::ConnectionTerminated,
        Some(_) => Error::InternalError(Some(error.to_string())),
        // The server closed the connection, in one way or another.
        None if error.is_remote() && error.reason() != Some(h2::Reason::HTTP_1_1_REQUIRED) => {
            Error::ConnectionTerminated
        }
        // What it sends is not HTTP/2.
        None => Error::HttpProtocolError,
    }
}

/// Returns all causes, without the pool's own error, which says nothing, and without errors
/// that only repeat their cause.
fn text(error: &(dyn StdError + 'static)) -> String {
    let causes = chain(error).filter(|cause| !cause.is::<legacy::Error>());
    let mut words: Vec<String> = causes.map(ToString::to_string).collect();
    words.dedup();
    words.join(": ")
}
