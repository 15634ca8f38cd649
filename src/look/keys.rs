//! `keys`: which keys are there, in the order of their bytes.

use super::names::Listed;
use super::{KeyJson, Style, damaged, flush, lease, text, write};
use crate::error::Result;
use crate::etcd::messages::Id;
use crate::json;
use crate::options::PROOF_MEMORY_MOST;
use crate::stored::Source;
use serde::Serialize;
use std::io::{BufWriter, Write};

/// A key on a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    key: KeyJson<'a>,
    create_revision: i64,
    mod_revision: u64,
    version: i64,
    lease: Option<Id>,
    /// The size of its value, in bytes.
    size: u32,
}

pub(super) fn run(
    prefix: &[u8],
    source: &Source,
    style: Style,
    out: &mut impl Write,
) -> Result<()> {
    let (_, listed) = Listed::read(source, PROOF_MEMORY_MOST, prefix, style.json)?;
    let out = &mut BufWriter::new(out);
    for key in &listed.keys {
        let name = listed.name(key);
        let line = if !style.json {
            text::show_key(name) + "\n"
        } else {
            let detail = listed.detail(key).ok_or_else(|| damaged(name))?;
            json::line(&Line {
                key: KeyJson::of(name),
                create_revision: detail.create_revision,
                mod_revision: key.row.main,
                version: detail.version,
                lease: lease(detail.lease),
                size: detail.size,
            })
        };
        write(out, line.as_bytes())?;
    }
    flush(out)
}
