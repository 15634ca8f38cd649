//! Which of the typed options reach the component, and which the host keeps.
//!
//! ```text
//! Options ─load─▶ Loaded ─▶ Config, which the component gets
//!  as typed       with the       └▶ Tls, which the host keeps
//!                 files read
//! ```

use crate::files;
use crate::tls::declared;
use crate::{Description, Error, OptionDescription, OptionKind};
use plakar_connector::names::{
    ENDPOINTS, FILE_SUFFIX, LOCATION, LONGEST, TLS_PREFIX, unknown_option,
};
use plakar_connector::text::escaped;
use plakar_connector::{Message, limits};
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

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

    /// Returns the value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Refuses options other than those for TLS, the only ones that the host accepts beside
    /// the arguments of a connector's own command line.
    pub fn only_tls(&self) -> Result<(), Error> {
        match self.names().find(|name| !name.starts_with(TLS_PREFIX)) {
            None => Ok(()),
            Some(name) => Err(Error::invalid(format!(
                "option `{}` is not one of the host's TLS options",
                escaped(name, LONGEST)
            ))
            .remedy("write it after `--`")),
        }
    }

    /// Iterates over the names, in the order last set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Reads the files of `X_file` options, in at most [`files::PATIENCE`] or the
    /// `max_duration` typed, whichever is shorter.
    pub async fn load(&self, description: &Description) -> Result<Loaded, Error> {
        let typed = self.get(limits::MAX_DURATION.name);
        let typed = typed.and_then(|text| limits::parse(limits::MAX_DURATION.name, text).ok());
        let limit = typed.unwrap_or(Duration::MAX).min(files::PATIENCE);
        let begun = Instant::now();
        let mut loaded = Loaded { typed: self.clone(), files: Vec::new() };
        for (name, path) in &self.0 {
            let Some(stem) = name.strip_suffix(FILE_SUFFIX) else { continue };
            let declared = description.option(stem);
            if declared.is_none() && !declared::PEM.contains(&stem) {
                continue;
            }
            if self.get(stem).is_some() {
                return Err(Error::invalid(format!(
                    "options `{stem}` and `{name}` exclude each other"
                ))
                .remedy("use one of them"));
            }
            let secret = stem.starts_with(TLS_PREFIX) || declared.is_some_and(|o| o.secret);
            let place = place(name, stem, path, secret)?;
            let left = limit.saturating_sub(begun.elapsed());
            let content = files::read(Path::new(path), left).await.map_err(|reason| {
                let error = Error::invalid(format!("{place} {}", reason.what()))
                    .at(format_args!("option `{name}`"));
                match hint(path).or_else(|| reason.into_remedy()) {
                    Some(remedy) => error.remedy(remedy),
                    None => error,
                }
            })?;
            if content.is_empty() || content == b"\n" || content == b"\r\n" {
                return Err(Error::invalid(format!("option `{name}`: {place} is empty")));
            }
            loaded.files.push(File { name: name.clone(), place, content });
        }
        Ok(loaded)
    }

    /// Merges these options with those of a file, over which these take precedence. `X` and
    /// `X_file` are two spellings of one option.
    pub fn over(self, mut base: Options) -> Options {
        let stem = |name: &str| name.strip_suffix(FILE_SUFFIX).unwrap_or(name).to_owned();
        let typed: Vec<String> = self.names().map(stem).collect();
        base.0.retain(|(name, _)| !typed.contains(&stem(name)));
        base.0.extend(self.0);
        base
    }
}

/// Returns how a message refers to the file. What was typed in place of a path is not
/// repeated if it may be the secret itself.
fn place(name: &str, stem: &str, path: &str, secret: bool) -> Result<String, Error> {
    if path.contains(['\n', '\r']) || path.contains("-----BEGIN") {
        return Err(Error::invalid(format!(
            "option `{name}` takes the path of a file, but contains the text itself"
        ))
        .remedy(format!("use `{stem}` for the text")));
    }
    Ok(if secret && !path.starts_with(['/', '.', '~']) {
        "the file that it names".into()
    } else {
        format!("file `{}`", escaped(path, 512))
    })
}

/// Returns what to do about a file that is not at its path.
fn hint(path: &str) -> Option<String> {
    let path = Path::new(path);
    if path.starts_with("~") {
        return Some("write the absolute path: `~` is not expanded".into());
    }
    match std::env::current_dir() {
        Ok(here) if path.is_relative() && !path.exists() => Some(format!(
            "write the absolute path: this one is relative to `{}`",
            escaped(&here.to_string_lossy(), 512)
        )),
        _ => None,
    }
}

