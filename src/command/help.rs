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
        "plakar-etcd {version}: proven snapshots of an etcd cluster\n\n\
         Usage:\n  \
           backup LOCATION [-o NAME=VALUE]...   write a snapshot to standard output\n  \
           backup --bundle LOCATION ...         write a tar archive: dump, manifest.json, RESTORE.md\n  \
           ping LOCATION [-o NAME=VALUE]...     tell whether a backup could start\n  \
           verify                               check a dump or a bundle\n  \
           show [--json]                        what its pages say\n  \
           keys [PREFIX] [--json]               the keys that are there\n  \
           get KEY [--json]                     what one of them holds\n  \
           diff OLD NEW [--json]                what changed from one dump to the next\n  \
           --help, --version\n\n\
         A dump or a bundle comes on standard input, or with --file PATH from a file that the host\n\
         grants; `verify --file` takes a directory with all files of a backup as well, and `diff`\n\
         names files alone, `-` for standard input. Nothing is told of a dump before it was checked.\n\
         Keys are on one line, a backslash as `\\\\` and what cannot be seen as `\\xNN`.\n\n  \
           plakar cat SNAPSHOT:/dump | wasmtime run -S http connector.wasm get /registry/...\n  \
           wasmtime run -S http --dir . connector.wasm keys --file ./dump /registry/\n\n\
         Locations:\n  {locations}\n\n\
         Bytes leave as they come, so the exit code is the verdict: write to a `.part` file,\n\
         and rename it only on success:\n\n  \
           wasmtime run -S http connector.wasm backup etcd://node1:2379 > snapshot.db.part \\\n    \
             && mv snapshot.db.part snapshot.db\n\n\
         Options (-o NAME=VALUE):\n",
        version = env!("CARGO_PKG_VERSION"),
        locations = protocols.join("\n  "),
    );
    for option in OPTIONS {
        let choices = match option.kind {
            ValueKind::Choice(words) => format!(": {}", words.join(" or ")),
            _ => String::new(),
        };
        let default = option.default.map(|d| format!(" [default: {d}]")).unwrap_or_default();
        let _ = writeln!(text, "  {:<16} {}{choices}{default}", option.name, option.help);
    }
    text.push_str(
        "\nA password is best not typed as an option:\n  \
         --password-stdin      one line on standard input\n  \
         --password-env NAME   the variable NAME, which `wasmtime run --env NAME` passes on\n\n\
         Private certificate authorities, client certificates and an enforced list of\n\
         endpoints need the host `plakar-wasm`: a command of `wasmtime` may reach any address.\n\n\
         Exit codes:\n  0  success",
    );
    for kind in ErrorKind::ALL {
        let _ = write!(text, "\n  {}  {}", kind.exit_code(), kind.name());
    }
    let _ = write!(text, "\n  {ABSENT_EXIT_CODE}  the key is not there");
    text.push('\n');
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
            assert!(help.contains(&format!("{}  {}", kind.exit_code(), kind.name())));
        }
        assert!(help.lines().all(|line| line.len() <= 110), "a line is too long");
    }
}
