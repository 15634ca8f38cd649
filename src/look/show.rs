//! `show`: the facts in the pages of a dump.

use super::{Style, flush, write};
use crate::error::{Result, plain};
use crate::etcd::messages::Id;
use crate::json;
use crate::manifest::DatabaseInfo;
use crate::options::PROOF_MEMORY_MOST;
use crate::proof::{Found, Keyspace};
use crate::stored::{Onlooker, Source, no_observer};
use std::io::Write;

pub(super) fn run(source: &Source, style: Style, out: &mut impl Write) -> Result<()> {
    let keyspace = source.read(PROOF_MEMORY_MOST, no_observer())?;
    let text =
        if style.json { json::pretty(&DatabaseInfo::of(&keyspace)) } else { lines(&keyspace) };
    write(out, text.as_bytes())?;
    flush(out)
}

/// What was found, one fact per line.
fn lines(keyspace: &Keyspace<Onlooker>) -> String {
    let found = &keyspace.found;
    let or_unknown = |figure: Option<u64>| figure.map_or("unknown".into(), |n| n.to_string());
    let pages =
        |pages: u64| format!("{pages}, {} bytes", pages.saturating_mul(u64::from(found.page_size)));
    let mut lines = vec![
        ("revision", found.revision.to_string()),
        ("compacted at", compaction(found)),
        ("keys", found.keys.to_string()),
        (
            "revisions",
            format!("{} stored, {} of them deletions", found.revisions, found.tombstones),
        ),
        ("leases", found.leases.to_string()),
        (
            "authentication",
            format!(
                "{}, {}, {}",
                if found.auth_enabled { "on" } else { "off" },
                count(found.users, "user"),
                count(found.roles, "role")
            ),
        ),
        ("raft index", or_unknown(found.consistent_index)),
        ("raft term", or_unknown(found.term)),
        (
            "storage version",
            found.storage_version.as_deref().map_or("none, before etcd 3.6".into(), plain),
        ),
        ("page size", format!("{} bytes", found.page_size)),
        ("pages in use", pages(found.live_pages)),
        (
            "free pages",
            format!("{}, which a defragmentation would release", pages(found.free_pages)),
        ),
        (
            "HashKV",
            format!("{} at this revision and compaction", keyspace.hash(found.compact_revision)),
        ),
    ];
    for alarm in &found.alarms {
        let of = match alarm.member_id {
            0 => "the cluster".into(),
            id => format!("member {}", Id(id)),
        };
        lines.push(("alarm", format!("{} of {of}", plain(alarm.alarm.name()))));
    }
    if found.alarms.is_empty() {
        lines.push(("alarms", "none".into()));
    }
    for member in &found.members {
        let name = match member.name.as_str() {
            "" => "never started".into(),
            name => plain(name),
        };
        let learner = if member.is_learner { ", learner" } else { "" };
        let urls = |what: &str, urls: &[String]| match urls {
            [] => String::new(),
            urls => format!(", {what} {}", plain(&urls.join(" "))),
        };
        lines.push((
            "member",
            format!(
                "{} {name}{learner}{}{}",
                Id(member.id),
                urls("peers at", &member.peer_urls),
                urls("clients at", &member.client_urls)
            ),
        ));
    }
    if found.members.is_empty() {
        lines.push(("members", "none: it was restored and has not run since".into()));
    }
    lines.iter().map(|(name, value)| format!("{name:<16} {value}\n")).collect()
}

fn compaction(found: &Found) -> String {
    match (found.compact_revision, found.is_compacting) {
        (..=-1, _) => "never".into(),
        (revision, false) => revision.to_string(),
        (revision, true) => format!("{revision}, not finished"),
    }
}

fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
