//! Things that cost the component little and the host much, until there are no more
//! handles; that traps.

use wasip2::http::types::{Fields, Method, OutgoingRequest};

/// As long as one call lets through.
const LONG: usize = 1 << 20;

/// Requests with long methods and authorities.
pub(crate) fn requests() {
    let name = "x".repeat(LONG);
    let mut hoard = Vec::new();
    loop {
        let request = OutgoingRequest::new(Fields::new());
        let _ = request.set_method(&Method::Other(name.clone()));
        let _ = request.set_authority(Some(&name));
        let _ = request.set_path_with_query(Some(&format!("/{name}")));
        hoard.push(request);
    }
}

/// Fields as large as they may be.
pub(crate) fn fields() {
    let value = vec![b'x'; 1 << 10];
    let mut hoard = Vec::new();
    loop {
        let fields = Fields::new();
        while fields.append("x", &value).is_ok() {}
        hoard.push(fields);
    }
}

/// Bodies with as much in them as may wait.
pub(crate) fn bodies() {
    let mut hoard = Vec::new();
    loop {
        let request = OutgoingRequest::new(Fields::new());
        let body = request.body().ok();
        let stream = body.as_ref().and_then(|body| body.write().ok());
        if let Some(stream) = &stream {
            let room = stream.check_write().unwrap_or(0) as usize;
            let _ = stream.write(&vec![b'x'; room]);
        }
        hoard.push((request, stream, body));
    }
}
