//! Saving a snapshot to a file.

use super::{Pass, Row};
use crate::bed::{Bed, Security, in_turn};
use crate::results::{Quantity, Sample};
use crate::savers::{Saver, Transport};

/// The rows at every size.
pub(super) fn rows(bed: &Bed) -> Vec<Row<'_>> {
    let row = |name, saver| Row::new(name, move |pass| save(bed, saver, Security::None, pass));
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

/// The rows over TLS, with certificates on both sides.
pub(super) fn secure_rows(bed: &Bed) -> Vec<Row<'_>> {
    let row = |name, saver| Row::new(name, move |pass| save(bed, saver, Security::Mutual, pass));
    vec![
        row("mtls/etcdctl", Saver::Etcdctl),
        row("mtls/plakar-wasm-grpc", Saver::Host(Transport::Grpc)),
        row("mtls/curl-gateway", Saver::Curl),
        row("mtls/plakar-wasm-gateway", Saver::Host(Transport::Gateway)),
    ]
}

fn save(bed: &Bed, saver: Saver, security: Security, pass: Pass) -> Result<Sample, String> {
    let to = bed.target()?;
    let mut sample =
        bed.account(pass, security, |door| in_turn(saver.steps(bed.home(), door, &to)?))?;
    let saved = to.join("dump").metadata().map_or(0, |metadata| metadata.len());
    // A row that left nothing measured something else.
    if saved < bed.size * 1_000_000 {
        return Err(format!("it left {saved} bytes"));
    }
    sample.push((Quantity::Saved, saved as f64));
    Ok(sample)
}
