//! One HTTP request.

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, OutgoingRequest, RequestOptions, Scheme};
use wasip2::io::streams::StreamError;

/// Between two bytes of a response, in nanoseconds.
const PATIENCE: u64 = 2_000_000_000;

/// GETs a URL and reads the response to its end; returns status and length, or
/// what went wrong. `grpc` in place of `http` makes it a request of gRPC's type, which
/// goes over HTTP/2.
pub(crate) fn get(url: &str) -> Result<String, String> {
    let (scheme, rest) = url.split_once("://").ok_or("the URL has no scheme")?;
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let sent_as = match scheme {
        "http" | "grpc" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.into()),
    };
    let fields = Fields::new();
    if scheme == "grpc" {
        let set = fields.append("content-type", b"application/grpc");
        set.map_err(|error| error.to_string())?;
    }
    let request = OutgoingRequest::new(fields);
    let put = |done: Result<(), ()>| done.map_err(|()| "the URL is malformed".to_owned());
    put(request.set_scheme(Some(&sent_as)))?;
    put(request.set_authority(Some(authority)))?;
    put(request.set_path_with_query(Some(path)))?;
    let options = RequestOptions::new();
    put(options.set_between_bytes_timeout(Some(PATIENCE)))?;

    let pending = handle(request, Some(options)).map_err(|code| code.to_string())?;
    pending.subscribe().block();
    let response = match pending.get() {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(code))) => return Err(code.to_string()),
        _ => return Err("there is no response".into()),
    };
    let status = response.status();
    let body = response.consume().map_err(|()| "there is no body")?;
    let stream = body.stream().map_err(|()| "there is no stream")?;
    let mut length = 0;
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(bytes) => length += bytes.len(),
            Err(StreamError::Closed) => return Ok(format!("{status} with {length} bytes")),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(match wasip2::http::types::http_error_code(&error) {
                    Some(code) => format!("{code} after {length} bytes"),
                    None => format!("{} after {length} bytes", error.to_debug_string()),
                });
            }
        }
    }
}
