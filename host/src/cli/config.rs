//! Options from a file and from `-o`, which takes precedence.

use super::arguments;
use plakar_connector::Message;
use plakar_connector::names::{LONGEST, pair, without_value};
use plakar_connector::text::escaped;
use plakar_policy::options::{Options, is_secret, needs_value};
use plakar_policy::{Description, Error, Event, Observer, Speaker, files};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Reads the options typed and those of the file, and warns about secrets that
/// others can see.
pub(super) async fn read(
    arguments: &arguments::Options,
    description: &Description,
    observer: &dyn Observer,
) -> Result<Options, Error> {
    let is_secret = |name: &str| is_secret(description, name);
    let warn = |line: String| observer.event(Event::Warning { from: Speaker::Host, line: &line });

    let mut typed = Options::default();
    for option in &arguments.options {
        let (name, value) = pair(option);
        if name.is_empty() {
            return Err(Error::invalid("an option has no name").remedy("write `-o NAME=VALUE`"));
        }
        let value = match value {
            Some(value) => value,
            None if needs_value(description, name) => {
                return Err(Error::invalid(without_value(name)));
            }
            None => "true",
        };
        typed.set(name, value);
    }
    if let Some(name) = typed.names().find(|name| is_secret(name)) {
        warn(format!(
            "other users of this machine can see the arguments of a process; use `-o \
                {name}_file=PATH` instead of `-o {name}=…`"
        ));
    }
    let Some(path) = &arguments.config else { return Ok(typed) };
    let base = from_file(path).await?;
    let secret = base.names().find(|name| is_secret(name));
    let mode = path.metadata().map(|metadata| metadata.permissions().mode()).unwrap_or(0);
    if let Some(name) = secret
        && mode & 0o077 != 0
    {
        warn(format!(
            "other users can read `{}`, which contains `{name}`; run `chmod 600` on it",
            path.display()
        ));
    }
    Ok(typed.over(base))
}

/// Reads a flat table of strings, integers and booleans. A message never repeats a value.
async fn from_file(path: &Path) -> Result<Options, Error> {
    let place = escaped(&path.to_string_lossy(), 512);
    let refuse = |reason: Message| Error::invalid(reason).at(format_args!("config file `{place}`"));
    let bytes = files::read(path, files::PATIENCE).await.map_err(refuse)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| refuse("is not text".into()).remedy("save it as UTF-8"))?;
    // Some editors write a byte order mark, which TOML does not have.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
        refuse(format!("line {line} is not TOML: {}", error.message()).into())
            .remedy("write `NAME = \"VALUE\"`")
    })?;
    let mut options = Options::default();
    for (name, value) in table {
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Boolean(yes) => yes.to_string(),
            toml::Value::Integer(number) => number.to_string(),
            other => {
                return Err(refuse(
                    format!("`{}` is of the type {}", escaped(&name, LONGEST), other.type_str())
                        .into(),
                )
                .remedy("write a string, an integer or a boolean"));
            }
        };
        options.set(name, value);
    }
    Ok(options)
}
