//! Inspects a dump: is a key in there?
//!
//! ```text
//! plakar cat SNAPSHOT:/dump | wasmtime run -S http connector.wasm get /registry/…
//! ```
//! | module | contents |
//! | --- | --- |
//! | [`show`] | the facts in its pages |
//! | [`keys`] | which keys are there |
//! | [`get`] | the value of one of them |
//! | [`diff`] | what changed from one dump to the next |
//! | [`names`] | names of keys, kept as they arrive |
//! | [`text`] | untrusted bytes, made safe to show |
//!
//! A dump holds more than its newest revision: older revisions, and free pages with old or even
//! newer ones. Which keys exist is decided at the end, by [`Keyspace::newest`], and nothing is
//! printed before the whole dump was checked.
//!
//! [`Keyspace::newest`]: crate::proof::Keyspace::newest

pub(crate) mod diff;
pub(crate) mod get;
pub(crate) mod keys;
pub(crate) mod names;
pub(crate) mod show;
pub(crate) mod text;

use crate::bundle::output_failed;
use crate::error::{Error, Result};
use crate::etcd::messages::Id;
use crate::snapshot::verifier::Unread;
use crate::stored::{Source, unreadable};
use plakar_connector::ErrorKind;
use serde::Serialize;
use std::io::Write;
use std::time::Duration;

/// The longest time in which the reader accepts nothing: the default of a backup.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// What to print, and from which dump.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The facts in the pages.
    Show(Source),
    /// The keys that begin with these bytes.
    Keys(Vec<u8>, Source),
    /// One key.
    Get(Vec<u8>, Source),
    /// What changed from the first to the second.
    Diff(Source, Source),
}

/// How it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// As JSON.
    pub json: bool,
    /// To a terminal, which must not receive bytes that it interprets.
    pub terminal: bool,
}

impl Look {
    /// Reads the dump and writes what was found. A missing key gives an [`Absent`].
    ///
    /// [`Absent`]: Outcome::Absent
    pub(crate) fn run(&self, style: Style, out: &mut impl Write) -> Result<Outcome> {
        let outcome = match self {
            Look::Show(source) => show::run(source, style, out),
            Look::Keys(prefix, source) => keys::run(prefix, source, style, out),
            Look::Get(key, source) => return get::run(key, source, style, out),
            Look::Diff(old, new) => diff::run(old, new, style, out),
        };
        outcome.map(|()| Outcome::Printed)
    }
}

/// The result of reading a whole dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was written.
    Printed,
    /// The key does not exist: why, for people.
    Absent(String),
}

/// Writes all that a command prints.
pub(crate) fn print(out: &mut impl Write, bytes: &[u8]) -> Result<()> {
    write(out, bytes)?;
    flush(out)
}

/// Writes what was found.
fn write(out: &mut impl Write, bytes: &[u8]) -> Result<()> {
    out.write_all(bytes).map_err(output_failed)
}

/// Flushes the output.
fn flush(out: &mut impl Write) -> Result<()> {
    out.flush().map_err(output_failed)
}

/// The error of a command that needs more memory than is available.
fn too_much() -> Error {
    unreadable(&Unread::Memory)
}

/// The error of a pair that is reachable from the root and not in etcd's form.
fn damaged(key: &[u8]) -> Error {
    let key = text::show_key(key);
    Error::new(ErrorKind::Corrupt, format!("the value of `{key}` is not one of etcd's"))
        .remedy("make another backup, of another member")
}

/// A key in JSON.
#[derive(Debug, Serialize)]
struct KeyJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    /// The key in base64, if it is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
}

impl<'a> KeyJson<'a> {
    fn of(key: &'a [u8]) -> Self {
        let (key, key_base64) = text_or_base64(key);
        Self { key, key_base64 }
    }
}

/// Bytes as text, or in base64 if they are not text.
fn text_or_base64(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(base64_simd::STANDARD.encode_to_string(bytes))),
    }
}

/// A lease in JSON, or `null`.
fn lease(id: i64) -> Option<Id> {
    (id != 0).then_some(Id(id as u64))
}

#[cfg(test)]
mod tests;
