//! Saving a snapshot to a file.

use super::Row;
use crate::bed::{Bed, in_turn};
use crate::results::Sample;
use crate::savers::{Saver, Transport};

/// The rows.
pub(super) fn rows(bed: &Bed) -> Vec<Row<'_>> {
    let row = |name, saver| Row::new(name, move || save(bed, saver));
    vec![
        row("save/etcdctl", Saver::Etcdctl),
        row("save/plakar-wasm-grpc", Saver::Host(Transport::Grpc)),
        row("save/native-grpc", Saver::Native(Transport::Grpc)),
        row("save/etcdctl-sha256", Saver::EtcdctlChecked),
        row("save/curl-gateway", Saver::Curl),
        row("save/plakar-wasm-gateway", Saver::Host(Transport::Gateway)),
        row("save/native-gateway", Saver::Native(Transport::Gateway)),
        row("save/wasmtime-gateway", Saver::Wasmtime),
    ]
}

fn save(bed: &Bed, saver: Saver) -> Result<Sample, String> {
    let to = bed.target()?;
    let steps = saver.steps(bed, &to)?;
    let sample = bed.account(|| in_turn(steps))?;
    // A row that left no dump measured something else.
    match saver.dump_bytes(&to) {
        Some(bytes) if bytes < bed.size * 1_000_000 => Err(format!("it left {bytes} bytes")),
        _ => Ok(sample),
    }
}
