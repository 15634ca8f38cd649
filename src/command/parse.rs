//! Reads the arguments of the command line.

use super::help::help;
use super::{Command, PasswordSource, Target};
use crate::error::{Error, Result, quote};
use crate::look::{Look, text::read_key};
use crate::stored::Source;
use plakar_connector::{ErrorKind, names};
use std::collections::VecDeque;
use std::ffi::OsString;

/// Reads the arguments, the program's name left out.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command> {
    match Typed::read(lexopt::Parser::from_args(arguments))? {
        Ok(typed) => typed.command(),
        Err(text) => Ok(Command::Print(text)),
    }
}

/// The arguments. A command removes those that it uses; any that are left are an error.
#[derive(Default)]
struct Typed {
    words: VecDeque<String>,
    config: Vec<(String, String)>,
    password: Option<PasswordSource>,
    bundle: bool,
    file: Option<Source>,
    json: bool,
}

impl Typed {
    /// Reads the arguments; the inner error is a text to print instead, such as the help.
    fn read(mut parser: lexopt::Parser) -> Result<std::result::Result<Self, String>> {
        use lexopt::Arg::{Long, Short, Value};

        let usage = |error: lexopt::Error| wrong_call(error.to_string());
        let mut typed = Self::default();
        while let Some(argument) = parser.next().map_err(usage)? {
            match argument {
                Short('h') | Long("help") => return Ok(Err(help())),
                Short('V') | Long("version") => {
                    return Ok(Err(format!("plakar-etcd {}\n", env!("CARGO_PKG_VERSION"))));
                }
                Short('o') => typed.option(&text(parser.value().map_err(usage)?)?)?,
                Long("password-stdin") => {
                    once(&mut typed.password, PasswordSource::Stdin, "a password")?;
                }
                Long("password-env") => {
                    let name = text(parser.value().map_err(usage)?)?;
                    once(&mut typed.password, PasswordSource::Variable(name), "a password")?;
                }
                Long("bundle") => typed.bundle = true,
                Long("file") => {
                    let path = text(parser.value().map_err(usage)?)?;
                    once(&mut typed.file, Source::from(path), "`--file`")?;
                }
                Long("json") => typed.json = true,
                Value(word) => typed.words.push_back(text(word)?),
                other => return Err(usage(other.unexpected())),
            }
        }
        Ok(Ok(typed))
    }

    /// Sets an option of the connector; the last value of a name is used, as in Plakar.
    fn option(&mut self, option: &str) -> Result<()> {
        let (name, value) = names::pair(option);
        // None of the options is a boolean.
        let value = value
            .ok_or_else(|| Error::new(ErrorKind::InvalidConfig, names::without_value(name)))?;
        self.config.retain(|(known, _)| known != name);
        self.config.push((name.to_string(), value.to_string()));
        Ok(())
    }

    /// Returns the command, if it uses all arguments.
    fn command(mut self) -> Result<Command> {
        let Some(name) = self.words.pop_front() else {
            return Err(wrong_call("no command is given".into()));
        };
        let command = match name.as_str() {
            "backup" => {
                Command::Backup { target: self.target()?, bundle: std::mem::take(&mut self.bundle) }
            }
            "ping" => Command::Ping(self.target()?),
            "verify" => Command::Verify(self.source()),
            "show" => self.look(Look::Show),
            "keys" => {
                let prefix = read_key(&self.words.pop_front().unwrap_or_default())?;
                self.look(|source| Look::Keys(prefix, source))
            }
            "get" => {
                let key = self.words.pop_front();
                let key = read_key(&key.ok_or_else(|| wrong_call("the key is missing".into()))?)?;
                self.look(|source| Look::Get(key, source))
            }
            "diff" => self.diff()?,
            "help" => Command::Print(help()),
            other => return Err(wrong_call(format!("unknown command {}", quote(other)))),
        };
        match self.unused() {
            Some(unused) => Err(wrong_call(format!("`{name}` does not accept {}", quote(&unused)))),
            None => Ok(command),
        }
    }

    fn target(&mut self) -> Result<Target> {
        let location =
            self.words.pop_front().ok_or_else(|| wrong_call("the location is missing".into()))?;
        let is_given = |name: &str| self.config.iter().any(|(known, _)| known == name);
        if is_given(names::LOCATION) {
            return Err(wrong_call("the location is an argument, not an option".into()));
        }
        if self.password.is_some() && is_given("password") {
            return Err(wrong_call("a password is given twice".into()));
        }
        let mut config = std::mem::take(&mut self.config);
        config.push((names::LOCATION.into(), location));
        Ok(Target { config, password: self.password.take() })
    }

    fn source(&mut self) -> Source {
        self.file.take().unwrap_or(Source::Stdin)
    }

    fn look(&mut self, look: impl FnOnce(Source) -> Look) -> Command {
        Command::Look(look(self.source()), std::mem::take(&mut self.json))
    }

    fn diff(&mut self) -> Result<Command> {
        let (Some(old), Some(new)) = (self.words.pop_front(), self.words.pop_front()) else {
            return Err(wrong_call("`diff` needs two dumps".into()));
        };
        let (old, new) = (Source::from(old), Source::from(new));
        if old == Source::Stdin && new == Source::Stdin {
            return Err(wrong_call("standard input can only provide one of the two dumps".into()));
        }
        Ok(Command::Look(Look::Diff(old, new), std::mem::take(&mut self.json)))
    }

    /// Returns an argument that the command does not use, if there is one.
    fn unused(mut self) -> Option<String> {
        let flags = [
            (self.bundle, "--bundle"),
            (self.json, "--json"),
            (self.file.is_some(), "--file"),
            (!self.config.is_empty(), "-o"),
            (self.password == Some(PasswordSource::Stdin), "--password-stdin"),
            (self.password.is_some(), "--password-env"),
        ];
        let unused = flags.into_iter().find(|(is_unused, _)| *is_unused);
        unused.map(|(_, name)| name.to_string()).or_else(|| self.words.pop_front())
    }
}

/// Sets an argument that may be given only once.
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
    fn the_last_value_of_an_option_is_used() {
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
    fn wrong_arguments_are_refused_with_the_remedy() {
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
    fn a_dump_is_read_from_the_given_place() {
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
