//! A network that responds from a script, for unit tests of the core.

use crate::net::{Body, Head, Network, NetworkError, Request, Response, Trailers};
use sha2::{Digest, Sha256};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// The response of one endpoint at one path to each request.
type Respond = Box<dyn Fn(&Request) -> Result<Reply, NetworkError>>;

/// One piece of a body, or what ends it.
pub(crate) type Piece = Result<Vec<u8>, NetworkError>;

/// A response.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) head: Head,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) trailers: Trailers,
    /// The time before each piece arrives.
    pub(crate) pause: Duration,
}

impl From<(Head, Vec<Piece>)> for Reply {
    fn from((head, pieces): (Head, Vec<Piece>)) -> Self {
        Self { head, pieces, trailers: Trailers::default(), pause: Duration::ZERO }
    }
}

impl Reply {
    /// A JSON response.
    pub(crate) fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        (json_head(status), vec![Ok(body.into())]).into()
    }

    /// A gRPC response with this body and this status at its end.
    fn grpc_body(body: Vec<u8>, code: &str, message: &str) -> Self {
        let headers = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(n, v)| (n.to_string(), v.as_bytes().to_vec())).collect::<Vec<_>>()
        };
        Self {
            head: Head { status: 200, headers: headers(&[("content-type", "application/grpc")]) },
            pieces: vec![Ok(body)],
            trailers: Trailers(headers(&[("grpc-status", code), ("grpc-message", message)])),
            pause: Duration::ZERO,
        }
    }

    /// A gRPC response with these messages, one frame each, and success.
    pub(crate) fn grpc(messages: &[&dyn Encode]) -> Self {
        let frames = messages.iter().flat_map(|message| {
            let message = message.encoded();
            let length = u32::try_from(message.len()).expect("a small message");
            [&[0], &length.to_be_bytes()[..], &message].concat()
        });
        Self::grpc_body(frames.collect(), "0", "")
    }

    /// A gRPC refusal, as etcd sends it: all in the head.
    pub(crate) fn grpc_refusal(code: &str, message: &str) -> Self {
        let mut reply = Self::grpc_refusal_in_trailers(code, message);
        reply.head.headers.append(&mut reply.trailers.0);
        reply
    }

    /// A gRPC refusal, as a proxy may split it into head and trailers.
    pub(crate) fn grpc_refusal_in_trailers(code: &str, message: &str) -> Self {
        Self { pieces: Vec::new(), ..Self::grpc_body(Vec::new(), code, message) }
    }

    /// A web page in place of a gRPC response.
    pub(crate) fn page(status: u16) -> Self {
        let headers = vec![("content-type".into(), b"text/html".to_vec())];
        (Head { status, headers }, vec![Ok(b"<html>".to_vec())]).into()
    }

    /// This head, and bytes that arrive one by one, each in time: zeroes after `begin`.
    pub(crate) fn dripping(head: Head, begin: &[u8]) -> Self {
        let bytes = begin.iter().chain(&[0; 1000]).map(|byte| Ok(vec![*byte])).collect();
        Self { pause: Duration::from_millis(5), ..(head, bytes).into() }
    }

    /// The same response on this connection.
    pub(crate) fn over(mut self, connection: impl ToString) -> Self {
        let number = connection.to_string().into_bytes();
        self.head.headers.push(("plakar-connection".into(), number));
        self
    }
}

/// A protobuf message.
pub(crate) trait Encode {
    fn encoded(&self) -> Vec<u8>;
}

impl<T: prost::Message> Encode for T {
    fn encoded(&self) -> Vec<u8> {
        self.encode_to_vec()
    }
}

