//! A client of one member's JSON API, for the tests' own questions.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::time::Duration;
use ureq::Agent;

/// Asks one endpoint; a failure panics with the endpoint and the request.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
}

impl Client {
    /// A client of `HOST:PORT`.
    pub fn new(endpoint: String) -> Client {
        let agent = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .build()
            .into();
        Client { agent, endpoint, token: None }
    }

    /// A client that this user has logged in with.
    pub fn logged_in(&self, name: &str, password: &str) -> Client {
        let login = json!({ "name": name, "password": password });
        let response = self.post("/v3/auth/authenticate", &login);
        let token = response["token"].as_str().expect("a login gives a token").to_owned();
        Client { token: Some(token), ..self.clone() }
    }

    /// `HOST:PORT`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// `POST /v3/…`, which has to succeed.
    pub fn post(&self, path: &str, body: &Value) -> Value {
        let (status, text) = self.try_post(path, body).unwrap_or_else(|error| {
            panic!("`POST {path}` at {} failed: {error}", self.endpoint);
        });
        assert_eq!(status, 200, "`POST {path}` at {}: {text}", self.endpoint);
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("`POST {path}` at {}: {error}: {text}", self.endpoint))
    }

    /// `POST /v3/…`: the status and the body, or why there was no response.
    pub fn try_post(&self, path: &str, body: &Value) -> Result<(u16, String), ureq::Error> {
        let url = format!("http://{}{path}", self.endpoint);
        let body = serde_json::to_vec(body).expect("a value can be written");
        let mut request = self.agent.post(url);
        if let Some(token) = &self.token {
            request = request.header("Authorization", token);
        }
        read(request.send(body)?)
    }

    /// `GET /…`: the status and the body, or why there was no response.
    pub fn try_get(&self, path: &str) -> Result<(u16, String), ureq::Error> {
        read(self.agent.get(format!("http://{}{path}", self.endpoint)).call()?)
    }

    /// The value of a metric without labels.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.try_get("/metrics").unwrap_or_else(|error| {
            panic!("the metrics at {} cannot be read: {error}", self.endpoint);
        });
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
            .unwrap_or_else(|| panic!("{} has no metric `{name}`", self.endpoint))
    }

    /// The member's own status.
    pub fn status(&self) -> Value {
        self.post("/v3/maintenance/status", &json!({}))
    }

    /// Raises an alarm for the member of this id, or for the whole cluster (0).
    pub fn raise(&self, member: u64, alarm: &str) {
        let request =
            json!({ "action": "ACTIVATE", "memberID": member.to_string(), "alarm": alarm });
        self.post("/v3/maintenance/alarm", &request);
    }

    /// The member's own id.
    pub fn member_id(&self) -> u64 {
        number(&self.status()["header"]["member_id"])
    }

    /// The revision that the member has applied.
    pub fn revision(&self) -> u64 {
        number(&self.status()["header"]["revision"])
    }

    /// Puts one key; returns the revision it got.
    pub fn put(&self, key: &str, value: &str) -> u64 {
        let body = json!({ "key": encode(key), "value": encode(value) });
        number(&self.post("/v3/kv/put", &body)["header"]["revision"])
    }

    /// Deletes one key.
    pub fn delete(&self, key: &str) {
        self.post("/v3/kv/deleterange", &json!({ "key": encode(key) }));
    }

    /// Turns authentication on. `root` and `backup` have the role `root`,
    /// `reader` may read every key; all have this password.
    pub fn enable_authentication(&self, password: &str) {
        let everything = json!({ "permType": "READ", "key": "AA==", "range_end": "AA==" });
        self.post("/v3/auth/role/add", &json!({ "name": "root" }));
        self.post("/v3/auth/role/add", &json!({ "name": "reader" }));
        self.post("/v3/auth/role/grant", &json!({ "name": "reader", "perm": everything }));
        for (user, role) in [("root", "root"), ("backup", "root"), ("reader", "reader")] {
            self.post("/v3/auth/user/add", &json!({ "name": user, "password": password }));
            self.post("/v3/auth/user/grant", &json!({ "user": user, "role": role }));
        }
        self.post("/v3/auth/enable", &json!({}));
    }

    /// Whether reading a key takes a login.
    pub fn refuses_without_login(&self) -> bool {
        self.refuses_to_read("user name is empty")
    }

    /// Whether the token that this client has is taken no longer.
    pub fn refuses_token(&self) -> bool {
        self.refuses_to_read("invalid auth token")
    }

    fn refuses_to_read(&self, reason: &str) -> bool {
        let response = self.try_post("/v3/kv/range", &json!({ "key": "AA==" }));
        matches!(response, Ok((400 | 401, text)) if text.contains(reason))
    }

    /// Sets a user's password, which ends every simple token of that user.
    pub fn set_password(&self, user: &str, password: &str) {
        self.post("/v3/auth/user/changepw", &json!({ "name": user, "password": password }));
    }

    /// How often a token was asked for.
    pub fn logins(&self) -> u64 {
        const LOGINS: &str = "grpc_server_started_total{grpc_method=\"Authenticate\",\
                              grpc_service=\"etcdserverpb.Auth\",grpc_type=\"unary\"}";
        self.metric(LOGINS) as u64
    }

    /// Compacts all history below `revision`.
    pub fn compact(&self, revision: u64) {
        self.post("/v3/kv/compaction", &json!({ "revision": revision, "physical": true }));
    }
}

/// Bytes as the JSON API writes them.
pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// A number as the JSON API writes it: a string, or absent where it is zero.
pub(super) fn number(value: &Value) -> u64 {
    match value {
        Value::Null => 0,
        Value::String(text) => text.parse().unwrap_or_else(|_| panic!("`{text}` is no number")),
        other => other.as_u64().unwrap_or_else(|| panic!("`{other}` is no number")),
    }
}

fn read(mut response: ureq::http::Response<ureq::Body>) -> Result<(u16, String), ureq::Error> {
    let status = response.status().as_u16();
    let text = response.body_mut().with_config().limit(256 << 20).read_to_string()?;
    Ok((status, text))
}
