//! The JSON gateway: requests and responses.
//!
//! Requests go to `/v3/…`, which every etcd since 3.4 serves. Two generations of
//! gateway respond: grpc-gateway v1 up to upstream's 3.5, v2 in Debian's 3.5 and
//! from 3.6 on. Their errors differ, so both forms are read.

use super::call::{Call, CallError, Message};
use super::failure::{compressed, cut_message, garbled};
use super::messages::{AuthenticateRequest, HashKvRequest, JsonSnapshotMessage, StreamError};
use super::refusal::Refusal;
use super::splitter::Splitter;
use crate::error::{Error, Result, plain, quote};
use crate::net::{Head, Request, Response, Timeouts};
use plakar_connector::{Authority, ErrorKind};

/// Path, headers and body of a call.
pub(super) fn request(
    call: Call<'_>,
    token: Option<&str>,
) -> (&'static str, Vec<(&'static str, String)>, Vec<u8>) {
    let (path, body) = match call {
        Call::Status => ("/v3/maintenance/status", "{}".into()),
        Call::MemberList => ("/v3/cluster/member/list", "{}".into()),
        Call::Authenticate { name, password } => (
            "/v3/auth/authenticate",
            json(&AuthenticateRequest { name: name.into(), password: password.into() }),
        ),
        Call::HashKv { revision } => ("/v3/maintenance/hashkv", json(&HashKvRequest { revision })),
        Call::Snapshot { .. } => ("/v3/maintenance/snapshot", "{}".into()),
    };
    let mut headers = vec![
        ("accept", "application/json".to_string()),
        ("content-type", "application/json".into()),
    ];
    if let Some(token) = token {
        // Without `Bearer`, which is understood only from 3.5.32, 3.6.13 and 3.7 on.
        headers.push(("authorization", token.into()));
    }
    (path, headers, body.into_bytes())
}

fn json(message: &impl serde::Serialize) -> String {
    serde_json::to_string(message).unwrap_or_else(|error| unreachable!("{error}"))
}

/// The request for a member's version, which needs no permission.
pub(crate) fn version_request(endpoint: &Authority, timeouts: Timeouts) -> Request {
    let headers = vec![("accept", "application/json".to_string())];
    Request { endpoint: endpoint.clone(), path: "/version", headers, body: None, timeouts }
}

/// Reads a unary call's response.
pub(super) fn unary<T: serde::de::DeserializeOwned>(
    response: &Response,
) -> std::result::Result<T, CallError> {
    if !succeeded(&response.head).map_err(CallError::Unreadable)? {
        return Err(CallError::Refused(refusal(&response.head, &response.body)));
    }
    read(response).map_err(|error| {
        let reason = plain(&error.to_string());
        CallError::Unreadable(
            Error::new(ErrorKind::Corrupt, format!("the response is not one of etcd's ({reason})"))
                .remedy("check that this is etcd 3.4 or later, without a proxy in between"),
        )
    })
}

/// Reads a body as JSON.
pub(crate) fn read<T: serde::de::DeserializeOwned>(response: &Response) -> serde_json::Result<T> {
    serde_json::from_slice(&response.body)
}

/// Whether a head announces the requested response; false if it is a
/// refusal, which the body explains.
pub(crate) fn succeeded(head: &Head) -> Result<bool> {
    if let Some(encoding) = head.header("content-encoding").filter(|e| *e != "identity") {
        return Err(compressed(encoding));
    }
    if head.status != 200 {
        return Ok(false);
    }
    let media_type = head.header("content-type").unwrap_or_default();
    if media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .eq_ignore_ascii_case("application/json")
    {
        Ok(true)
    } else {
        Err(Error::new(
            ErrorKind::Other,
            format!("the response is not etcd's: its type is {}", quote(media_type)),
        )
        .remedy("check that this is etcd's client port, without a proxy in between"))
    }
}

/// Reads a refusal in any of its forms.
pub(crate) fn refusal(head: &Head, body: &[u8]) -> Refusal {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Shape<'a> {
        /// The form of a stream's error, even if no result came before it.
        Stream {
            #[serde(borrow)]
            error: StreamError<'a>,
        },
        /// gateway v1 adds an `error` with the same text, which is ignored.
        Unary {
            code: u32,
            #[serde(borrow, default)]
            message: std::borrow::Cow<'a, str>,
        },
    }
    let (code, message) = match serde_json::from_slice(body) {
        Ok(Shape::Stream { error }) => (Some(error.code), error.message.into_owned()),
        Ok(Shape::Unary { code, message }) => (Some(code), message.into_owned()),
        Err(_) => (None, String::from_utf8_lossy(body).into_owned()),
    };
    Refusal { status: head.status, code, message }
}

/// Decodes the body of the snapshot stream.
#[derive(Debug, Default)]
pub struct Decoder {
    splitter: Splitter,
}

