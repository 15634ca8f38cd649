//! Saving a snapshot to a file.

use super::{Pass, Row};
use crate::bed::{Bed, Security, in_turn};
use crate::results::{Quantity, Sample};
use crate::savers::{Saver, Transport};

/// The two transports, each beside its peer.
const TELLING: [(&str, Saver); 5] = [
    ("save/etcdctl", Saver::Etcdctl),
    ("save/plakar-wasm-grpc", Saver::Host(Transport::Grpc)),
    ("save/plakar-wasm-grpc-digest", Saver::HostDigest(Transport::Grpc)),
    ("save/curl-gateway", Saver::Curl),
    ("save/plakar-wasm-gateway", Saver::Host(Transport::Gateway)),
];

const MORE: [(&str, Saver); 4] = [
    ("save/etcdctl-sha256", Saver::EtcdctlChecked),
    ("save/native-grpc", Saver::Native(Transport::Grpc)),
    ("save/native-gateway", Saver::Native(Transport::Gateway)),
    ("save/wasmtime-gateway", Saver::Wasmtime),
];

const SECURE: [(&str, Saver); 4] = [
    ("mtls/etcdctl", Saver::Etcdctl),
    ("mtls/plakar-wasm-grpc", Saver::Host(Transport::Grpc)),
    ("mtls/curl-gateway", Saver::Curl),
    ("mtls/plakar-wasm-gateway", Saver::Host(Transport::Gateway)),
];

/// The rows at every size.
pub(super) fn telling_rows(bed: &Bed) -> Vec<Row<'_>> {
    rows(bed, TELLING, Security::None)
}

/// The other rows in the clear.
pub(super) fn more_rows(bed: &Bed) -> Vec<Row<'_>> {
    rows(bed, MORE, Security::None)
}

/// The rows over TLS, with certificates on both sides.
pub(super) fn secure_rows(bed: &Bed) -> Vec<Row<'_>> {
    rows(bed, SECURE, Security::Mutual)
}

fn rows(
    bed: &Bed,
    savers: impl IntoIterator<Item = (&'static str, Saver)>,
    security: Security,
) -> Vec<Row<'_>> {
    let row = |(name, saver)| Row::new(name, move |pass| save(bed, saver, security, pass));
    savers.into_iter().map(row).collect()
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
