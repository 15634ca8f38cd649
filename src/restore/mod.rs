//! `RESTORE.md`: the steps that restore this cluster.
//!
//! | module | its one job |
//! | --- | --- |
//! | `RESTORE.md` | the text, a template |
//! | [`members`] | the members of the new cluster, with their names and addresses |
//! | this one | the other parts of the text, from what is known of the snapshot |
//!
//! The code blocks run as printed; tests run them. What varies between machines is a
//! shell variable with a default. Text from the cluster either has a form without
//! special meaning to a shell, to etcd's flags or to Markdown, or it is
//! quoted in the text as code and is not in any block.

mod members;

use crate::etcd::messages::{Id, MEMBERS, version_or_none};
use crate::manifest::Manifest;
use askama::Template;
use members::{Members, Voter};

/// etcd's default quota, in bytes (`server/storage/quota.go`).
const DEFAULT_QUOTA: u64 = 2 << 30;

/// From this size on, in bytes, the default quota leaves too little room.
const LARGE: u64 = 3 << 29;

/// The guide for a snapshot.
pub(crate) fn guide(manifest: &Manifest) -> String {
    let known = Known {
        endpoint: &manifest.endpoint,
        created_at: &manifest.created_at,
        revision: manifest.revision.to_string(),
        keys: manifest.database.as_ref().map(|database| database.keys),
        version: &manifest.etcd_version,
        bytes: manifest.dump.bytes,
        sha256: &manifest.dump.sha256,
        members: manifest.members.as_deref().map(|list| {
            let member = |m: &crate::manifest::MemberInfo| members::Reported {
                id: m.id.map_or(0, |id| id.0),
                name: m.name.clone().unwrap_or_default(),
                is_learner: m.is_learner == Some(true),
                peer_urls: m.peer_urls.clone(),
                client_urls: m.client_urls.clone(),
            };
            list.iter().map(member).collect()
        }),
        alarms: manifest.alarms.iter().map(|a| (a.member_id.0, a.alarm.name().into())).collect(),
        auth: manifest.auth_enabled,
        quota: manifest.db_size_quota,
        proof: proof(manifest.proof.outcome, manifest.proof.reason.as_deref()),
        warnings: &manifest.warnings,
    };
    known.guide()
}

/// The result of the comparison with the members, as a sentence.
fn proof(outcome: &str, reason: Option<&str>) -> String {
    match (outcome, reason) {
        ("proven", _) => "A majority of the voting members held the same keys.".into(),
        ("self-consistent", _) => {
            "The member that sent it held the same keys; no other member was compared.".into()
        }
        (_, Some(reason)) => {
            format!(
                "Whether a majority of the members held the same keys is unknown: {}.",
                code(reason)
            )
        }
        (_, None) => "It was not compared with what the members held.".into(),
    }
}

/// The facts from which the guide is made.
struct Known<'a> {
    endpoint: &'a str,
    created_at: &'a str,
    revision: String,
    /// The number of keys, if the pages were read.
    keys: Option<u64>,
    /// Empty if unknown.
    version: &'a str,
    bytes: u64,
    sha256: &'a str,
    members: Option<Vec<members::Reported>>,
    /// The member of each, zero for the whole cluster, and its name.
    alarms: Vec<(u64, String)>,
    auth: Option<bool>,
    quota: Option<u64>,
    /// To what extent it is proven: a sentence.
    proof: String,
    warnings: &'a [String],
}