/// A request: endpoint, path and token.
type Asked = (String, &'static str, Option<String>);

/// The network. Clones share the script and the list of requests.
#[derive(Clone, Default)]
pub(crate) struct Scripted {
    script: Rc<RefCell<Script>>,
    /// The requests, in order.
    pub(crate) asked: Rc<RefCell<Vec<Asked>>>,
}

type Script = Vec<(String, &'static str, Respond)>;

pub(crate) struct ScriptedBody(VecDeque<Piece>, Trailers, Duration);

impl Body for ScriptedBody {
    fn read(&mut self) -> Result<Option<Vec<u8>>, NetworkError> {
        std::thread::sleep(self.2);
        self.0.pop_front().transpose()
    }

    fn trailers(&mut self) -> Result<Trailers, NetworkError> {
        Ok(std::mem::take(&mut self.1))
    }
}

impl Network for Scripted {
    type Body = ScriptedBody;

    fn send(&self, request: Request) -> Result<(Head, ScriptedBody), NetworkError> {
        let token =
            request.headers.iter().find(|(name, _)| ["authorization", "token"].contains(name));
        let endpoint = request.endpoint.host.clone();
        self.asked.borrow_mut().push((
            endpoint.clone(),
            request.path,
            token.map(|(_, t)| t.clone()),
        ));
        let script = self.script.borrow();
        // What was scripted last takes precedence.
        let respond =
            script.iter().rev().find(|(host, path, _)| *host == endpoint && *path == request.path);
        let reply = match respond {
            Some((_, _, respond)) => respond(&request)?,
            None => (json_head(404), Vec::new()).into(),
        };
        let Reply { head, pieces, trailers, pause } = reply;
        Ok((head, ScriptedBody(pieces.into(), trailers, pause)))
    }

    fn exchange(&self, requests: Vec<Request>, _: Duration) -> Vec<Result<Response, NetworkError>> {
        let one = |request| {
            let (head, mut body) = self.send(request)?;
            let mut whole = Vec::new();
            while let Some(piece) = body.read()? {
                whole.extend(piece);
            }
            let trailers = body.trailers()?;
            Ok(Response { head, trailers, body: whole })
        };
        requests.into_iter().map(one).collect()
    }
}

impl Scripted {
    /// Scripts the response of an endpoint at a path.
    pub(crate) fn on<R: Into<Reply>>(
        &self,
        host: &str,
        path: &'static str,
        respond: impl Fn(&Request) -> Result<R, NetworkError> + 'static,
    ) {
        let respond = move |request: &Request| respond(request).map(Into::into);
        self.script.borrow_mut().push((host.into(), path, Box::new(respond)));
    }

    /// Scripts one response for a path.
    pub(crate) fn reply(&self, host: &str, path: &'static str, reply: Reply) {
        self.on(host, path, move |_| Ok(reply.clone()));
    }

    /// Scripts successive responses for a path; the last one is repeated.
    pub(crate) fn turns(&self, host: &str, path: &'static str, replies: Vec<Reply>) {
        let turn = Cell::new(0);
        self.on(host, path, move |_| {
            let now = turn.get();
            turn.set(now + 1);
            Ok(replies[now.min(replies.len() - 1)].clone())
        });
    }

    /// Scripts a JSON response.
    pub(crate) fn json(&self, host: &str, path: &'static str, status: u16, body: String) {
        self.reply(host, path, Reply::json(status, body));
    }

    /// Scripts a healthy member with a small database. `leader` is the leader's id.
    pub(crate) fn member(&self, host: &str, id: u64, leader: u64) {
        let status = format!(
            r#"{{"header":{{"cluster_id":"1","member_id":"{id}","revision":"42"}},"version":"3.6.0","leader":"{leader}"}}"#
        );
        self.json(host, "/v3/maintenance/status", 200, status);
        let body = stream(&database());
        self.on(host, "/v3/maintenance/snapshot", move |_| {
            Ok((json_head(200), vec![Ok(body.clone())]))
        });
    }

    /// How often a path was requested at an endpoint.
    pub(crate) fn count(&self, host: &str, path: &str) -> usize {
        self.asked.borrow().iter().filter(|(h, p, _)| h == host && *p == path).count()
    }
}

pub(crate) fn json_head(status: u16) -> Head {
    Head { status, headers: vec![("content-type".into(), b"application/json".to_vec())] }
}

/// A database of three pages at [`REVISION`].
pub(crate) fn database() -> Vec<u8> {
    written().bytes()
}

/// The revision of [`database`].
pub(crate) const REVISION: i64 = 42;

/// The content of [`database`].
pub(crate) fn written() -> databases::Database {
    let buckets = [("key".into(), Vec::new())].into();
    let mut written =
        databases::Database { page_size: 512, buckets, ..databases::Database::etcd() };
    written.put(REVISION as u64, "k", b"v");
    written
}

/// The gateway's stream of a database, in two messages and the digest.
pub(crate) fn stream(database: &[u8]) -> Vec<u8> {
    let base64 = |bytes: &[u8]| base64_simd::STANDARD.encode_to_string(bytes);
    let (first, second) = database.split_at(512);
    format!(
        "{{\"result\":{{\"remaining_bytes\":\"{}\",\"blob\":\"{}\"}}}}\n{{\"result\":{{\"blob\":\"{}\"}}}}\n\
         {{\"result\":{{\"blob\":\"{}\"}}}}\n",
        second.len(),
        base64(first),
        base64(second),
        base64(&Sha256::digest(database)),
    )
    .into_bytes()
}
