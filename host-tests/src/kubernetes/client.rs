//! A client of the API, for the tests' own questions.

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};
use ureq::{Agent, Body, BodyReader};

/// How long a server may ask for patience.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks one API server through `kubectl proxy`, which adds TLS and the token.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    proxy: String,
}

impl Client {
    /// A client behind the proxy at `HOST:PORT`.
    pub(super) fn new(proxy: String) -> Client {
        let agent = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .build()
            .into();
        Client { agent, proxy }
    }

    /// `GET PATH`, which has to succeed, if not at once. A server that is ready may
    /// still be filling the cache of a list, and asks for patience (429).
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        let started = Instant::now();
        let (status, text) = loop {
            let response = self.try_get(path);
            let (status, text) = response.unwrap_or_else(|error| panic!("`GET {path}`: {error}"));
            if status != 429 || started.elapsed() > PATIENCE {
                break (status, text);
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        assert_eq!(status, 200, "`GET {path}`: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("`GET {path}`: {error}: {text}"))
    }

    /// `GET PATH`: the status and the body, or why there was no response.
    pub fn try_get(&self, path: &str) -> Result<(u16, String), ureq::Error> {
        let mut response = self.send(path)?;
        let status = response.status().as_u16();
        let text = response.body_mut().with_config().limit(256 << 20).read_to_string()?;
        Ok((status, text))
    }

    /// Watches a list from a resource version on.
    #[track_caller]
    pub fn watch(&self, list: &str, resource_version: u64) -> Watch {
        let path = format!("{list}?watch=1&resourceVersion={resource_version}");
        let response = self.send(&path).unwrap_or_else(|error| panic!("`GET {path}`: {error}"));
        Watch { path, events: BufReader::new(response.into_body().into_reader()) }
    }

    /// All that it stores, as it was at this revision of etcd.
    pub fn lists_at(&self, revision: u64) -> Lists {
        lists(|path| self.get(path), Some(revision))
    }

    /// All that it stores, as it is now.
    pub fn lists_now(&self) -> Lists {
        lists(|path| self.get(path), None)
    }

    fn send(&self, path: &str) -> Result<ureq::http::Response<Body>, ureq::Error> {
        self.agent.get(format!("http://{}{path}", self.proxy)).call()
    }
}

/// Every list of an API server by its path: the objects whole, with their resource
/// versions.
pub type Lists = BTreeMap<String, Value>;

/// Every list that is stored, by way of `get`.
pub(super) fn lists(get: impl Fn(&str) -> Value, revision: Option<u64>) -> Lists {
    let query = revision.map_or(String::new(), |revision| {
        format!("?resourceVersion={revision}&resourceVersionMatch=Exact")
    });
    let items = |path: String| {
        let items = get(&format!("{path}{query}"))["items"].take();
        (path, items)
    };
    list_paths(&get).into_iter().map(items).collect()
}

fn list_paths(get: impl Fn(&str) -> Value) -> Vec<String> {
    let groups = get("/apis")["groups"].take();
    let groups = groups.as_array().expect("the API has groups").iter();
    let version = |group: &Value| {
        let version = group["preferredVersion"]["groupVersion"].as_str();
        format!("/apis/{}", version.expect("a group has a version"))
    };
    let mut paths = Vec::new();
    for prefix in ["/api/v1".to_owned()].into_iter().chain(groups.map(version)) {
        let resources = get(&prefix)["resources"].take();
        for resource in resources.as_array().expect("a version has resources") {
            let name = resource["name"].as_str().expect("a resource has a name");
            let verbs = resource["verbs"].as_array().expect("a resource has verbs");
            // The statuses of components are requested again each time.
            if verbs.iter().any(|verb| verb == "list") && name != "componentstatuses" {
                paths.push(format!("{prefix}/{name}"));
            }
        }
    }
    paths
}

/// A watch that is open.
pub struct Watch {
    path: String,
    events: BufReader<BodyReader<'static>>,
}

impl Watch {
    /// Waits for the next event. What is refused at once looks like the status in
    /// an event of type `ERROR`.
    #[track_caller]
    pub fn event(&mut self) -> Value {
        let mut line = String::new();
        self.events.read_line(&mut line).unwrap_or_else(|error| panic!("{}: {error}", self.path));
        let event: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("`{}`: {error}: `{line}`", self.path));
        match event["kind"].as_str() {
            Some("Status") => serde_json::json!({ "type": "ERROR", "object": event }),
            _ => event,
        }
    }
}