/// Options with the content of the files that they name.
#[derive(Clone, Default)]
pub struct Loaded {
    typed: Options,
    files: Vec<File>,
}

#[derive(Clone)]
struct File {
    /// The option, `_file` included.
    name: String,
    /// How a message refers to the file.
    place: String,
    content: Vec<u8>,
}

/// Shows names only, as [`Options`] does.
impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.typed.fmt(f)
    }
}

impl Loaded {
    /// Returns the value that was typed for `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.typed.get(name)
    }

    /// Iterates over the names, in the order last set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.typed.names()
    }

    fn file(&self, stem: &str) -> Option<&File> {
        self.files.iter().find(|file| file.name.strip_suffix(FILE_SUFFIX) == Some(stem))
    }

    /// Returns the PEM of `stem`, which was typed or is in the file that `stem_file` names.
    pub(crate) fn pem(&self, stem: &str) -> Result<Option<Given>, Error> {
        let given = |name: &str, bytes: &[u8]| Given {
            name: name.into(),
            bytes: bytes.into(),
            text: String::from_utf8_lossy(bytes).into_owned(),
        };
        Ok(match (self.get(stem), self.file(stem)) {
            (Some(value), _) => Some(given(stem, value.as_bytes())),
            (None, Some(file)) => Some(given(&file.name, &file.content)),
            (None, None) => None,
        })
    }

    /// Returns the text in the file that `stem_file` names: UTF-8, without a leading byte
    /// order mark and without one final line break.
    fn text(&self, stem: &str) -> Result<Option<&str>, Error> {
        let Some(File { name, place, content }) = self.file(stem) else { return Ok(None) };
        let refuse = |reason: &str| Error::invalid(format!("option `{name}`: {place} {reason}"));
        if content.starts_with(&[0xff, 0xfe]) || content.starts_with(&[0xfe, 0xff]) {
            return Err(
                refuse("cannot be read as text, because it is UTF-16").remedy("save it as UTF-8")
            );
        }
        let text = std::str::from_utf8(content)
            .map_err(|_| refuse("cannot be read as text").remedy("save it as UTF-8"))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text =
            text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        if text.is_empty() { Err(refuse("is empty")) } else { Ok(Some(text)) }
    }

    /// Returns warnings about values that are probably mistakes, and are used as they are.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let warning = |file: &File| {
            let stem =
                file.name.strip_suffix(FILE_SUFFIX).filter(|stem| !declared::PEM.contains(stem))?;
            let what = doubt(self.text(stem).ok()??)?;
            Some(format!(
                "option `{}`: the text in {} {what}, which becomes part of the value",
                file.name, file.place
            ))
        };
        self.files.iter().filter_map(warning).collect()
    }
}

/// Returns what in a text looks like a mistake.
fn doubt(text: &str) -> Option<&'static str> {
    let quoted = |mark: char| text.len() > 1 && text.starts_with(mark) && text.ends_with(mark);
    if text.trim() != text {
        Some("begins or ends with a space or an empty line")
    } else if text.contains('\0') {
        Some("contains NUL characters, as UTF-16 does")
    } else if quoted('"') || quoted('\'') {
        Some("is in quotes")
    } else {
        None
    }
}

/// The PEM of an option, typed or from a file. No `Debug`: it may be secret.
pub(crate) struct Given {
    /// The option as it was typed, `_file` included.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// The same as text; invalid UTF-8 in it is replaced.
    pub(crate) text: String,
}

/// Shows names only, because only the description says which values are secret.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// The options that the component gets, each name once.
#[derive(Clone, Default)]
pub struct Config(Vec<(String, String)>);

