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
    /// What it is; `None` where it was not measured.
    pub(crate) value: Option<f64>,
    unit: Unit,
}

enum Unit {
    Ratio,
    Percent,
    Of(Quantity),
}

const MIB: f64 = 1024.0 * 1024.0;

/// All of them. `main` is the size at which every row was measured.
pub(crate) fn figures(results: &Results, main: u64) -> Vec<Figure> {
    let at = |row: &str, size: u64, quantity| results.median(row, Some(size), quantity);
    let here = |row: &str, quantity| at(row, main, quantity);
    let ratio = |one: Option<f64>, other: Option<f64>| Some(one? / other?);
    let walls = |one, other| ratio(here(one, Wall), here(other, Wall));
    let sizes = {
        let mut sizes: Vec<u64> = results.series.iter().filter_map(|s| s.size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    };
    let largest = sizes.last().copied().unwrap_or(main);
    // The second size: at the smallest, buffers are not yet in full use.
    let small = sizes.get(1).copied().unwrap_or(main);
    let flat = |row| {
        let (small, large) = (at(row, small, Memory)?, at(row, largest, Memory)?);
        (sizes.len() > 2).then_some((large / small - 1.0).abs() * 100.0)
    };
    // What a dump really has: a database file is larger than what was put into it.
    let dump = here("save/etcdctl", Saved).unwrap_or(main as f64 * 1e6);
    let of_database = |row, quantity| Some(here(row, quantity)? / dump * 100.0);
    let figure = |what, limit, unit, value| Figure { what, limit, value, unit };
    vec![
        figure(
            "save over gRPC, against `etcdctl snapshot save`, which verifies nothing",
            1.15,
            Unit::Ratio,
            walls("save/plakar-wasm-grpc", "save/etcdctl"),
        ),
        figure(
            "save over gRPC, against `etcdctl snapshot save` and a SHA-256 check",
            0.9,
            Unit::Ratio,
            walls("save/plakar-wasm-grpc", "save/etcdctl-sha256"),
        ),
        figure(
            "save over the gateway, against `curl`, which verifies nothing",
            1.1,
            Unit::Ratio,
            walls("save/plakar-wasm-gateway", "save/curl-gateway"),
        ),
        figure(
            "save over the gateway and mutual TLS, against `curl` over the same",
            1.1,
            Unit::Ratio,
            walls("mtls/plakar-wasm-gateway", "mtls/curl-gateway"),
        ),
        figure(
            "etcd's CPU over gRPC, against `etcdctl`",
            1.05,
            Unit::Ratio,
            ratio(here("save/plakar-wasm-grpc", EtcdCpu), here("save/etcdctl", EtcdCpu)),
        ),
        figure(
            "put p99 during a backup over gRPC, against `etcdctl`",
            1.1,
            Unit::Ratio,
            ratio(here("harm/plakar-wasm-grpc", PutP99), here("harm/etcdctl", PutP99)),
        ),
        figure(
            "the sandbox: the component against the same core without WebAssembly",
            1.3,
            Unit::Ratio,
            walls("save/plakar-wasm-grpc", "save/native-grpc"),
        ),
        figure(
            "peak memory over gRPC, largest database",
            96.0 * MIB,
            Unit::Of(Memory),
            at("save/plakar-wasm-grpc", largest, Memory),
        ),
        figure(
            "peak memory over gRPC, largest database against the second smallest",
            10.0,
            Unit::Percent,
            flat("save/plakar-wasm-grpc"),
        ),
        figure(
            "peak memory over the gateway, largest database",
            96.0 * MIB,
            Unit::Of(Memory),
            at("save/plakar-wasm-gateway", largest, Memory),
        ),
        figure(
            "peak memory over the gateway, largest database against the second smallest",
            10.0,
            Unit::Percent,
            flat("save/plakar-wasm-gateway"),
        ),
        figure(
            "first backup through plakar, against `etcdctl` and `plakar backup` of the file",
            0.95,
            Unit::Ratio,
            walls("store/plakar-grpc", "store/etcdctl-plakar"),
        ),
        figure(
            "store growth by a second backup, nothing written, of the database",
            1.0,
            Unit::Percent,
            of_database("store/plakar-grpc", StoreGrowthIdle),
        ),
        figure(
            "the plugin's memory while plakar is stopped",
            96.0 * MIB,
            Unit::Of(Memory),
            here("start/plugin-stopped", Memory),
        ),
        figure(
            "plugin: from its start to the first HTTP/2 frame, nothing compiled yet",
            1.0,
            Unit::Of(Wall),
            here("start/plugin-cold", Wall),
        ),
        figure(
            "`ping` over `curl` of the status",
            0.05,
            Unit::Of(Wall),
            here("start/ping-warm", Wall).zip(here("start/curl-status", Wall)).map(|(a, b)| a - b),
        ),
        figure(
            "first byte with three members, one dead, one frozen",
            connect_timeout() + 0.5,
            Unit::Of(Wall),
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
    /// Whether it was reached; `None` where it was not measured.
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
