//! One member, alone in its cluster.

use super::{Client, Version, free_port};
use crate::certs::{Authority, Identity};
use crate::process::{Process, Signal, command};
use serde_json::Value;
use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest wait for a member to serve; the disk may be busy.
const READY: Duration = Duration::from_secs(30);

/// What to start a member with.
#[derive(Debug, Default)]
pub struct Settings {
    /// A folder with a data directory in it; an empty one otherwise.
    pub(super) data: Option<TempDir>,
    pub(super) flags: Vec<String>,
    /// Where the JSON API is, if not where gRPC is.
    pub(super) http_port: Option<u16>,
    /// Whether it listens for TLS too.
    pub(super) secure: bool,
    /// Whether it listens for nothing else.
    pub(super) only_secure: bool,
}

impl Settings {
    /// Adds one of etcd's flags.
    pub fn flag(mut self, flag: &str) -> Settings {
        self.flags.push(flag.into());
        self
    }
}

impl Settings {
    /// Serves TLS with this certificate, at a second endpoint.
    pub fn secure(self, server: &Identity) -> Settings {
        let flags = [format!("--cert-file={}", server.cert), format!("--key-file={}", server.key)];
        let settings = Settings { secure: true, ..self };
        flags.iter().fold(settings, |settings, flag| settings.flag(flag))
    }

    /// The same with a certificate that etcd makes for itself.
    pub fn auto_tls(self) -> Settings {
        Settings { secure: true, ..self.flag("--auto-tls") }
    }

    /// Lets in at that endpoint only who has a certificate of this authority, as
    /// kubeadm sets etcd up.
    pub fn client_auth(self, authority: &Authority) -> Settings {
        self.flag("--client-cert-auth").flag(&format!("--trusted-ca-file={}", authority.file()))
    }

    /// Serves TLS alone, at 127.0.0.1 and at 127.0.0.2, which stands for the node's
    /// own address, as kubeadm sets etcd up. The port that is the client endpoint
    /// otherwise serves only the metrics and the health.
    pub fn only_secure(self, server: &Identity) -> Settings {
        Settings { only_secure: true, ..self.secure(server) }
    }

    /// Issues tokens that this key signs, and whose signature this certificate
    /// proves. They expire after this many seconds; before they are issued where the
    /// number is negative.
    pub fn jwt(self, Identity { cert, key }: &Identity, seconds: i32) -> Settings {
        let keys = format!("pub-key={cert},priv-key={key}");
        self.flag(&format!("--auth-token=jwt,{keys},sign-method=RS256,ttl={seconds}s"))
    }

    /// Gives the JSON API a port of its own; gRPC alone stays at the endpoint.
    pub fn http_at(self, port: u16) -> Settings {
        let flag = format!("--listen-client-http-urls=http://127.0.0.1:{port}");
        Settings { http_port: Some(port), ..self.flag(&flag) }
    }
}

/// A running member on 127.0.0.1, killed on drop. It is a [`Client`] of itself.
#[derive(Debug)]
pub struct Etcd {
    /// Its version.
    pub version: Version,
    process: Process,
    client: Client,
    port: u16,
    secure_port: Option<u16>,
    // Dropped last: the process writes below it.
    folder: TempDir,
}

impl Etcd {
    /// Starts a member with an empty database.
    pub fn start(version: Version) -> Etcd {
        Etcd::start_with(version, Settings::default())
    }

