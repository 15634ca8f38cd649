//! Reads the arguments of the command line.

use super::help::help;
use super::{Command, PasswordSource, Target};
use crate::error::{Error, Result, quote};
use crate::look::{Look, text::read_key};
use crate::stored::Source;
use plakar_connector::{ErrorKind, names};
use std::ffi::OsString;

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
                let (name, value) = names::pair(&option);
                // None of the options is a boolean.
                let value = value.ok_or_else(|| {
                    Error::new(ErrorKind::InvalidConfig, names::without_value(name))
                })?;
                config.retain(|(known, _)| known != name);
                config.push((name.to_string(), value.to_string()));
            }
            Long("password-stdin") => once(&mut password, PasswordSource::Stdin, "a password")?,
            Long("password-env") => {
                let name = text(parser.value().map_err(usage)?)?;
                once(&mut password, PasswordSource::Variable(name), "a password")?;
            }
            Long("bundle") => bundle = true,
            Long("file") => {
                let path = text(parser.value().map_err(usage)?)?;
                once(&mut file, Source::from(path), "`--file`")?;
            }
            Long("json") => json = true,
            Value(word) => words.push(text(word)?),
            other => return Err(usage(other.unexpected())),
        }
    }
    let mut words = words.into_iter();
    let command = words.next();
    let mut look = |look| Command::Look(look, std::mem::take(&mut json));
    let mut target = || {
        let location = words.next().ok_or_else(|| wrong_call("the location is missing".into()))?;
        if config.iter().any(|(name, _)| name == names::LOCATION) {
            return Err(wrong_call("the location is an argument, not an option".into()));
        }
        if password.is_some() && config.iter().any(|(name, _)| name == "password") {
            return Err(wrong_call("a password is given twice".into()));
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
            let key = words.next().ok_or_else(|| wrong_call("the key is missing".into()))?;
            look(Look::Get(read_key(&key)?, file.take().unwrap_or(Source::Stdin)))
        }
        Some("diff") => match [words.next(), words.next()].map(|file| file.map(Source::from)) {
            [Some(Source::Stdin), Some(Source::Stdin)] => {
                return Err(wrong_call(
                    "standard input can only provide one of the two dumps".into(),
                ));
            }
            [Some(old), Some(new)] => look(Look::Diff(old, new)),
            _ => return Err(wrong_call("`diff` needs two dumps".into())),
        },
        Some("help") => Command::Print(help()),
        Some(other) => return Err(wrong_call(format!("unknown command {}", quote(other)))),
        None => return Err(wrong_call("no command is given".into())),
    };
    let unused = [
        (bundle, "--bundle"),
        (json, "--json"),
        (file.is_some(), "--file"),
        (!config.is_empty(), "-o"),
        (password.is_some(), "a password"),
    ];
    let unused = unused.into_iter().find(|(is_unused, _)| *is_unused);
    let unused = unused.map(|(_, name)| name.to_string()).or_else(|| words.next());
    let command = command.unwrap_or_default();
    match unused {
        Some(unused) => Err(wrong_call(format!("`{command}` does not accept {}", quote(&unused)))),
        None => Ok(parsed),
    }
}

/// Sets what may be given once.
fn once<T>(place: &mut Option<T>, value: T, name: &str) -> Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(wrong_call(format!("{name} is given twice"))),
    }
}

fn text(argument: OsString) -> Result<String> {
    argument.into_string().map_err(|_| wrong_call("an argument is not UTF-8".into()))
}

fn wrong_call(what: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, what).remedy("see `--help`")
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
                assert_eq!(error.kind, ErrorKind::InvalidConfig);
                error.to_string()
            }
        }
    }

    #[test]
    fn the_last_value_of_an_option_counts() {
        let Ok(Command::Backup { target, bundle: false }) =
            parsed("backup -o a=1 etcd://h -o b=true -o a=2=3 -o c=")
        else {
            panic!("no backup");
        };
        let config: Vec<(&str, &str)> =
            target.config.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(config, [("b", "true"), ("a", "2=3"), ("c", ""), ("location", "etcd://h")]);
    }

    #[test]
    fn an_option_without_a_value_is_refused() {
        let error = refused("backup -o connect_timeout etcd://h");
        assert!(error.contains("`connect_timeout=VALUE`"), "{error}");
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
            "keys --file a --file b",
            "ping --password-stdin --password-env P etcd://h",
            "ping --password-stdin -o password=p etcd://h",
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
}
