//! Which of the typed options reach the component, and which the host keeps.

use super::tls;
use crate::{Description, Error, OptionDescription, OptionKind};
use plakar_connector::names::{ENDPOINTS, FILE_SUFFIX, LOCATION, TLS_PREFIX, unknown_option};
use plakar_connector::{Kind, limits};
use std::fmt;
use std::io::Read;
use std::path::Path;

/// The largest file that an `X_file` option may name; a chain of certificates
/// has some kilobytes.
const LARGEST_FILE: u64 = 1 << 20;

/// Options as they were typed, each name once.
#[derive(Clone, Default)]
pub struct Options(Vec<(String, String)>);

impl Options {
    /// Sets an option; the last value of a name wins, as in Plakar.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, value.into()));
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The names, in the order last set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The value of `stem`, which was typed as such or stands in the file that
    /// `stem_file` names.
    pub(super) fn given(&self, stem: &str) -> Result<Option<Given>, Error> {
        let file = format!("{stem}{FILE_SUFFIX}");
        match (self.get(stem), self.get(&file)) {
            (None, None) => Ok(None),
            (Some(value), None) => Ok(Some(Given { name: stem.into(), value: value.into() })),
            (None, Some(path)) => {
                let value = content(&file, Path::new(path))?;
                Ok(Some(Given { name: file, value }))
            }
            (Some(_), Some(_)) => Err(Error::invalid(format!(
                "options `{stem}` and `{file}` exclude each other: give one of them"
            ))),
        }
    }

    /// These options over those of a file: what is typed here hides what is
    /// there, `X` and `X_file` being two spellings of one option.
    pub fn over(self, mut base: Options) -> Options {
        let stem = |name: &str| name.strip_suffix(FILE_SUFFIX).unwrap_or(name).to_owned();
        let typed: Vec<String> = self.names().map(stem).collect();
        base.0.retain(|(name, _)| !typed.contains(&stem(name)));
        base.0.extend(self.0);
        base
    }
}

/// An option's value, wherever it stood. No `Debug`: it may be secret.
pub(super) struct Given {
    /// The option as it was typed, `_file` included.
    pub(super) name: String,
    pub(super) value: String,
}

/// Shows names only: which values are secret is for the description to say.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// What the component is told: each name once.
#[derive(Clone, Default)]
pub struct Config(Vec<(String, String)>);