impl Known<'_> {
    fn guide(&self) -> String {
        let list = self.members.as_deref().filter(|list| list.len() <= MEMBERS);
        let Members { voters, remarks, wildcard } = Members::of(list.unwrap_or_default());
        let kubeadm = members::are_kubeadms(&voters);
        let secure = |urls: &str| urls.contains("https://") || urls.contains("unixs://");
        let scheme = |urls: Option<&String>| {
            if urls.is_some_and(|urls| secure(urls)) { "https" } else { "http" }
        };
        let has_alarm = |name: &str| self.alarms.iter().any(|(_, alarm)| alarm == name);
        let version = Some(self.version).filter(|version| is_a_version(version));
        let scheme_peer = scheme(voters.first().map(|v| &v.peer_urls));
        let scheme_client = scheme(voters.first().map(|v| &v.client_urls));
        let page = Page {
            endpoint: code(self.endpoint),
            proof: &self.proof,
            created_at: self.created_at,
            revision: &self.revision,
            keys: self.keys,
            version,
            from_3_4: version.is_some_and(|version| version.starts_with("3.4.")),
            bytes: self.bytes,
            sha256: self.sha256,
            auth: self.auth,
            quota: quota(self.bytes, self.quota),
            large: self.bytes > LARGE,
            alarms: self.alarms.iter().map(|(id, name)| alarm(*id, name)).collect(),
            warnings: self.warnings.iter().map(|warning| code(warning)).collect(),
            nospace: has_alarm("NOSPACE"),
            corrupt: has_alarm("CORRUPT"),
            why_unknown: match self.members {
                None => "etcd refused it, or a proxy hid it.",
                Some(_) if list.is_none() => "the reported members do not form a cluster.",
                Some(_) => "none of the reported members can be restored as reported.",
            },
            several: voters.len() > 1,
            kubeadm,
            static_pods: kubeadm || voters.is_empty(),
            tls: voters.iter().any(|v| secure(&v.peer_urls) || secure(&v.client_urls)),
            initial_cluster: members::initial_cluster(&voters),
            names: voters.iter().map(|v| v.name.as_str()).collect::<Vec<_>>().join(" or "),
            example: voters.first().map(|v| v.name.clone()).unwrap_or_default(),
            wildcard: format!(
                "{scheme_peer}://{wildcard}:2380` and `{scheme_client}://{wildcard}:2379"
            ),
            scheme_peer,
            scheme_client,
            members: voters,
            remarks,
        };
        page.render().unwrap_or_else(|error| unreachable!("{error}"))
    }
}

/// The fields of the template.
#[derive(Template)]
#[template(path = "restore/RESTORE.md", escape = "none")]
struct Page<'a> {
    endpoint: String,
    proof: &'a str,
    created_at: &'a str,
    revision: &'a str,
    keys: Option<u64>,
    version: Option<&'a str>,
    from_3_4: bool,
    bytes: u64,
    sha256: &'a str,
    auth: Option<bool>,
    quota: Option<u64>,
    large: bool,
    alarms: Vec<String>,
    warnings: Vec<String>,
    nospace: bool,
    corrupt: bool,
    /// The members of the new cluster; empty if the list is not known.
    members: Vec<Voter>,
    why_unknown: &'a str,
    remarks: Vec<String>,
    several: bool,
    /// Whether they look like members that kubeadm sets up.
    kubeadm: bool,
    /// Whether they may be static pods.
    static_pods: bool,
    tls: bool,
    initial_cluster: String,
    example: String,
    names: String,
    wildcard: String,
    scheme_peer: &'a str,
    scheme_client: &'a str,
}

/// The quota to start with; `None` if etcd's default is sufficient.
fn quota(dump: u64, reported: Option<u64>) -> Option<u64> {
    match reported {
        // A full database needs room for its cleanup.
        Some(quota) if dump < quota / 8 * 7 => {
            (quota != DEFAULT_QUOTA || dump > LARGE).then_some(quota)
        }
        _ if dump > LARGE => Some((dump * 2).next_power_of_two()),
        _ => None,
    }
}

fn alarm(member: u64, name: &str) -> String {
    match member {
        0 => format!("{} of the whole cluster", code(name)),
        id => format!("{} of member `{}`", code(name), Id(id)),
    }
}

fn is_a_version(text: &str) -> bool {
    !version_or_none(text).is_empty()
}

/// Quotes a text of any origin as code: short, on one line, and without anything that ends it.
fn code(text: &str) -> String {
    const MOST: usize = 200;
    let plain = |c: char| (c.is_ascii_graphic() || c == ' ') && !"`|".contains(c);
    let shown: String = text.chars().take(MOST).map(|c| if plain(c) { c } else { '?' }).collect();
    let rest = if text.chars().count() > MOST { "..." } else { "" };
    format!("`{shown}{rest}`")
}

#[cfg(test)]
mod tests;
