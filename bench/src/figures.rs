//! The figures to reach, and whether they were.

use crate::results::Quantity::{self, *};
use crate::results::Results;
use serde_json::{Value, json};

/// A figure to reach: at most this much.
pub(crate) struct Figure {
    /// What is compared.
    pub(crate) what: &'static str,
    /// What it should be at most.
    pub(crate) limit: f64,
    /// What it is; `None` if it was not measured.
    pub(crate) value: Option<f64>,
    unit: Unit,
}

enum Unit {
    Ratio,
    Percent,
    Of(Quantity),
}

const MIB: f64 = 1024.0 * 1024.0;

/// Megabytes of database between which memory has to stay flat. At less, buffers
/// are not yet in full use.
const SMALL: u64 = 128;
const LARGE: u64 = 2048;

/// All of them. `main` is the size at which every row was measured.
pub(crate) fn figures(results: &Results, main: u64) -> Vec<Figure> {
    let at = |row: &str, size: u64, quantity| results.median(row, size, quantity);
    let here = |row: &str, quantity| at(row, main, quantity);
    let ratio =
        |quantity, one: &str, other: &str| Some(here(one, quantity)? / here(other, quantity)?);
    let figure = |what, limit, unit, value| Figure { what, limit, value, unit };
    let against =
        |what, limit, one, other| figure(what, limit, Unit::Ratio, ratio(Wall, one, other));
    let peak = |what, limit, value| figure(what, limit * MIB, Unit::Of(Memory), value);
    let flat = |what, row| {
        let change = at(row, LARGE, Memory)
            .zip(at(row, SMALL, Memory))
            .map(|(large, small)| (large / small - 1.0).abs() * 100.0);
        figure(what, 10.0, Unit::Percent, change)
    };
    let seconds = |what, limit, value| figure(what, limit, Unit::Of(Wall), value);
    // What a dump really has: a database file is larger than what was put into it.
    let dump = here("save/etcdctl", Saved).unwrap_or(main as f64 * 1e6);
    let grown = here("store/plakar-grpc", StoreGrowthIdle).map(|bytes| bytes / dump * 100.0);
    let ping = here("start/ping-warm", Wall).zip(here("start/curl-status", Wall));
    vec![
        against(
            "save over gRPC, against `etcdctl snapshot save`, which verifies nothing",
            1.0,
            "save/plakar-wasm-grpc",
            "save/etcdctl",
        ),
        against(
            "the same without the proof from the pages (`proof=off`)",
            0.9,
            "save/plakar-wasm-grpc-digest",
            "save/etcdctl",
        ),
        against(
            "the proof from the pages, against `proof=off`",
            1.25,
            "save/plakar-wasm-grpc",
            "save/plakar-wasm-grpc-digest",
        ),
        against(
            "save over gRPC, against `etcdctl snapshot save` and a SHA-256 check",
            0.9,
            "save/plakar-wasm-grpc",
            "save/etcdctl-sha256",
        ),
        against(
            "save over the gateway, against `curl`, which verifies nothing",
            1.1,
            "save/plakar-wasm-gateway",
            "save/curl-gateway",
        ),
        against(
            "save over the gateway and mutual TLS, against `curl` over the same",
            1.1,
            "mtls/plakar-wasm-gateway",
            "mtls/curl-gateway",
        ),
        figure(
            "etcd's CPU over gRPC, against `etcdctl`",
            1.05,
            Unit::Ratio,
            ratio(EtcdCpu, "save/plakar-wasm-grpc", "save/etcdctl"),
        ),
        figure(
            "put p99 during a backup over gRPC, against `etcdctl`",
            1.1,
            Unit::Ratio,
            ratio(PutP99, "harm/plakar-wasm-grpc", "harm/etcdctl"),
        ),
        figure(
            "put p99 while a member hashes its keys, against none",
            1.5,
            Unit::Ratio,
            ratio(PutP99, "harm/hashkv", "harm/nothing"),
        ),
        figure(
            "put p99 during a backup over gRPC to the member's own disk, against `etcdctl`",
            1.1,
            Unit::Ratio,
            ratio(PutP99, "harm/plakar-wasm-grpc-same-disk", "harm/etcdctl-same-disk"),
        ),
        against(
            "the sandbox over gRPC, against the same core without WebAssembly",
            1.15,
            "save/plakar-wasm-grpc",
            "save/native-grpc",
        ),
        peak("peak memory over gRPC, 2048 MB", 48.0, at("save/plakar-wasm-grpc", LARGE, Memory)),
        flat("peak memory over gRPC, 2048 MB against 128 MB", "save/plakar-wasm-grpc"),
        peak(
            "peak memory over the gateway, 2048 MB",
            48.0,
            at("save/plakar-wasm-gateway", LARGE, Memory),
        ),
        flat("peak memory over the gateway, 2048 MB against 128 MB", "save/plakar-wasm-gateway"),
        against(
            "first backup through plakar, gRPC, against `etcdctl` and `plakar backup` of the file",
            0.85,
            "store/plakar-grpc",
            "store/etcdctl-plakar",
        ),
        figure(
            "store growth by a second backup, nothing written, of the database",
            1.0,
            Unit::Percent,
            grown,
        ),
        peak(
            "the plugin's memory while plakar is stopped",
            96.0,
            here("start/plugin-stopped", Memory),
        ),
        seconds(
            "plugin: from its start to the first HTTP/2 frame, nothing compiled yet",
            1.0,
            here("start/plugin-cold", Wall),
        ),
        seconds("`ping` over `curl` of the status", 0.05, ping.map(|(ping, curl)| ping - curl)),
        seconds(
            "first byte with three members, one dead, one frozen",
            connect_timeout() + 0.5,
            here("start/first-byte-choice", Wall),
        ),
        figure("size of `connector.wasm`", 600e3, Unit::Of(Size), here("start/connector", Size)),
    ]
}

/// The default, in seconds.
fn connect_timeout() -> f64 {
    let limits = plakar_connector::TimeLimits::read(|_| None);
    limits.map_or(f64::NAN, |limits| limits.connect.as_secs_f64())
}

impl Figure {
    /// Whether it was reached; `None` if it was not measured.
    pub(crate) fn is_reached(&self) -> Option<bool> {
        self.value.map(|value| value <= self.limit)
    }

    /// What it should be, for people.
    pub(crate) fn reach(&self) -> String {
        format!("≤ {}", self.show(self.limit))
    }

    /// What it is, for people.
    pub(crate) fn got(&self) -> String {
        self.value.map_or_else(|| "-".into(), |value| self.show(value))
    }

    /// The verdict, and by how much.
    pub(crate) fn verdict(&self) -> String {
        match (self.is_reached(), self.value) {
            (Some(true), _) => "reached".into(),
            (Some(false), Some(value)) => {
                format!("not reached, by {:.0} %", (value / self.limit - 1.0) * 100.0)
            }
            _ => "not measured".into(),
        }
    }

    /// As an object.
    pub(crate) fn json(&self) -> Value {
        json!({ "what": self.what, "at_most": self.limit, "value": self.value, "reached": self.is_reached() })
    }

    fn show(&self, value: f64) -> String {
        match self.unit {
            Unit::Ratio => format!("{value:.2} ×"),
            Unit::Percent => format!("{value:.1} %"),
            Unit::Of(quantity) => quantity.show(value),
        }
    }
}
