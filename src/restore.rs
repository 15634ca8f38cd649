//! `RESTORE.md`: the exact commands that bring this cluster back.
//!
//! The commands run as printed; a test executes them. What varies between
//! machines is a shell variable with a default, and every word that came from
//! the cluster is quoted for the shell, since names are the users' to choose.

use crate::alarm::AlarmType;
use crate::manifest::{Manifest, MemberInfo};
use std::fmt::Write as _;

/// The guide for a snapshot.
pub fn guide(manifest: &Manifest) -> String {
    let tool = Tool::for_version(&manifest.etcd_version);
    let voters = voters(manifest);
    let mut text = format!(
        "# Restoring this etcd snapshot\n\n\
         `dump` is a snapshot of the etcd cluster behind {}, taken {} at revision {}{}. It has {} bytes, \
         and was checked against etcd's own SHA-256 while it was read.\n\n",
        code(&manifest.endpoint),
        manifest.created_at,
        manifest.revision,
        match manifest.etcd_version.as_str() {
            "" => String::new(),
            version => format!(" (etcd {})", code(version)),
        },
        manifest.dump.bytes,
    );
    let _ = write!(
        text,
        "- Restore with {} of the same minor version as the cluster, or a newer one.\n\
         - Never use `--skip-hash-check`: with it a damaged dump restores without a word.\n\
         - A restore that fails leaves a data directory that etcd would start from. The commands below \
           remove it.\n\
         - A restore makes a new cluster. Stop every member of the old one first, and do not use its data \
           directories again.\n\
         - Users, roles and leases come back as they were, and so does the switch of authentication.\n",
        code(tool.name),
    );
    if manifest.alarms.iter().any(|alarm| alarm.alarm == AlarmType::Nospace) {
        text.push_str(
            "- The alarm NOSPACE was on and comes back with the data: after the start, run `etcdctl defrag`, \
             and then `etcdctl alarm disarm`.\n",
        );
    }
    if manifest.members.is_none() {
        text.push_str(
            "- The member list was not told when this snapshot was taken. Put the names and peer URLs of \
             your members in place of those below.\n",
        );
    }
    text.push_str("\n## One member\n\nOn the host that will run it:\n\n");
    let first = &voters[0];
    text.push_str(&restore_block(tool.name, first, std::slice::from_ref(first), ""));
    text.push_str(&start_block(first));
    if voters.len() > 1 {
        text.push_str(
            "Then add the others one after the other, each with an empty data directory: `etcdctl member add`, \
             and the flags that it prints.\n",
        );
        text.push_str(
            "\n## All members\n\nCopy the same `dump` to every host, run the host's own command, and start all \
             members once all are restored.\n\n",
        );
        for member in &voters {
            let _ = write!(text, "### {}\n\n", code(&member.name));
            text.push_str(&restore_block(tool.name, member, &voters, ""));
            text.push_str(&start_block(member));
        }
    }
    text.push_str(&kubernetes(&tool, first, &voters));
    text
}

/// The tool that restores, and what it can do.
struct Tool {
    name: &'static str,
    bumps_revision: bool,
}

impl Tool {
    /// `etcdutl` came with 3.5; revisions can be bumped since 3.4.27, 3.5.10 and 3.6.
    fn for_version(version: &str) -> Self {
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        let name = |is_3_4| if is_3_4 { "etcdctl" } else { "etcdutl" };
        match (next(), next(), next()) {
            (3, 4, patch) => Tool { name: name(true), bumps_revision: patch >= 27 },
            (3, 5, patch) => Tool { name: name(false), bumps_revision: patch >= 10 },
            _ => Tool { name: name(false), bumps_revision: true },
        }
    }
}

struct Voter {
    name: String,
    peer_urls: Vec<String>,
    client_urls: Vec<String>,
}

/// The members that a new cluster is made of: voters that have a name. In the
/// order of the member list.
fn voters(manifest: &Manifest) -> Vec<Voter> {
    let members: &[MemberInfo] = manifest.members.as_deref().unwrap_or_default();
    let mut voters: Vec<Voter> = members
        .iter()
        .filter(|m| m.is_learner != Some(true) && !m.peer_urls.is_empty())
        .filter_map(|m| {
            let name = m.name.clone().filter(|name| !name.is_empty())?;
            Some(Voter { name, peer_urls: m.peer_urls.clone(), client_urls: m.client_urls.clone() })
        })
        .collect();
    if voters.is_empty() {
        voters.push(Voter {
            name: "default".into(),
            peer_urls: vec!["http://localhost:2380".into()],
            client_urls: vec!["http://localhost:2379".into()],
        });
    }
    voters
}

