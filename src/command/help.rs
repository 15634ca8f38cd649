//! The help text.

use super::ABSENT_EXIT_CODE;
use crate::options::{OPTIONS, PROTOCOLS, ValueKind};
use plakar_connector::ErrorKind;
use std::fmt::Write as _;

/// The text of `--help`.
pub(super) fn help() -> String {
    let protocols: Vec<String> =
        PROTOCOLS.iter().map(|p| format!("{}://HOST[:{}]", p.name, p.default_port)).collect();
    let mut text = format!(
        "plakar-etcd {version}: verified snapshots of an etcd cluster\n\n\
         Usage:\n  \
           backup LOCATION [-o NAME=VALUE]...   write a snapshot to standard output\n  \
           backup --bundle LOCATION ...         write a tar archive: dump, manifest.json, RESTORE.md\n  \
           ping LOCATION [-o NAME=VALUE]...     check whether a backup could start\n  \
           verify                               verify a dump or a bundle\n  \
           show [--json]                        its revision, members, alarms and sizes\n  \
           keys [PREFIX] [--json]               its keys\n  \
           get KEY [--json]                     the value of a key\n  \
           diff OLD NEW [--json]                the keys that differ between two dumps\n  \
           --help, --version\n\n\
         A dump or a bundle is read from standard input, or with --file PATH from a file that the\n\
         host grants. `verify --file` also accepts a directory with all files of a backup. `diff`\n\
         takes two files, `-` is standard input. A dump is verified before anything is printed.\n\
         A key is printed on one line, a backslash as `\\\\` and unprintable bytes as `\\xNN`.\n\n  \
           plakar cat SNAPSHOT:/dump | wasmtime run -S http connector.wasm get /registry/...\n  \
           wasmtime run -S http --dir . connector.wasm keys --file ./dump /registry/\n\n\
         Locations:\n  {locations}\n\n\
         Output is streamed: trust it only if the command exits with 0. Write to a `.part`\n\
         file, and rename it on success:\n\n  \
           wasmtime run -S http connector.wasm backup etcd://node1:2379 > snapshot.db.part \\\n    \
             && mv snapshot.db.part snapshot.db\n\n\
         Options (-o NAME=VALUE):\n",
        version = env!("CARGO_PKG_VERSION"),
        locations = protocols.join("\n  "),
    );
    let width = OPTIONS.iter().map(|option| option.name.len()).max().unwrap_or_default() + 1;
    for option in OPTIONS {
        let choices = match option.kind {
            ValueKind::Choice(words) => Some(words.join(", ")),
            _ => None,
        };
        let default = option.default.map(|default| format!("default: {default}"));
        let values: Vec<String> = choices.into_iter().chain(default).collect();
        let values =
            if values.is_empty() { values.concat() } else { format!(" [{}]", values.join("; ")) };
        let _ = writeln!(text, "  {:<width$} {}{values}", option.name, option.help);
    }
    text.push_str(
        "\nTo keep a password out of the arguments:\n  \
         --password-stdin      read it from standard input, one line\n  \
         --password-env NAME   read it from the variable NAME (`wasmtime run --env NAME`)\n\n\
         Private certificate authorities, client certificates and an enforced list of\n\
         endpoints need the host `plakar-wasm`: `wasmtime` lets a command reach any address.\n\n\
         Exit codes:\n   0  success\n",
    );
    let mut kinds = ErrorKind::ALL;
    kinds.sort_by_key(|kind| kind.exit_code());
    for kind in kinds {
        let _ = writeln!(text, "  {:>2}  {}", kind.exit_code(), kind.meaning());
    }
    let _ = writeln!(text, "  {ABSENT_EXIT_CODE}  the key does not exist");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_option_protocol_and_exit_code() {
        let help = help();
        for option in OPTIONS {
            assert!(help.contains(option.name) && help.contains(option.help), "{}", option.name);
        }
        for protocol in PROTOCOLS {
            assert!(help.contains(&format!("{}://", protocol.name)));
        }
        for kind in ErrorKind::ALL {
            assert!(help.contains(&format!("{}  {}", kind.exit_code(), kind.meaning())));
        }
        assert!(help.lines().all(|line| line.len() <= 110), "a line is too long");
    }
}
