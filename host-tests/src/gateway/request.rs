//! What the fake gateway was asked.

use std::io::{self, Read};

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `POST`; `PRI` where the client began with HTTP/2.
    pub method: String,
    /// From the first slash.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Reads the next request of a connection; `None` if the client left.
    pub(super) fn read(connection: &mut impl Read) -> io::Result<Option<Request>> {
        let mut bytes = Vec::new();
        let (mut request, head) = loop {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut parsed = httparse::Request::new(&mut headers);
            match parsed.parse(&bytes) {
                Ok(httparse::Status::Complete(head)) => break (Request::of(&parsed), head),
                Ok(httparse::Status::Partial) => {}
                Err(_) if bytes.starts_with(b"PRI * HTTP/2") => {
                    let (method, path) = ("PRI".into(), "*".into());
                    return Ok(Some(Request {
                        method,
                        path,
                        headers: Vec::new(),
                        body: Vec::new(),
                    }));
                }
                Err(error) => return Err(io::Error::other(error)),
            }
            if more(connection, &mut bytes)? == 0 {
                return Ok(None);
            }
        };
        let mut body = bytes.split_off(head);
        let chunked = request.header("transfer-encoding").is_some_and(|coding| coding == "chunked");
        let length = request.header("content-length").and_then(|length| length.parse().ok());
        while if chunked { !body.ends_with(b"0\r\n\r\n") } else { body.len() < length.unwrap_or(0) }
        {
            if more(connection, &mut body)? == 0 {
                return Ok(None);
            }
        }
        request.body = if chunked { unchunked(&body) } else { body };
        Ok(Some(request))
    }

    fn of(parsed: &httparse::Request<'_, '_>) -> Request {
        let header = |header: &httparse::Header<'_>| {
            let value = String::from_utf8_lossy(header.value).into_owned();
            (header.name.to_ascii_lowercase(), value)
        };
        Request {
            method: parsed.method.unwrap_or_default().into(),
            path: parsed.path.unwrap_or_default().into(),
            headers: parsed.headers.iter().map(header).collect(),
            body: Vec::new(),
        }
    }
}

fn more(connection: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let mut buffer = [0; 4096];
    let length = connection.read(&mut buffer)?;
    bytes.extend_from_slice(&buffer[..length]);
    Ok(length)
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(httparse::Status::Complete((start, length))) = httparse::parse_chunk_size(bytes) {
        let end = start + length as usize;
        body.extend_from_slice(&bytes[start..end]);
        bytes = &bytes[end + 2..];
        if length == 0 {
            break;
        }
    }
    body
}