const PREPARE: &str = "DUMP=\"${DUMP:-./dump}\"\nDATA_DIR=\"${DATA_DIR:-/var/lib/etcd-restored}\"\n\
                       TOKEN=\"${TOKEN:-restored}\"\n";

fn restore_block(tool: &str, member: &Voter, cluster: &[Voter], more: &str) -> String {
    let initial: Vec<String> = cluster
        .iter()
        .flat_map(|m| m.peer_urls.iter().map(|url| format!("{}={url}", m.name)))
        .collect();
    format!(
        "```sh\n{PREPARE}\
         if [ -e \"$DATA_DIR\" ]; then\n  \
           echo \"$DATA_DIR is there already: choose another DATA_DIR\" >&2; false\n\
         elif ! {tool} snapshot restore \"$DUMP\" \\\n  \
           --data-dir \"$DATA_DIR\" \\\n  \
           --name {} \\\n  \
           --initial-cluster {} \\\n  \
           --initial-advertise-peer-urls {} \\\n  \
           --initial-cluster-token \"$TOKEN\"{more}\n\
         then\n  \
           rm -rf \"$DATA_DIR\"; echo 'the restore failed: its data directory was removed' >&2; false\n\
         fi\n```\n\n",
        word(&member.name),
        word(&initial.join(",")),
        word(&member.peer_urls.join(",")),
    )
}

fn start_block(member: &Voter) -> String {
    let clients = match member.client_urls.is_empty() {
        true => "http://localhost:2379".into(),
        false => member.client_urls.join(","),
    };
    format!(
        "Then start it, with the TLS and tuning flags that the old cluster had:\n\n```sh\n\
         DATA_DIR=\"${{DATA_DIR:-/var/lib/etcd-restored}}\"\n\
         etcd --data-dir \"$DATA_DIR\" --name {} \\\n  --listen-peer-urls {peers} \\\n  \
         --initial-advertise-peer-urls {peers} \\\n  --listen-client-urls {clients} \\\n  \
         --advertise-client-urls {clients}\n```\n\n",
        word(&member.name),
        peers = word(&member.peer_urls.join(",")),
        clients = word(&clients),
    )
}

fn kubernetes(tool: &Tool, first: &Voter, voters: &[Voter]) -> String {
    let mut text = String::from(
        "\n## Under Kubernetes\n\nA restore takes the revision back, and API servers and controllers that \
         remember higher ones would miss changes without a word. Stop the API servers, ",
    );
    if !tool.bumps_revision {
        text.push_str(
            "and restore with a tool that can raise the revision: `etcdutl` 3.5.10 or later, or `etcdctl` \
             3.4.27 or later, with `--bump-revision 1000000000 --mark-compacted` added to the command above.\n",
        );
        return text;
    }
    text.push_str("and raise the revision above all that were ever seen, with the same two flags on every member:\n\n");
    text.push_str(&restore_block(
        tool.name,
        first,
        voters,
        " \\\n  --bump-revision 1000000000 --mark-compacted",
    ));
    text.push_str(
        "Start etcd, then the API servers, the controller managers and the schedulers.\n",
    );
    text
}

/// A word for the shell that stays one word, whatever a member is called.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._:/=,@%+-[]".contains(c);
    if !text.is_empty() && text.chars().all(plain) && !text.contains(['[', ']']) {
        return text.into();
    }
    // A line break or a back quote could end the block that the word stands in.
    if text.contains(|c: char| c.is_control() || c == '`') {
        return "'REPLACE-THIS-NAME'".into();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A text in back quotes.
fn code(text: &str) -> String {
    let text: String =
        text.chars().map(|c| if c.is_control() || c == '`' { '?' } else { c }).collect();
    format!("`{text}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_breaks_out_of_its_command() {
        for (name, shown) in [
            ("node-1", "node-1"),
            ("a b", "'a b'"),
            ("$(rm -rf /)", "'$(rm -rf /)'"),
            ("it's", r"'it'\''s'"),
            ("http://[::1]:2380", "'http://[::1]:2380'"),
            ("a\n```", "'REPLACE-THIS-NAME'"),
            ("", "''"),
        ] {
            assert_eq!(word(name), shown);
        }
    }

    #[test]
    fn the_tool_fits_the_version() {
        for (version, name, bumps) in [
            ("3.4.23", "etcdctl", false),
            ("3.4.27", "etcdctl", true),
            ("3.5.9", "etcdutl", false),
            ("3.5.33", "etcdutl", true),
            ("3.6.0", "etcdutl", true),
            ("", "etcdutl", true),
        ] {
            let tool = Tool::for_version(version);
            assert_eq!((tool.name, tool.bumps_revision), (name, bumps), "{version}");
        }
    }
}
