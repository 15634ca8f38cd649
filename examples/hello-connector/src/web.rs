//! One GET over `wasi:http`.

use crate::wasi::http::outgoing_handler::handle;
use crate::wasi::http::types::{Fields, IncomingBody, OutgoingRequest, Scheme};
use crate::wasi::io::streams::InputStream;

/// The stream is dropped before the body that it belongs to.
pub(crate) type Body = (InputStream, IncomingBody);

/// The body of what `url`, which begins with `http://`, answers with status 200; or
/// what went wrong, for people.
pub(crate) fn get(url: &str) -> Result<Body, String> {
    let rest = url.trim_start_matches("http://");
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let request = OutgoingRequest::new(Fields::new());
    request
        .set_scheme(Some(&Scheme::Http))
        .and_then(|()| request.set_authority(Some(host)))
        .and_then(|()| request.set_path_with_query(Some(path)))
        .map_err(|()| format!("`{url}`: it is malformed"))?;
    let failed = |code| format!("`{url}`: {code}");
    let answer = handle(request, None).map_err(failed)?;
    answer.subscribe().block();
    let response = match answer.get() {
        Some(Ok(response)) => response.map_err(failed)?,
        _ => return Err(format!("`{url}`: no answer")),
    };
    if response.status() != 200 {
        return Err(format!("`{url}`: status {}", response.status()));
    }
    let body = response.consume().map_err(|()| format!("`{url}`: no body"))?;
    let stream = body.stream().map_err(|()| format!("`{url}`: no stream"))?;
    Ok((stream, body))
}
