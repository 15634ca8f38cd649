//! The component's own command line, for hosts that only run commands.
//!
//! ```text
//! wasmtime run -S http connector.wasm backup etcd://node1:2379 > snapshot.db.part \
//!   && mv snapshot.db.part snapshot.db
//! ```
//! Bytes leave as they come, so the exit code is the verdict.

use crate::bundle::{self, Bundle};
use crate::error::{Error, Result, Stage};
use crate::import::{Fate, Import, Record, Step};
use crate::look::{Look, text::read_key};
use crate::net::Network;
use crate::options::{OPTIONS, Options, PROTOCOLS, ValueKind};
use crate::stored::Source;
use plakar_connector::{Kind, names};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write;

/// How much is read at a time, in bytes.
const PIECE: usize = 256 << 10;

/// What the user wants. No `Debug`: it may hold a password.
pub(crate) enum Command {
    /// Write a snapshot, or a bundle of all records, to standard output.
    Backup {
        /// Where from, and how.
        target: Target,
        /// All records as a tar archive.
        bundle: bool,
    },
    /// Tell whether a backup could start.
    Ping(Target),
    /// Check a backup that was stored.
    Verify(Source),
    /// Look into one, and tell it as JSON if so.
    Look(Look, bool),
    /// Print this text.
    Print(String),
}

/// The exit code of a look for a key that is not there. Those of errors are the contract's, up
/// to 9; the next two are those of `plakar-wasm`, which passes this one on.
pub(crate) const ABSENT_EXIT_CODE: u8 = 12;

/// A location and its options. No `Debug`: it may hold a password.
pub(crate) struct Target {
    /// The config, as a host of the contract would pass it.
    pub config: Vec<(String, String)>,
    /// Where the password comes from, if not from the config.
    pub password: Option<PasswordSource>,
}

/// Where a password comes from on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PasswordSource {
    /// One line on standard input.
    Stdin,
    /// The variable of this name.
    Variable(String),
}

impl Target {
    /// Checks everything; `password` is what its source gave.
    pub(crate) fn options(mut self, password: Option<String>) -> Result<Options> {
        if let Some(password) = password {
            self.config.push(("password".into(), password));
        }
        Options::read(&self.config)
    }
}

/// Reads the arguments, the program's name left out.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command> {
    use lexopt::Arg::{Long, Short, Value};

    let usage = |error: lexopt::Error| wrong_call(error.to_string());
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut words: Vec<String> = Vec::new();
    let mut config = Vec::new();
    let mut password = None;
    let mut bundle = false;
    let mut file = None;
    let mut json = false;
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Print(help())),
            Short('V') | Long("version") => {
                return Ok(Command::Print(format!("plakar-etcd {}\n", env!("CARGO_PKG_VERSION"))));
            }
            Short('o') => {
                let option = text(parser.value().map_err(usage)?)?;
                // As plakar reads it: a name alone means true.
                let (name, value) = option.split_once('=').unwrap_or((&option, "true"));
                config.retain(|(known, _)| known != name);
                config.push((name.to_string(), value.to_string()));
            }
            Long("password-stdin") => password = Some(PasswordSource::Stdin),
            Long("password-env") => {
                password = Some(PasswordSource::Variable(text(parser.value().map_err(usage)?)?));
            }
            Long("bundle") => bundle = true,
            Long("file") => file = Some(Source::from(text(parser.value().map_err(usage)?)?)),
            Long("json") => json = true,
            Value(word) => words.push(text(word)?),
            other => return Err(usage(other.unexpected())),
        }
    }
    let mut words = words.into_iter();
    let command = words.next();
    let mut look = |look| Command::Look(look, std::mem::take(&mut json));
    let mut target = || {
        let location = words.next().ok_or_else(|| wrong_call("there is no location".into()))?;
        if config.iter().any(|(name, _)| name == names::LOCATION) {
            return Err(wrong_call("the location is an argument, not an option".into()));
        }
        let mut config = std::mem::take(&mut config);
        config.push((names::LOCATION.into(), location));
        Ok(Target { config, password: password.take() })
    };
    let parsed = match command.as_deref() {
        Some("backup") => {
            Command::Backup { target: target()?, bundle: std::mem::take(&mut bundle) }
        }
        Some("ping") => Command::Ping(target()?),
        Some("verify") => Command::Verify(file.take().unwrap_or(Source::Stdin)),
        Some("show") => look(Look::Show(file.take().unwrap_or(Source::Stdin))),
        Some("keys") => {
            let prefix = read_key(&words.next().unwrap_or_default())?;
            look(Look::Keys(prefix, file.take().unwrap_or(Source::Stdin)))
        }
        Some("get") => {
            let key = words.next().ok_or_else(|| wrong_call("there is no key".into()))?;
            look(Look::Get(read_key(&key)?, file.take().unwrap_or(Source::Stdin)))
        }
        Some("diff") => match [words.next(), words.next()].map(|file| file.map(Source::from)) {
            [Some(Source::Stdin), Some(Source::Stdin)] => {
                return Err(wrong_call("standard input holds one dump".into()));
            }
            [Some(old), Some(new)] => look(Look::Diff(old, new)),
            _ => return Err(wrong_call("`diff` takes two dumps".into())),
        },
        Some("help") => Command::Print(help()),
        Some(other) => return Err(wrong_call(format!("`{other}` is no command"))),
        None => return Err(wrong_call("there is no command".into())),
    };
    let unused = bundle || json || file.is_some() || !config.is_empty() || password.is_some();
    if unused || words.next().is_some() {
        return Err(wrong_call("that command does not take all of these arguments".into()));
    }
    Ok(parsed)
}