    /// Starts a member; returns once it serves.
    pub fn start_with(version: Version, settings: Settings) -> Etcd {
        let Settings { data, flags, http_port, secure, only_secure } = settings;
        let mut folder = data.unwrap_or_else(new_folder);
        // Another process that took one of the ports in the meantime keeps it.
        for _ in 0..5 {
            match Etcd::try_start(version, &flags, http_port, (secure, only_secure), folder) {
                Ok(etcd) => return etcd,
                Err(AddressInUse(given_back)) => folder = given_back,
            }
        }
        panic!("etcd {version} found its ports in use, five times over");
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Waits until a new member has set the version of its cluster and of its storage, and
    /// has written both into its database.
    pub fn settle(&self) {
        // `3.8.0-alpha.0` reports `3.8.0`.
        let minor: String =
            self.version.name().split('.').take(2).map(|part| format!("{part}.")).collect();
        // Older ones do not report the version of their storage.
        let reports_storage = self.version >= Version::V3_6_14;
        let started = Instant::now();
        loop {
            let (_, text) = self.try_get("/version").expect("the member serves");
            let versions: Value = serde_json::from_str(&text).expect("it is JSON");
            let is_set = |name: &str| {
                versions[name].as_str().is_some_and(|version| version.starts_with(&minor))
            };
            if is_set("etcdcluster") && (!reports_storage || is_set("storage")) {
                return;
            }
            assert!(started.elapsed() < READY, "it has not settled: {text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `HOST:PORT` of the client endpoint.
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port of the client endpoint.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What to give to the connector.
    pub fn location(&self) -> String {
        format!("etcd://{}", self.endpoint())
    }

    /// The same for the endpoint that serves TLS.
    pub fn secure_location(&self) -> String {
        format!("etcd+https://{}", self.secure_endpoint())
    }

    /// `HOST:PORT` of the endpoint that serves TLS.
    pub fn secure_endpoint(&self) -> String {
        let port = self.secure_port.expect("it was set up to serve TLS");
        format!("127.0.0.1:{port}")
    }

    /// The certificate that it has made for itself.
    pub fn own_certificate(&self) -> PathBuf {
        data_dir(self.folder.path()).join("fixtures/client/cert.pem")
    }

    /// Sends the member a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Shuts the member down as an init system does it: SIGTERM, and SIGKILL where
    /// it is still there ten seconds later. It goes on sending for five seconds,
    /// and 3.5 may not end at all while a reader stands still.
    pub fn shut_down(&mut self) {
        self.signal(Signal::TERM);
        if self.process.wait(Duration::from_secs(10)).is_none() {
            self.signal(Signal::KILL);
        }
        self.assert_ends(Duration::from_secs(10));
    }

    /// Waits for the member's end; panics after `limit`.
    #[track_caller]
    pub fn assert_ends(&mut self, limit: Duration) {
        let ended = self.process.wait(limit).is_some();
        assert!(ended, "etcd {} does not end within {limit:?}:\n{}", self.version, self.log());
    }

    /// The last lines that the member logged.
    fn log(&self) -> String {
        let log = std::fs::read_to_string(log_path(self.folder.path())).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// How many snapshots have ended, successful or not, and given their read
    /// transaction back. The gauge of open transactions shows less: it counts
    /// etcd's own, which come and go, and is brought up to date only at times.
    pub fn snapshots_ended(&self) -> u64 {
        self.metric("etcd_disk_backend_snapshot_duration_seconds_count") as u64
    }

    /// Waits until this many snapshots have ended; panics after `limit`.
    #[track_caller]
    pub fn assert_snapshots_ended(&self, count: u64, limit: Duration) {
        let started = Instant::now();
        while self.snapshots_ended() < count {
            assert!(
                started.elapsed() < limit,
                "{} still holds a snapshot open {limit:?} after its reader was gone",
                self.endpoint()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(self.snapshots_ended(), count, "more snapshots were taken than one would think");
    }

    fn try_start(
        version: Version,
        flags: &[String],
        http_port: Option<u16>,
        (secure, only_secure): (bool, bool),
        folder: TempDir,
    ) -> Result<Etcd, AddressInUse> {
        let (port, peer_port) = (free_port(), free_port());
        let log = File::create(log_path(folder.path())).expect("a fresh directory can be written");
        let secure_port = secure.then(free_port);
        let url = |port| format!("http://127.0.0.1:{port}");
        let secure_url = |host: &str| secure_port.map(|port| format!("https://{host}:{port}"));
        let listen = match (secure_url("127.0.0.1"), secure_url("127.0.0.2")) {
            (Some(here), Some(node)) if only_secure => format!("{here},{node}"),
            (Some(here), _) => format!("{},{here}", url(port)),
            _ => url(port),
        };
        let advertised = if only_secure { &listen } else { &url(port) };
        let mut command = command(version.program("etcd"));
        command
            // etcd reads settings from there as well.
            .env_clear()
            .args(["--name", NAME, "--data-dir"])
            .arg(data_dir(folder.path()))
            .args(["--listen-client-urls", &listen, "--advertise-client-urls", advertised])
            .args(only_secure.then(|| format!("--listen-metrics-urls={}", url(port))))
            .args(["--listen-peer-urls", &url(peer_port)])
            .args(["--initial-advertise-peer-urls", PEER_URL])
            .args(["--initial-cluster", &format!("{NAME}={PEER_URL}")])
            // A member without peers need not wait for them.
            .args(["--heartbeat-interval", "10", "--election-timeout", "100"])
            .args(["--quota-backend-bytes", "4294967296", "--max-request-bytes", "16777216"])
            .args(["--logger", "zap", "--log-outputs", "stderr"])
            .args(version.can_skip_fsync().then_some("--unsafe-no-fsync"))
            .args(flags)
            .stderr(log);
        let mut etcd = Etcd {
            version,
            process: Process::start(command),
            client: Client::new(format!("127.0.0.1:{}", http_port.unwrap_or(port))),
            port,
            secure_port,
            folder,
        };
        if etcd.become_ready() { Ok(etcd) } else { Err(AddressInUse(etcd.into_folder())) }
    }

    /// Waits until the member serves; false where its address is in use.
    fn become_ready(&mut self) -> bool {
        let started = Instant::now();
        loop {
            if let Ok((200, _)) = self.client.try_get("/health") {
                return true;
            }
            if self.process.wait(Duration::from_millis(10)).is_some() {
                let log = self.log();
                assert!(log.contains("address already in use"), "etcd ended at its start:\n{log}");
                return false;
            }
            assert!(started.elapsed() < READY, "etcd does not serve:\n{}", self.log());
        }
    }

    fn into_folder(self) -> TempDir {
        self.folder
    }
}

impl Deref for Etcd {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// The member's name.
pub(super) const NAME: &str = "m1";

/// The member's peer URL. It has no peers, so nobody ever uses it, and a
/// restored member need not get the very port back.
pub(super) const PEER_URL: &str = "http://127.0.0.1:2380";

struct AddressInUse(TempDir);

pub(super) fn new_folder() -> TempDir {
    TempDir::with_prefix("etcd-").expect("the temporary directory can be written")
}

pub(super) fn data_dir(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn log_path(folder: &Path) -> PathBuf {
    folder.join("log")
}