/// Shows names only, because some values are secret.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Config {
    /// Selects the options that reach the component.
    pub(crate) fn read(description: &Description, options: &Loaded) -> Result<Self, Error> {
        let mut config = Vec::new();
        for (name, value) in &options.typed.0 {
            if name == LOCATION {
                return Err(Error::invalid(format!("`{LOCATION}` is not an option"))
                    .remedy("give the location as an argument"));
            }
            // The host keeps TLS to itself, whatever the component declares.
            if name.starts_with(TLS_PREFIX) {
                continue;
            }
            if description.option(name).is_some() {
                config.push((name.clone(), value.clone()));
                continue;
            }
            // The host enforces the time limits whether or not the component declares them.
            if limits::ALL.iter().any(|limit| limit.name == name) {
                continue;
            }
            match name.strip_suffix(FILE_SUFFIX) {
                Some(stem) if description.option(stem).is_some() => {
                    let text = options.text(stem)?;
                    config.extend(text.map(|text| (stem.to_owned(), text.to_owned())));
                }
                _ => return Err(Error::invalid(unknown(description, name))),
            }
        }
        Ok(Self(config))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn push_location(&mut self, location: String) {
        self.0.push((LOCATION.to_owned(), location));
    }

    /// Returns the names and values, in the order in which the component gets them.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

/// Returns whether the value of this option, of the connector or of the host, is a secret.
pub fn is_secret(description: &Description, name: &str) -> bool {
    description
        .options
        .iter()
        .chain(&declared::options())
        .any(|option| option.secret && option.name == name)
}

/// Returns whether this is an option, of the connector or of the host, that is not a
/// boolean.
pub fn needs_value(description: &Description, name: &str) -> bool {
    let stem = name.strip_suffix(FILE_SUFFIX).unwrap_or(name);
    description.options.iter().chain(&of_host(description)).any(|option| {
        [name, stem].contains(&&*option.name) && !matches!(option.kind, OptionKind::Boolean)
    })
}

/// Returns the options that the host adds to those of this connector.
pub fn of_host(description: &Description) -> Vec<OptionDescription> {
    let secure = description.protocols.iter().any(|protocol| protocol.tls);
    let tls = declared::options().into_iter().filter(|_| secure);
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

/// Returns whether `X_file` is worth a mention beside the option X.
pub fn has_file(option: &OptionDescription) -> bool {
    option.secret || declared::PEM.contains(&option.name.as_str())
}

/// Returns the message about an unknown option.
fn unknown(description: &Description, name: &str) -> Message {
    let mut known = Vec::new();
    for option in description.options.iter().cloned().chain(of_host(description)) {
        known.extend(has_file(&option).then(|| format!("{}{FILE_SUFFIX}", option.name)));
        known.push(option.name);
    }
    match name {
        ENDPOINTS => Message::new("this connector has only one endpoint, the location")
            .at(format_args!("option `{ENDPOINTS}`")),
        _ => unknown_option(name, known.iter().map(String::as_str)),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Write;
    use std::process::Command;

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

    /// Loads options with the files that they name.
    pub(crate) fn load(description: &Description, pairs: &[(&str, &str)]) -> Result<Loaded, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("threads");
        let loaded = runtime.block_on(options(pairs).load(description));
        runtime.shutdown_background();
        loaded
    }

    fn read(pairs: &[(&str, &str)]) -> Result<Config, Error> {
        load(&connector(), pairs).and_then(|loaded| Config::read(&connector(), &loaded))
    }

    fn refused(pairs: &[(&str, &str)]) -> String {
        read(pairs).expect_err("refused").to_string()
    }

    fn file(content: &[u8]) -> (tempfile::NamedTempFile, String) {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(content).expect("written");
        let path = file.path().to_str().expect("UTF-8").to_owned();
        (file, path)
    }

    #[test]
    fn a_file_option_passes_its_content_without_one_newline_and_a_byte_order_mark() {
        for (content, value) in [
            (&b"hunter2\n\n"[..], "hunter2\n"),
            (b"hunter2\r\n", "hunter2"),
            (b" hunter2 ", " hunter2 "),
            (b"\xef\xbb\xbfhunter2\r\n", "hunter2"),
        ] {
            let (_file, path) = file(content);
            let config = read(&[("password_file", &path)]).expect("read");
            assert_eq!(config.get("password"), Some(value));
            assert!(!format!("{config:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_file_without_a_usable_text_is_refused_by_name() {
        for (content, words) in [
            (&b""[..], "is empty"),
            (b"\n", "is empty"),
            (b"\r\n", "is empty"),
            (b"\xef\xbb\xbf\n", "is empty"),
            (b"\xff\xfeh\0u\0", "it is UTF-16; save it as UTF-8"),
            (b"\xfe\xff\0h\0u", "it is UTF-16; save it as UTF-8"),
            (b"caf\xe9", "save it as UTF-8"),
            (&[b'x'; (1 << 20) + 1], "is longer than"),
        ] {
            let (_file, path) = file(content);
            let said = refused(&[("password_file", &path)]);
            assert!(said.contains(words) && said.contains(&format!("file `{path}`")), "{said}");
        }
        assert!(refused(&[("password_file", "/no/such")]).contains("`/no/such` cannot be opened"));
        assert!(refused(&[("password_file", "/")]).contains("file `/` cannot be read"));
    }

    #[test]
    fn a_probable_mistake_is_warned_of_without_the_value() {
        for (content, warned) in [
            (&b"hunter2"[..], false),
            (b"hunt\"er'2", false),
            (b"\"", false),
            (b"\"hunter2\"\n", true),
            (b"'hunter2'", true),
            (b"h\0u\0n\0t\0e\0r\0", true),
            (b"hunter2\n", false),
            (b"hunter2\n\n", true),
            (b"hunter2\r", true),
            (b"hunter2 \n", true),
            (b"\thunter2\n", true),
        ] {
            let (_file, path) = file(content);
            let warnings =
                load(&connector(), &[("password_file", &path)]).expect("read").warnings();
            assert_eq!(!warnings.is_empty(), warned, "{content:?}");
            assert!(warnings.iter().all(|line| line.contains("`password_file`")), "{warnings:?}");
            assert!(!warnings.concat().contains("hunter2"), "{warnings:?}");
        }
    }

    #[test]
    fn what_was_typed_in_place_of_a_path_is_not_repeated() {
        let mut secure = connector();
        secure.protocols.push(crate::Protocol { name: "t".into(), tls: true, default_port: 1 });
        let key = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n";
        let one_line = key.replace('\n', " ");
        for (name, value) in [
            ("tls_private_key_file", key),
            ("tls_private_key_file", one_line.as_str()),
            ("tls_ca_file", key),
            ("username_file", "hunter2\n"),
            ("password_file", "hunter2"),
            ("password_file", "hunter2/x"),
            ("tls_private_key_file", "hunter2"),
        ] {
            let said = load(&secure, &[(name, value)]).expect_err("refused").to_string();
            assert!(said.contains(name) && !said.contains("hunter2"), "{said}");
        }
        let said = load(&secure, &[("tls_private_key_file", key)]).expect_err("refused");
        assert!(said.to_string().contains("use `tls_private_key` for the text"), "{said}");
    }

    #[test]
    fn the_error_about_a_missing_file_says_where_it_was_looked_for() {
        let here = std::env::current_dir().expect("a directory");
        let said = refused(&[("password_file", "./no/such")]);
        assert!(
            said.contains("`./no/such`") && said.contains(here.to_str().expect("UTF-8")),
            "{said}"
        );
        let said = refused(&[("password_file", "~/pw")]);
        assert!(said.contains("`~/pw`") && said.contains("write the absolute path"), "{said}");
    }

    #[test]
    fn a_pipe_is_read_to_its_end_within_a_time_limit() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let pipe = folder.path().join("pipe");
        let path = pipe.to_str().expect("UTF-8").to_owned();
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
        let begun = Instant::now();
        let said = refused(&[("password_file", &path), ("max_duration", "300ms")]);
        assert!(said.contains("was not complete within") && said.contains(&path), "{said}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        // The thread that timed out above still reads the first pipe.
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || {
                std::fs::write(&pipe, "").expect("written");
            }
        });
        writer.join().expect("it only writes");
        let second = folder.path().join("second");
        assert!(Command::new("mkfifo").arg(&second).status().expect("mkfifo").success());
        let writer = std::thread::spawn({
            let second = second.clone();
            move || std::fs::write(second, "hunter2\n").expect("written")
        });
        let config = read(&[("password_file", second.to_str().expect("UTF-8"))]).expect("read");
        assert_eq!(config.get("password"), Some("hunter2"));
        writer.join().expect("it only writes");
    }

    #[test]
    fn an_option_and_its_file_exclude_each_other() {
        let message = refused(&[("password", "hunter2"), ("password_file", "x")]);
        assert!(message.contains("`password` and `password_file`"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }

    #[test]
    fn an_unknown_option_gets_the_nearest_one_suggested() {
        assert!(refused(&[("pasword", "x")]).contains("did you mean `password`?"));
        assert!(refused(&[("pasword_file", "/no/such")]).contains("did you mean `password_file`?"));
        assert!(refused(&[("endpoints", "x")]).contains("one endpoint"));
        assert!(refused(&[("location", "x")]).contains("argument"));
    }

    #[test]
    fn time_limits_that_the_connector_does_not_declare_stay_with_the_host() {
        let config = read(&[("max_duration", "1s")]).expect("read");
        assert_eq!(config.get("max_duration"), None);
    }

    #[test]
    fn tls_stays_with_the_host_whatever_the_connector_declares() {
        let mut greedy = connector();
        greedy.options.push(OptionDescription {
            name: "tls_private_key".into(),
            kind: OptionKind::Text,
            secret: false,
            help: String::new(),
            default: None,
        });
        let (_file, path) = file(b"a key");
        for pair in [("tls_private_key", "a key"), ("tls_private_key_file", path.as_str())] {
            let loaded = load(&greedy, &[pair]).expect("read");
            let config = Config::read(&greedy, &loaded).expect("read");
            assert!(config.0.is_empty(), "{config:?}");
        }
    }

    #[test]
    fn typed_options_replace_either_spelling_in_the_file() {
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