fn text(argument: OsString) -> Result<String> {
    argument.into_string().map_err(|_| wrong_call("an argument is not UTF-8".into()))
}

fn wrong_call(what: String) -> Error {
    Error::new(Kind::InvalidConfig, what).remedy("see `--help`")
}

/// Writes a backup to `out`. `progress` is told after each piece: bytes written,
/// and bytes in all where that is known.
pub(crate) fn backup<N: Network>(
    import: &mut Import<N>,
    bundle: bool,
    out: impl Write,
    progress: impl FnMut(u64, Option<u64>),
) -> Result<()> {
    match bundle {
        true => backup_bundle(import, out),
        false => backup_dump(import, out, progress),
    }
}

fn backup_bundle<N: Network>(import: &mut Import<N>, out: impl Write) -> Result<()> {
    let mut bundle = Bundle::new(out);
    while let Some(record) = next_record(import)? {
        let id = record.id;
        let size = bundle.append(record, PIECE)?;
        import.acknowledge(id, Fate::Stored(size));
    }
    import.finish()?;
    bundle.finish()
}

fn backup_dump<N: Network>(
    import: &mut Import<N>,
    mut out: impl Write,
    mut progress: impl FnMut(u64, Option<u64>),
) -> Result<()> {
    while let Some(record) = next_record(import)? {
        let mut size = 0;
        if let (crate::import::DUMP, Some(mut reader)) = (record.pathname, record.content) {
            while let Some(bytes) = reader.read(PIECE)? {
                out.write_all(&bytes).map_err(bundle::write_failed)?;
                size += bytes.len() as u64;
                progress(size, reader.size());
            }
            out.flush().map_err(bundle::write_failed)?;
        }
        import.acknowledge(record.id, Fate::Stored(size));
    }
    import.finish()
}

fn next_record<N: Network>(import: &mut Import<N>) -> Result<Option<Record<N>>> {
    match import.advance()? {
        Step::Record(record) => Ok(Some(record)),
        Step::Finished => Ok(None),
        // All records are acknowledged in turn.
        Step::AwaitingAcknowledgements => {
            Err(Error::new(Kind::Other, "the import waits for nothing").during(Stage::Store))
        }
    }
}

fn help() -> String {
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
    for kind in Kind::ALL {
        let _ = write!(text, "\n  {}  {}", kind.exit_code(), kind.name());
    }
    let _ = write!(text, "\n  {ABSENT_EXIT_CODE}  the key is not there");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn refused(line: &str) -> String {
        match parsed(line) {
            Ok(_) => panic!("`{line}` was taken"),
            Err(error) => {
                assert_eq!(error.kind, Kind::InvalidConfig);
                error.to_string()
            }
        }
    }

    #[test]
    fn options_are_read_as_plakar_reads_them() {
        let Ok(Command::Backup { target, bundle: false }) =
            parsed("backup -o a=1 etcd://h -o b -o a=2=3 -o c=")
        else {
            panic!("no backup");
        };
        let config: Vec<(&str, &str)> =
            target.config.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(config, [("b", "true"), ("a", "2=3"), ("c", ""), ("location", "etcd://h")]);
    }

    #[test]
    fn wrong_calls_are_refused_with_the_way_out() {
        for line in [
            "",
            "backup",
            "ping",
            "restore etcd://h",
            "backup etcd://h etcd://i",
            "ping --bundle etcd://h",
            "verify -o a=1",
            "verify file",
            "verify --json",
            "show file",
            "show --bundle",
            "keys a b",
            "keys --file",
            "get",
            "get a b",
            "get a -o b=c",
            "diff a",
            "diff a b c",
            "diff - -",
            "diff a b --file c",
            "backup --json etcd://h",
            "ping --file a etcd://h",
            "verify --password-stdin",
            "backup --frobnicate etcd://h",
            "backup -o location=etcd://i etcd://h",
        ] {
            assert!(refused(line).contains("--help"), "{line}");
        }
    }

    #[test]
    fn a_dump_is_looked_for_where_it_was_said() {
        let file = |path: &str| Source::Path(path.into());
        for (line, expected, as_json) in [
            ("show", Look::Show(Source::Stdin), false),
            ("show --json --file ./dump", Look::Show(file("./dump")), true),
            ("keys", Look::Keys(b"".to_vec(), Source::Stdin), false),
            ("keys --file ./dump /a", Look::Keys(b"/a".to_vec(), file("./dump")), false),
            ("keys /a --file=./dump", Look::Keys(b"/a".to_vec(), file("./dump")), false),
            ("get /a\\\\b\\x00 --json", Look::Get(b"/a\\b\0".to_vec(), Source::Stdin), true),
            ("get -- -a", Look::Get(b"-a".to_vec(), Source::Stdin), false),
            ("diff a b", Look::Diff(file("a"), file("b")), false),
            ("diff - b --json", Look::Diff(Source::Stdin, file("b")), true),
        ] {
            let Ok(Command::Look(look, json)) = parsed(line) else { panic!("{line}") };
            assert_eq!((look, json), (expected, as_json), "{line}");
        }
        let Ok(Command::Verify(source)) = parsed("verify --file .") else { panic!("no verify") };
        assert_eq!(source, file("."));
    }

    #[test]
    fn the_help_names_every_option_protocol_and_exit_code() {
        let help = help();
        for option in OPTIONS {
            assert!(help.contains(option.name) && help.contains(option.help), "{}", option.name);
        }
        for protocol in PROTOCOLS {
            assert!(help.contains(&format!("{}://", protocol.name)));
        }
        for kind in Kind::ALL {
            assert!(help.contains(&format!("{}  {}", kind.exit_code(), kind.name())));
        }
        assert!(help.lines().all(|line| line.len() <= 110), "a line is too long");
    }
}
