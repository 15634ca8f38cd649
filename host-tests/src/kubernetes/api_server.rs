//! One API server, alone on a member.

use super::Client;
use crate::certs::{Authority, Key, Leaf};
use crate::etcd::free_port;
use crate::process::{Process, command};
use crate::run::Run;
use crate::tools;
use serde_json::json;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest wait for it to serve; the machine may be busy.
const READY: Duration = Duration::from_secs(90);

/// A running API server on 127.0.0.1, killed on drop. It is a [`Client`] of itself.
pub struct ApiServer {
    server: Process,
    client: Client,
    _proxy: Process,
    // Dropped last: the processes use what is in there.
    folder: TempDir,
}

impl ApiServer {
    /// Starts one on the member at `HOST:PORT`, which serves without TLS; returns
    /// once it serves.
    pub fn start(etcd: &str) -> ApiServer {
        // Another process that took the port in the meantime keeps it.
        for _ in 0..5 {
            if let Some(server) = ApiServer::try_start(etcd) {
                return server;
            }
        }
        panic!("the API server found its port in use, five times over");
    }

    /// `kubectl` with these arguments.
    pub fn kubectl(&self, arguments: &[&str]) -> Run {
        let home = self.folder.path().to_str().expect("temporary paths are UTF-8");
        Run::of(command(tools::kubernetes("kubectl")))
            .args(arguments)
            .env("KUBECONFIG", &format!("{home}/config"))
            // It keeps a cache there.
            .env("HOME", home)
    }

    fn try_start(etcd: &str) -> Option<ApiServer> {
        const TOKEN: &str = "the-token-of-the-tests";
        let folder = TempDir::with_prefix("api-").expect("the temporary directory can be written");
        let write = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).expect("a temporary directory can be written");
            path
        };
        let authority = Authority::new();
        let serving = authority.issue(Leaf::server(&["127.0.0.1"]));
        let accounts = authority.issue(Leaf::client(None).key(Key::Rsa)).key;
        let tokens = write("tokens", &format!("{TOKEN},admin,1,system:masters\n"));
        let port = free_port();
        let ca = std::fs::read(authority.file()).expect("it was written");
        write("config", &config(port, &ca, TOKEN).to_string());

        let log = File::create(folder.path().join("log")).expect("a fresh directory");
        let mut server = command(tools::kubernetes("kube-apiserver"));
        server
            .env_clear()
            .args(["--etcd-servers", &format!("http://{etcd}")])
            .args(["--bind-address", "127.0.0.1", "--secure-port", &port.to_string()])
            // Nobody gets there; without a network it would find no address.
            .args(["--advertise-address", "192.0.2.1", "--endpoint-reconciler-type", "none"])
            .args(["--service-cluster-ip-range", "10.96.0.0/24"])
            .args(["--tls-cert-file", &serving.cert, "--tls-private-key-file", &serving.key])
            .arg("--token-auth-file")
            .arg(tokens)
            .args(["--authorization-mode", "RBAC"])
            .args(["--service-account-issuer", "https://kubernetes.default.svc"])
            .args(["--service-account-signing-key-file", &accounts])
            .args(["--service-account-key-file", &accounts])
            .stderr(log);
        let server = Process::start(server);
        let (proxy, client) = proxy(&folder);
        let mut server = ApiServer { server, client, _proxy: proxy, folder };
        server.become_ready().then_some(server)
    }

    /// Waits until it serves; false where its port is in use.
    fn become_ready(&mut self) -> bool {
        let started = Instant::now();
        loop {
            if let Ok((200, _)) = self.client.try_get("/readyz") {
                return true;
            }
            if self.server.wait(Duration::from_millis(50)).is_some() {
                let log = self.log();
                assert!(
                    log.contains("address already in use"),
                    "the API server ended at its start:\n{log}"
                );
                return false;
            }
            assert!(started.elapsed() < READY, "the API server does not serve:\n{}", self.log());
        }
    }

    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Deref for ApiServer {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// How `kubectl` gets there; JSON is YAML, too.
fn config(port: u16, ca: &[u8], token: &str) -> serde_json::Value {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let server = format!("https://127.0.0.1:{port}");
    let cluster = json!({ "server": server, "certificate-authority-data": STANDARD.encode(ca) });
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "here", "cluster": cluster }],
        "users": [{ "name": "admin", "user": { "token": token } }],
        "contexts": [{ "name": "here", "context": { "cluster": "here", "user": "admin" } }],
        "current-context": "here",
    })
}

/// A proxy that is listening, and the client behind it.
fn proxy(folder: &TempDir) -> (Process, Client) {
    let mut command = command(tools::kubernetes("kubectl"));
    command
        .args(["proxy", "--port", "0", "--kubeconfig"])
        .arg(folder.path().join("config"))
        .env("HOME", folder.path())
        .stdout(Stdio::piped())
        // It logs every request that arrives before the server is ready.
        .stderr(Stdio::null());
    let mut process = Process::start(command);
    let stdout = process.child().stdout.take().expect("it is a pipe");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("a pipe can be read");
    let (_, address) = line
        .trim_end()
        .split_once("Starting to serve on ")
        .unwrap_or_else(|| panic!("`kubectl proxy` does not serve: `{line}`"));
    let client = Client::new(address.to_owned());
    (process, client)
}
