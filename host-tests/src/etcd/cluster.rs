//! Several members on the loopback that form one cluster.

use super::compare::output_of;
use super::member::{data_dir, new_folder};
use super::{Client, HashKv, Version, free_port};
use crate::certs::{Authority, Identity, Key, Leaf};
use crate::process::{Process, Signal, command};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest wait for members to agree; the machine may be busy.
const READY: Duration = Duration::from_secs(60);

/// A running cluster, killed on drop. Members are numbered from 0, in the order
/// in which they came.
pub struct Cluster {
    version: Version,
    token: String,
    tls: Option<Tls>,
    members: Vec<Member>,
}

/// What kubeadm sets up: one authority, and a certificate for each purpose.
struct Tls {
    authority: Authority,
    server: Identity,
    peer: Identity,
    client: Identity,
}

impl Tls {
    fn new() -> Tls {
        const HERE: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
        let authority = Authority::new();
        let issue = |leaf: Leaf| authority.issue(leaf.key(Key::RsaPkcs1));
        Tls {
            server: issue(Leaf::server(&HERE)),
            peer: issue(Leaf::server(&HERE)),
            client: issue(Leaf::client(Some("kube-etcd-healthcheck-client"))),
            authority,
        }
    }
}

/// One member. It outlives its process, so that it can be talked of.
struct Member {
    name: String,
    /// As its status reports it.
    id: u64,
    port: u16,
    peer_port: u16,
    /// Plain HTTP with its metrics and its health, as kubeadm sets it up.
    metrics: Client,
    process: Option<Process>,
    frozen: bool,
    // Dropped last: the process writes below it.
    folder: TempDir,
}

impl Member {
    fn new(name: String) -> Member {
        let metrics = Client::new(format!("127.0.0.1:{}", free_port()));
        let (port, peer_port, folder) = (free_port(), free_port(), new_folder());
        Member { name, id: 0, port, peer_port, metrics, process: None, frozen: false, folder }
    }

    fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn is_running(&self) -> bool {
        self.process.is_some() && !self.frozen
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Cluster {
    /// Starts this many voting members; returns once all report the same leader.
    pub fn start(version: Version, size: usize) -> Cluster {
        Cluster::start_with(version, size, || None)
    }

    /// The same over TLS alone, for clients and between the members, both with
    /// certificates of one private authority, as kubeadm sets etcd up.
    pub fn start_secure(version: Version, size: usize) -> Cluster {
        Cluster::start_with(version, size, || Some(Tls::new()))
    }

    fn start_with(version: Version, size: usize, tls: impl Fn() -> Option<Tls>) -> Cluster {
        // Another process that took one of the ports in the meantime keeps it.
        for _ in 0..5 {
            let members: Vec<Member> =
                (1..=size).map(|number| Member::new(format!("node{number}"))).collect();
            let token = format!("cluster-{}", fastrand::u64(..));
            let mut cluster = Cluster { version, token, tls: tls(), members };
            let list: Vec<String> = (0..size)
                .map(|index| format!("{}={}", cluster.members[index].name, cluster.peer_url(index)))
                .collect();
            for index in 0..size {
                cluster.launch(index, &list.join(","), "new", &[]);
            }
            if (0..size).all(|index| cluster.becomes_healthy(index)) {
                for index in 0..size {
                    cluster.members[index].id = member_id(&cluster.status(index));
                }
                cluster.leader();
                return cluster;
            }
        }
        panic!("a cluster of etcd {version} found its ports in use, five times over");
    }

    /// `HOST:PORT` of a member's client endpoint.
    pub fn endpoint(&self, index: usize) -> String {
        self.members[index].endpoint()
    }

    /// The member's id, as manifests and etcd's tools show it.
    pub fn id(&self, index: usize) -> String {
        format!("{:x}", self.members[index].id)
    }

    /// The member's name.
    pub fn name(&self, index: usize) -> &str {
        &self.members[index].name
    }

    /// A client of a member that serves without TLS.
    pub fn client(&self, index: usize) -> Client {
        assert!(self.tls.is_none(), "the tests' own client knows no TLS");
        Client::new(self.endpoint(index))
    }

    /// What a member reports at `/metrics`.
    pub fn metrics(&self, index: usize) -> &Client {
        &self.members[index].metrics
    }

    /// How many snapshots of a member have ended, successful or not.
    pub fn snapshots_ended(&self, index: usize) -> u64 {
        self.metrics(index).metric("etcd_disk_backend_snapshot_duration_seconds_count") as u64
    }

    /// The options with which the connector is let in; none without TLS.
    pub fn options(&self) -> Vec<String> {
        let options = |tls: &Tls| [&[tls.authority.option()], &tls.client.options()[..]].concat();
        self.tls.as_ref().map(options).unwrap_or_default()
    }

    /// The TLS flags that every member was started with; none without TLS.
    pub fn tls_flags(&self) -> Vec<String> {
        let Some(Tls { authority, server, peer, .. }) = &self.tls else { return Vec::new() };
        let ca = authority.file();
        vec![
            format!("--cert-file={}", server.cert),
            format!("--key-file={}", server.key),
            "--client-cert-auth=true".into(),
            format!("--trusted-ca-file={ca}"),
            format!("--peer-cert-file={}", peer.cert),
            format!("--peer-key-file={}", peer.key),
            "--peer-client-cert-auth=true".into(),
            format!("--peer-trusted-ca-file={ca}"),
        ]
    }

    /// The version's own client, turned to an endpoint of this cluster.
    pub fn etcdctl(&self, endpoint: &str) -> Command {
        let mut command = Command::new(self.version.program("etcdctl"));
        let endpoint = format!("{}://{endpoint}", self.scheme());
        command.env_clear().args(["--endpoints", &endpoint, "--command-timeout", "10s"]);
        if let Some(Tls { authority, client, .. }) = &self.tls {
            let ca = authority.file();
            command.args(["--cacert", &ca, "--cert", &client.cert, "--key", &client.key]);
        }
        command
    }

    /// The leader, once all members that run agree on one of them.
    pub fn leader(&self) -> usize {
        self.eventually("agree on a leader", || {
            let running: Vec<&Member> = self.members.iter().filter(|m| m.is_running()).collect();
            let reported: Option<Vec<u64>> = running
                .iter()
                .map(|member| Some(leader_id(&self.try_status(&member.endpoint())?)))
                .collect();
            let reported = reported?;
            let leader = *reported.first()?;
            reported.iter().all(|other| *other == leader).then_some(())?;
            self.members.iter().position(|member| member.is_running() && member.id == leader)
        })
    }

    /// The voters that run and do not lead.
    pub fn followers(&self) -> Vec<usize> {
        let leader = self.leader();
        let follows = |index: &usize| {
            *index != leader
                && self.members[*index].is_running()
                && self.status(*index)["Status"]["isLearner"] != true
        };
        (0..self.members.len()).filter(follows).collect()
    }

    /// Waits until a member knows no leader.
    pub fn wait_until_leaderless(&self, index: usize) {
        self.eventually("lose the leader", || (leader_id(&self.status(index)) == 0).then_some(()));
    }

    /// Hands the lead to a follower.
    pub fn move_leader(&self, to: usize) {
        let leader = self.endpoint(self.leader());
        output_of(self.etcdctl(&leader).args(["move-leader", &self.id(to)]));
        self.eventually("follow the new leader", || (self.leader() == to).then_some(()));
    }

    /// Adds a member that does not vote; returns its number once it has caught up.
    pub fn add_learner(&mut self) -> usize {
        let leader = self.leader();
        let index = self.members.len();
        self.members.push(Member::new(format!("node{}", index + 1)));
        let (at, url) = (self.endpoint(leader), self.peer_url(index));
        let printed = self.member_add(&at, &[self.name(index), "--learner", "--peer-urls", &url]);
        let list = &printed["ETCD_INITIAL_CLUSTER"];
        self.launch(index, list, "existing", &[]);
        let applied = |status: &Value| status["Status"]["raftAppliedIndex"].as_u64();
        let goal = applied(&self.status(leader)).expect("the leader reports its index");
        let status = self.eventually("have a learner that caught up", || {
            self.members[index].metrics.try_get("/metrics").ok()?;
            let status = self.try_status(&self.endpoint(index))?;
            (applied(&status)? >= goal && leader_id(&status) != 0).then_some(status)
        });
        assert_eq!(status["Status"]["isLearner"], true, "it should only learn: {status}");
        self.members[index].id = member_id(&status);
        index
    }

    /// Runs `etcdctl member add` at an endpoint; returns the settings that it
    /// prints for the new member, by their names.
    pub fn member_add(&self, endpoint: &str, arguments: &[&str]) -> BTreeMap<String, String> {
        // A member that has just begun to lead takes no changes yet.
        let printed = self.eventually("take another member", || {
            let mut add = self.etcdctl(endpoint);
            let output = add.args(["member", "add"]).args(arguments).output();
            let output = output.expect("`etcdctl` can be run");
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        });
        let setting = |line: &str| {
            let (name, value) = line.split_once('=')?;
            name.starts_with("ETCD_").then(|| (name.into(), value.trim_matches('"').into()))
        };
        printed.lines().filter_map(setting).collect()
    }

    /// Kills a member; returns once it is gone.
    pub fn kill(&mut self, index: usize) {
        self.members[index].process = None;
    }

    /// Starts a member again on what it holds, with these flags besides; returns
    /// once it is healthy.
    pub fn restart(&mut self, index: usize, flags: &[&str]) {
        self.kill(index);
        let list = format!("{}={}", self.name(index), self.peer_url(index));
        self.launch(index, &list, "existing", flags);
        assert!(self.becomes_healthy(index), "a port of `{}` is in use", self.name(index));
    }

    /// Changes a value in the database file of a member, every copy of it, and nothing else:
    /// pages and tree stay as they are. The member starts on it and serves it.
    pub fn damage(&mut self, index: usize, value: &[u8], other: &[u8]) {
        assert_eq!(value.len(), other.len(), "the pages stay as they are");
        self.kill(index);
        let file = data_dir(self.members[index].folder.path()).join("member/snap/db");
        let mut database = std::fs::read(&file).expect("the member has a database");
        let mut copies = 0;
        while let Some(at) = database.windows(value.len()).position(|window| window == value) {
            database[at..at + value.len()].copy_from_slice(other);
            copies += 1;
        }
        assert!(copies > 0, "the value is not in the database");
        std::fs::write(&file, database).expect("its database can be changed");
        self.restart(index, &[]);
    }

    /// Makes a cluster of its own, under the same id, out of one member. Others of
    /// the old cluster do not find it any more.
    pub fn force_new_cluster(&mut self, index: usize) {
        let elsewhere = format!("--listen-peer-urls={}://127.0.0.1:{}", self.scheme(), free_port());
        self.restart(index, &["--force-new-cluster", &elsewhere]);
    }

    /// Raises an alarm for a member, and waits until all members report it.
    pub fn raise(&self, index: usize, alarm: &str) {
        let id = self.members[index].id.to_string();
        let request = json!({ "action": "ACTIVATE", "memberID": id, "alarm": alarm });
        self.client(self.leader()).post("/v3/maintenance/alarm", &request);
        for other in self.members.iter().filter(|member| member.is_running()) {
            self.eventually("report the alarm", || {
                let errors = self.try_status(&other.endpoint())?["Status"]["errors"].to_string();
                (errors.contains(&id) && errors.contains(alarm)).then_some(())
            });
        }
    }

    /// Freezes a member: its ports are open, and it says nothing any more.
    pub fn freeze(&mut self, index: usize) {
        self.signal(index, Signal::STOP);
        self.members[index].frozen = true;
    }

    /// Lets a frozen member go on.
    pub fn thaw(&mut self, index: usize) {
        self.signal(index, Signal::CONT);
        self.members[index].frozen = false;
    }

    /// The revision that the member at this endpoint has applied.
    pub fn revision(&self, endpoint: &str) -> u64 {
        let revision = |status: Value| status["Status"]["header"]["revision"].as_u64();
        self.eventually("report a revision", || self.try_status(endpoint).and_then(revision))
    }

    /// Waits until the member at this endpoint has applied this revision.
    pub fn wait_for_revision(&self, endpoint: &str, revision: u64) {
        self.eventually("catch up", || (self.revision(endpoint) >= revision).then_some(()));
    }

    /// The HashKV of the member at this endpoint.
    pub fn hash_kv(&self, endpoint: &str, revision: u64) -> HashKv {
        HashKv::asked(&mut self.etcdctl(endpoint), revision)
    }

    /// Waits for something to be there; panics where it never comes.
    pub fn eventually<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            if started.elapsed() > READY {
                let logs: Vec<String> =
                    self.members.iter().map(|member| last(member.log())).collect();
                panic!("the cluster does not {what} within {READY:?}:\n{}", logs.join("\n---\n"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    fn peer_url(&self, index: usize) -> String {
        format!("{}://127.0.0.1:{}", self.scheme(), self.members[index].peer_port)
    }

    /// Where `flags` say otherwise than the usual ones, they hold.
    fn launch(&mut self, index: usize, list: &str, state: &str, flags: &[&str]) {
        let member = &self.members[index];
        let client_url = format!("{}://{}", self.scheme(), member.endpoint());
        let metrics_url = format!("http://{}", member.metrics.endpoint());
        let peer_url = self.peer_url(index);
        let log = File::create(member.folder.path().join("log")).expect("a fresh directory");
        let mut command = command(self.version.program("etcd"));
        command
            // etcd reads settings from there as well.
            .env_clear()
            .args(["--name", &member.name, "--data-dir"])
            .arg(data_dir(member.folder.path()))
            .args(["--listen-client-urls", &client_url, "--advertise-client-urls", &client_url])
            .args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url])
            .args(["--listen-metrics-urls", &metrics_url])
            .args(["--initial-cluster", list, "--initial-cluster-state", state])
            .args(["--initial-cluster-token", &self.token])
            .args(["--logger", "zap", "--log-outputs", "stderr"])
            .args(self.version.can_skip_fsync().then_some("--unsafe-no-fsync"))
            .args(self.tls_flags())
            .args(flags)
            .stderr(log);
        self.members[index].process = Some(Process::start(command));
    }

    /// Waits until a member is healthy; false where one of its ports is in use.
    fn becomes_healthy(&mut self, index: usize) -> bool {
        let started = Instant::now();
        let member = &mut self.members[index];
        loop {
            if let Ok((200, _)) = member.metrics.try_get("/health") {
                return true;
            }
            let process = member.process.as_mut().expect("it was launched");
            let ended = process.wait(Duration::from_millis(20)).is_some();
            let late = started.elapsed() > READY;
            if ended || late {
                let log = member.log();
                let in_use = ended && log.contains("address already in use");
                assert!(in_use, "`{}` does not become healthy:\n{}", member.name, last(log));
                return false;
            }
        }
    }

    fn status(&self, index: usize) -> Value {
        let status = || self.try_status(&self.endpoint(index));
        self.eventually(&format!("report the status of `{}`", self.name(index)), status)
    }

    fn try_status(&self, endpoint: &str) -> Option<Value> {
        let mut etcdctl = self.etcdctl(endpoint);
        let output = etcdctl.args(["endpoint", "status", "-w", "json"]).output();
        let output = output.expect("`etcdctl` can be run");
        let list: Option<Value> = serde_json::from_slice(&output.stdout).ok();
        list.filter(|_| output.status.success()).map(|mut list| list[0].take())
    }

    fn signal(&self, index: usize, signal: Signal) {
        self.members[index].process.as_ref().expect("it runs").signal(signal);
    }
}

fn member_id(status: &Value) -> u64 {
    status["Status"]["header"]["member_id"].as_u64().expect("a status has the member's id")
}

fn leader_id(status: &Value) -> u64 {
    status["Status"]["leader"].as_u64().unwrap_or(0)
}

fn last(log: String) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}
