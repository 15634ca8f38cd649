//! Reads arbitrary bytes as a database: they are accepted or refused, in bounded memory, and
//! with the same result however the bytes are split.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plakar_etcd::proof::{Fault, Keyspace, Reader};

const MEMORY: usize = 4 << 20;

fn read(bytes: &[u8], piece: usize) -> Option<Result<Keyspace, Fault>> {
    let mut reader = Reader::new(MEMORY, ());
    for piece in bytes.chunks(piece) {
        reader.update(piece).ok()?;
    }
    reader.finish().ok()?
}

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    // libFuzzer does not find a valid checksum by chance.
    if bytes.len() >= 1024 {
        databases::sign(&mut bytes, 512);
    }
    let (whole, cut) = (read(&bytes, bytes.len().max(1)), read(&bytes, 77));
    match (whole, cut) {
        (Some(Ok(whole)), Some(Ok(cut))) => {
            assert_eq!(whole.found, cut.found);
            for compacted in [-1, 0, whole.found.compact_revision, whole.found.revision] {
                assert_eq!(whole.hash(compacted), cut.hash(compacted));
            }
        }
        (Some(Err(whole)), Some(Err(cut))) => assert_eq!(whole, cut),
        (None, None) => {}
        _ => panic!("the cutting decides"),
    }
});
