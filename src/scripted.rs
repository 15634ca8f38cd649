//! A network that answers from a script, for unit tests of the core.

use crate::net::{Body, Head, Network, NetworkError, Request, Response, Trailers};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// What one endpoint answers to one path, each time it is asked.
type Answer = Box<dyn Fn(&Request) -> Result<(Head, Vec<Piece>), NetworkError>>;

/// One piece of a body, or what ends it.
pub(crate) type Piece = Result<Vec<u8>, NetworkError>;

/// What was asked: endpoint, path and token.
type Asked = (String, &'static str, Option<String>);

/// The network. Clones share script and account.
#[derive(Clone, Default)]
pub(crate) struct Scripted {
    script: Rc<RefCell<Script>>,
    /// What was asked, in order.
    pub(crate) asked: Rc<RefCell<Vec<Asked>>>,
}

type Script = Vec<(String, &'static str, Answer)>;

pub(crate) struct ScriptedBody(VecDeque<Piece>);

impl Body for ScriptedBody {
    fn read(&mut self) -> Result<Option<Vec<u8>>, NetworkError> {
        self.0.pop_front().transpose()
    }

    fn trailers(&mut self) -> Result<Trailers, NetworkError> {
        Ok(Trailers::default())
    }
}

impl Network for Scripted {
    type Body = ScriptedBody;

    fn send(&self, request: Request) -> Result<(Head, ScriptedBody), NetworkError> {
        let token = request.headers.iter().find(|(name, _)| *name == "authorization");
        let endpoint = request.endpoint.host.clone();
        self.asked.borrow_mut().push((
            endpoint.clone(),
            request.path,
            token.map(|(_, t)| t.clone()),
        ));
        let script = self.script.borrow();
        // What was scripted last goes first.
        let answer =
            script.iter().rev().find(|(host, path, _)| *host == endpoint && *path == request.path);
        match answer {
            Some((_, _, answer)) => {
                answer(&request).map(|(head, body)| (head, ScriptedBody(body.into())))
            }
            None => Ok((json_head(404), ScriptedBody(VecDeque::new()))),
        }
    }

    fn exchange(&self, requests: Vec<Request>, _: Duration) -> Vec<Result<Response, NetworkError>> {
        let one = |request| {
            let (head, mut body) = self.send(request)?;
            let mut whole = Vec::new();
            while let Some(piece) = body.read()? {
                whole.extend(piece);
            }
            Ok(Response { head, trailers: Trailers::default(), body: whole })
        };
        requests.into_iter().map(one).collect()
    }
}

impl Scripted {
    /// Scripts what an endpoint answers to a path of the JSON gateway.
    pub(crate) fn on(
        &self,
        host: &str,
        path: &'static str,
        answer: impl Fn(&Request) -> Result<(Head, Vec<Piece>), NetworkError> + 'static,
    ) {
        self.script.borrow_mut().push((host.into(), path, Box::new(answer)));
    }

    /// Scripts a JSON answer.
    pub(crate) fn json(&self, host: &str, path: &'static str, status: u16, body: String) {
        self.on(host, path, move |_| Ok((json_head(status), vec![Ok(body.clone().into())])));
    }

    /// Scripts a healthy member with a small database. `leader` is the leader's id.
    pub(crate) fn member(&self, host: &str, id: u64, leader: u64) {
        let status = format!(
            r#"{{"header":{{"cluster_id":"1","member_id":"{id}","revision":"7"}},"version":"3.6.0","leader":"{leader}"}}"#
        );
        self.json(host, "/v3/maintenance/status", 200, status);
        let body = stream(&database());
        self.on(host, "/v3/maintenance/snapshot", move |_| {
            Ok((json_head(200), vec![Ok(body.clone())]))
        });
    }

    /// How often a path was asked at an endpoint.
    pub(crate) fn count(&self, host: &str, path: &str) -> usize {
        self.asked.borrow().iter().filter(|(h, p, _)| h == host && *p == path).count()
    }
}

pub(crate) fn json_head(status: u16) -> Head {
    Head { status, headers: vec![("content-type".into(), b"application/json".to_vec())] }
}

/// A database of two pages, as far as the verifier looks.
pub(crate) fn database() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..1024).map(|i| (i % 251) as u8).collect();
    bytes[16..20].copy_from_slice(&0xED0C_DAED_u32.to_le_bytes());
    bytes
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