/// Shows names only, for some values are secret.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Config {
    /// Picks what reaches the component, and reads the files of `X_file` options.
    pub(super) fn read(description: &Description, options: &Options) -> Result<Self, Error> {
        let mut config = Vec::new();
        for (name, value) in &options.0 {
            if name == LOCATION {
                return Err(Error::invalid(format!(
                    "option `{LOCATION}`: give the location as an argument"
                )));
            }
            if description.option(name).is_some() {
                config.push((name.clone(), value.clone()));
                continue;
            }
            // The host heeds the time limits whether or not the component does, and
            // keeps TLS to itself.
            if limits::ALL.iter().any(|limit| limit.name == name) || name.starts_with(TLS_PREFIX) {
                continue;
            }
            match name.strip_suffix(FILE_SUFFIX) {
                Some(stem) if description.option(stem).is_some() => {
                    let given = options.given(stem)?;
                    config.extend(given.map(|given| (stem.to_owned(), given.value)));
                }
                _ => return Err(Error::invalid(unknown(description, name))),
            }
        }
        Ok(Self(config))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn push_location(&mut self, location: String) {
        self.0.push((LOCATION.to_owned(), location));
    }

    #[cfg(feature = "sandbox")]
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

/// The options that the host adds to those of this connector.
pub fn of_host(description: &Description) -> Vec<OptionDescription> {
    let secure = description.protocols.iter().any(|protocol| protocol.tls);
    let tls = tls::options().into_iter().filter(|_| secure);
    let undeclared = limits::ALL.iter().filter(|limit| description.option(limit.name).is_none());
    let limits = undeclared.map(|limit| OptionDescription {
        name: limit.name.into(),
        kind: OptionKind::Duration,
        secret: false,
        help: limit.help.into(),
        default: Some(limit.default.into()),
    });
    limits.chain(tls).collect()
}

/// Whether `X_file` goes for the option X as well, and is worth a mention.
pub fn has_file(option: &OptionDescription) -> bool {
    option.secret || tls::PEM.contains(&option.name.as_str())
}

/// The sentence about an option that nobody knows.
fn unknown(description: &Description, name: &str) -> String {
    let mut known = Vec::new();
    for option in description.options.iter().cloned().chain(of_host(description)) {
        known.extend(has_file(&option).then(|| format!("{}{FILE_SUFFIX}", option.name)));
        known.push(option.name);
    }
    match name {
        ENDPOINTS => {
            format!("option `{ENDPOINTS}`: this connector has but one endpoint, the location")
        }
        _ => unknown_option(name, known.iter().map(String::as_str)),
    }
}

/// The content of the file that option `name` gives, less one trailing newline.
fn content(name: &str, path: &Path) -> Result<String, Error> {
    let refuse = |reason: String| {
        Error::reported(
            Kind::InvalidConfig,
            format!("option `{name}`: file `{}` {reason}", path.display()),
        )
    };
    let file = std::fs::File::open(path).map_err(|e| refuse(format!("cannot be opened: {e}")))?;
    let mut text = String::new();
    file.take(LARGEST_FILE + 1)
        .read_to_string(&mut text)
        .map_err(|e| refuse(format!("cannot be read as text: {e}")))?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(refuse(format!("is longer than {LARGEST_FILE} bytes")));
    }
    if let Some(line) = text.strip_suffix('\n') {
        text.truncate(line.strip_suffix('\r').unwrap_or(line).len());
    }
    if text.is_empty() {
        return Err(refuse("is empty".into()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn connector() -> Description {
        let option = |name: &str, secret| OptionDescription {
            name: name.into(),
            kind: OptionKind::Text,
            secret,
            help: String::new(),
            default: None,
        };
        Description {
            name: "test".into(),
            version: "0.1.0".into(),
            summary: String::new(),
            kind: "test".into(),
            protocols: Vec::new(),
            options: vec![option("username", false), option("password", true)],
        }
    }

    fn options(pairs: &[(&str, &str)]) -> Options {
        let mut options = Options::default();
        pairs.iter().for_each(|(name, value)| options.set(*name, *value));
        options
    }

    fn refused(pairs: &[(&str, &str)]) -> String {
        Config::read(&connector(), &options(pairs)).expect_err("refused").to_string()
    }

    #[test]
    fn a_file_option_passes_its_content_less_one_newline() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(b"hunter2\n\n").expect("written");
        let path = file.path().to_str().expect("UTF-8");
        let config =
            Config::read(&connector(), &options(&[("password_file", path)])).expect("read");
        assert_eq!(config.get("password"), Some("hunter2\n"));
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn an_empty_or_missing_file_is_refused_by_name() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let path = file.path().to_str().expect("UTF-8");
        assert!(refused(&[("password_file", path)]).contains("is empty"));
        assert!(refused(&[("password_file", "/no/such")]).contains("`/no/such` cannot be opened"));
    }

    #[test]
    fn an_option_and_its_file_exclude_each_other() {
        let message = refused(&[("password", "hunter2"), ("password_file", "x")]);
        assert!(message.contains("`password` and `password_file`"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }

    #[test]
    fn an_unknown_option_is_told_the_near_one() {
        assert!(refused(&[("pasword", "x")]).contains("did you mean `password`?"));
        assert!(refused(&[("endpoints", "x")]).contains("one endpoint"));
        assert!(refused(&[("location", "x")]).contains("argument"));
    }

    #[test]
    fn time_limits_that_the_connector_does_not_declare_stay_with_the_host() {
        let config = Config::read(&connector(), &options(&[("max_duration", "1s")])).expect("read");
        assert_eq!(config.get("max_duration"), None);
    }

    #[test]
    fn typed_options_hide_either_spelling_in_the_file() {
        let base = options(&[("password", "a"), ("username", "b"), ("x_file", "c")]);
        let merged = options(&[("password_file", "d"), ("x", "e")]).over(base);
        let names: Vec<&str> = merged.names().collect();
        assert_eq!(names, ["username", "password_file", "x"]);
    }

    #[test]
    fn the_last_value_of_a_name_wins() {
        assert_eq!(options(&[("a", "1"), ("a", "2")]).get("a"), Some("2"));
    }
}
