//! What two members must agree on to hold the same data.

use super::member::new_folder;
use super::{Client, Etcd, Version};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::process::Command;

/// A member's hash over its whole key space, history included, at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashKv {
    /// CRC-32C over all keys and values that count.
    pub hash: u64,
    /// Below this, history is gone; -1 where nothing was ever compacted.
    pub compact_revision: i64,
}

impl HashKv {
    /// Asks the member that this `etcdctl` is for.
    pub(super) fn asked(etcdctl: &mut Command, revision: u64) -> Self {
        let revision = revision.to_string();
        let arguments = ["endpoint", "hashkv", "-w", "json", "--rev", &revision];
        let text = output_of(etcdctl.args(arguments));
        let response: Value = serde_json::from_slice(&text).expect("`etcdctl` prints JSON");
        let response = &response[0]["HashKV"];
        Self {
            hash: response["hash"].as_u64().expect("the response has a hash"),
            compact_revision: response["compact_revision"].as_i64().unwrap_or(0),
        }
    }
}

impl Etcd {
    /// The member's HashKV at `revision`.
    pub fn hash_kv(&self, revision: u64) -> HashKv {
        Etcd::hash_kv_of(self.version, self, revision)
    }

    /// Any member's HashKV at `revision`. Asked by `etcdctl`: the JSON API of 3.4
    /// has no way to ask.
    pub fn hash_kv_of(version: Version, member: &Client, revision: u64) -> HashKv {
        HashKv::asked(&mut etcdctl(version, member.endpoint()), revision)
    }

    /// A SHA-256 over every key that lives at `revision`: key, value, revisions,
    /// version and lease.
    pub fn full_range(&self, revision: u64) -> String {
        let response =
            self.ask(&["get", "", "--from-key", "-w", "protobuf", "--rev", &revision.to_string()]);
        hex(&Sha256::digest(without_header(&response)))
    }

    /// How many keys live at `revision`.
    pub fn key_count(&self, revision: u64) -> u64 {
        let all =
            json!({ "key": "AA==", "range_end": "AA==", "revision": revision, "count_only": true });
        super::client::number(&self.post("/v3/kv/range", &all)["count"])
    }

    /// What the version's own client saves as a snapshot.
    pub fn save_snapshot(&self) -> Vec<u8> {
        let folder = new_folder();
        let file = folder.path().join("saved");
        self.ask(&["snapshot", "save", file.to_str().expect("temporary paths are UTF-8")]);
        std::fs::read(file).expect("`etcdctl` saved it")
    }

    /// The version's own client, turned to this member.
    pub(super) fn etcdctl(&self) -> Command {
        etcdctl(self.version, &self.endpoint())
    }

    fn ask(&self, arguments: &[&str]) -> Vec<u8> {
        output_of(self.etcdctl().args(arguments))
    }
}

fn etcdctl(version: Version, endpoint: &str) -> Command {
    let mut command = Command::new(version.program("etcdctl"));
    command.env_clear().args(["--endpoints", endpoint, "--command-timeout", "60s"]);
    command
}

pub(super) fn output_of(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("`etcdctl` can be run");
    let problems = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {problems}");
    output.stdout
}

/// A `RangeResponse` without its first field, which names the member that responded.
fn without_header(response: &[u8]) -> &[u8] {
    const HEADER: u8 = 1 << 3 | 2;
    match response {
        // A header is too short for a length of two bytes.
        [HEADER, length @ 0..0x80, rest @ ..] => &rest[usize::from(*length)..],
        _ => panic!("a range response begins with its header"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
