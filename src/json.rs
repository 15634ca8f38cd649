//! JSON for people and programs: users choose the names in it, and it may be shown on a
//! terminal, so characters that a terminal interprets are escaped.

use plakar_connector::text::is_hidden;
use serde::Serialize;
use std::fmt::Write as _;

/// A value over several lines.
pub(crate) fn pretty(value: &impl Serialize) -> String {
    let json = serde_json::to_string_pretty(value).unwrap_or_else(|error| unreachable!("{error}"));
    plain(&json)
}

/// A value on one line.
pub(crate) fn line(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).unwrap_or_else(|error| unreachable!("{error}"));
    plain(&json)
}

/// Escapes hidden characters. Outside of strings the only one is the line break.
fn plain(json: &str) -> String {
    let mut plain = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if is_hidden(c) && c != '\n' {
            let _ = write!(plain, "\\u{:04x}", u32::from(c));
        } else {
            plain.push(c)
        }
    }
    plain.push('\n');
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_interprets_is_escaped_and_read_back_unchanged() {
        let text = "a\u{1b}[1m\n\u{9b}\u{202e}é\u{feff}\"";
        for json in [line(&text), pretty(&[text])] {
            assert!(json.trim_end().chars().all(|c| !is_hidden(c) || c == '\n'), "{json}");
        }
        assert_eq!(serde_json::from_str::<String>(&line(&text)).ok().as_deref(), Some(text));
    }
}