impl Decoder {
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        mut each: impl FnMut(Message<'_>, &mut Vec<u8>, usize) -> Result<()>,
    ) -> std::result::Result<(), CallError> {
        self.splitter.push(bytes, |value| {
            let message: JsonSnapshotMessage<'_> =
                serde_json::from_slice(value).map_err(|error| {
                    let reason = plain(&error.to_string());
                    garbled(format!("a message of the stream cannot be read ({reason})"))
                })?;
            if let Some(error) = message.error {
                return Err(CallError::Refused(Refusal {
                    status: 200,
                    code: Some(error.code),
                    message: error.message.into_owned(),
                }));
            }
            let Some(piece) = message.result else {
                return Err(
                    garbled("a message of the stream is neither a result nor an error").into()
                );
            };
            let begin = out.len();
            base64_simd::STANDARD
                .decode_append(piece.blob.as_bytes(), out)
                .map_err(|_| garbled("a message of the stream contains invalid base64"))?;
            let message =
                Message { remaining: piece.remaining_bytes, storage_version: &piece.version };
            Ok(each(message, out, begin)?)
        })
    }

    pub(super) fn finish(&self) -> std::result::Result<(), CallError> {
        if self.splitter.is_between_values() { Ok(()) } else { Err(cut_message().into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(status: u16, headers: &[(&str, &str)]) -> Head {
        let headers = headers.iter().map(|(n, v)| (n.to_string(), v.as_bytes().to_vec())).collect();
        Head { status, headers }
    }

    #[test]
    fn both_generations_of_refusals_are_read() {
        for body in [
            r#"{"error":"M","message":"M","code":3}"#,
            r#"{"error":"M","code":3,"message":"M"}"#,
            r#"{"code":3, "message":"M"}"#,
            r#"{"error":{"grpc_code":3,"http_code":400,"message":"M","http_status":"T"}}"#,
            r#"{"error":{"code":3,"message":"M"}}"#,
        ] {
            let refusal = refusal(&head(400, &[]), body.as_bytes());
            assert_eq!((refusal.code, refusal.message.as_str()), (Some(3), "M"), "{body}");
        }
        assert_eq!(refusal(&head(404, &[]), b"404 page not found\n").code, None);
    }

    #[test]
    fn a_web_page_or_a_compressed_response_is_not_accepted_as_etcds() {
        let json = ("content-type", "application/json");
        assert_eq!(succeeded(&head(200, &[json])), Ok(true));
        assert_eq!(
            succeeded(&head(200, &[("content-type", "Application/JSON; charset=utf-8")])),
            Ok(true)
        );
        assert_eq!(succeeded(&head(503, &[])), Ok(false));
        assert!(succeeded(&head(200, &[("content-type", "text/html")])).is_err());
        assert!(succeeded(&head(200, &[])).is_err());
        assert!(succeeded(&head(200, &[json, ("content-encoding", "gzip")])).is_err());
    }

    #[test]
    fn odd_characters_in_a_password_survive() {
        let call = Call::Authenticate { name: "ro\"ot", password: "p\\ä\n\u{1f511}" };
        let (_, _, body) = request(call, None);
        let read: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(read["name"], "ro\"ot");
        assert_eq!(read["password"], "p\\ä\n\u{1f511}");
    }

    fn decode(body: &[u8]) -> std::result::Result<Vec<(u64, Vec<u8>)>, CallError> {
        let mut decoder = Decoder::default();
        let mut messages = Vec::new();
        let mut out = Vec::new();
        decoder.push(body, &mut out, |message, out, begin| {
            messages.push((message.remaining, out.split_off(begin)));
            Ok(())
        })?;
        decoder.finish()?;
        Ok(messages)
    }

    #[test]
    fn any_valid_json_is_understood() {
        for body in [
            r#"{"result":{"remaining_bytes":"5","blob":"aGk="}}"#,
            r#"{"result":{"blob":"aGk=","remaining_bytes":5,"version":"3.6.0","new":[{}]}}"#,
            "{ \"result\" :\n{\"blob\": \"\\u0061G\\u006b=\",\t\"remaining_bytes\":\"5\"} , \
                \"x\":1}\r\n",
            r#"{"error":null,"result":{"blob":"aGk=","remaining_bytes":"5"}}"#,
        ] {
            assert_eq!(decode(body.as_bytes()), Ok(vec![(5, b"hi".to_vec())]), "{body}");
        }
    }

    #[test]
    fn anything_but_a_message_is_refused() {
        for body in [
            "{}",
            r#"{"result":null}"#,
            r#"{"result":{"blob":"aGk"}}"#,
            r#"{"result":{"blob":"aG k="}}"#,
            r#"{"result":{"blob":5}}"#,
            r#"{"result":{"remaining_bytes":"-1","blob":""}}"#,
            r#"{"result":{"blob":"","blob":""}}"#,
            r#"{"result":{"blob":"aGk="} "x"}"#,
        ] {
            let refused = decode(body.as_bytes()).expect_err(body);
            assert!(
                matches!(&refused, CallError::Unreadable(e) if e.kind == ErrorKind::Corrupt),
                "{body}"
            );
        }
    }

    #[test]
    fn an_error_in_the_stream_takes_precedence_over_a_result_beside_it() {
        for error in
            [r#""code":13,"message":"M""#, r#""grpc_code":13,"http_code":500,"message":"M""#]
        {
            let body = format!(r#"{{"result":{{"blob":"aGk="}},"error":{{{error}}}}}"#);
            let refused = decode(body.as_bytes()).expect_err(error);
            assert!(
                matches!(refused, CallError::Refused(Refusal { code: Some(13), .. })),
                "{error}"
            );
        }
    }

    #[test]
    fn an_unfinished_message_is_an_interruption() {
        let cut = decode(b"{\"result\":{").expect_err("cut");
        assert!(matches!(cut, CallError::Unreadable(e) if e.kind == ErrorKind::Interrupted));
    }
}
