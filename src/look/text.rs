//! Untrusted bytes, made safe to show, and keys as people type them.

use crate::error::{Error, Result};
use plakar_connector::ErrorKind;
use plakar_connector::text::is_hidden;
use std::fmt::Write as _;

/// Shows a key on one line, as [`read_key`] reads it: a backslash is doubled, and each byte
/// that is not part of a visible character is `\xNN`.
pub(crate) fn show_key(key: &[u8]) -> String {
    escape(key, &[])
}

/// Shows a value on a terminal: like a key, but line breaks and tabs are unchanged.
pub(crate) fn show_value(value: &[u8]) -> String {
    let mut text = escape(value, &['\n', '\t']);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn escape(bytes: &[u8], kept: &[char]) -> String {
    let mut text = String::new();
    let hexadecimal = |bytes: &[u8], text: &mut String| {
        for byte in bytes {
            let _ = write!(text, "\\x{byte:02x}");
        }
    };
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                c if is_hidden(c) && !kept.contains(&c) => {
                    hexadecimal(c.encode_utf8(&mut [0; 4]).as_bytes(), &mut text);
                }
                c => text.push(c),
            }
        }
        hexadecimal(chunk.invalid(), &mut text);
    }
    text
}

/// Reads a key, or the beginning of one, as it was typed.
pub(crate) fn read_key(text: &str) -> Result<Vec<u8>> {
    let mut key = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        key.extend_from_slice(before.as_bytes());
        let digits = after.strip_prefix('x').and_then(|after| after.get(..2));
        let byte = digits
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = match (byte, after.strip_prefix('\\')) {
            (Some(byte), _) => {
                key.push(byte);
                &after[3..]
            }
            (None, Some(after)) => {
                key.push(b'\\');
                after
            }
            (None, None) => {
                return Err(Error::new(
                    ErrorKind::InvalidConfig,
                    "a backslash in a key is written `\\\\`, and any other byte may be `\\xNN`",
                )
                .remedy("write the key as `keys` prints it"));
            }
        };
    }
    key.extend_from_slice(rest.as_bytes());
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_on_one_line_and_read_back_unchanged() {
        for (key, shown) in [
            (&b"/registry/pods/a b"[..], "/registry/pods/a b"),
            ("/gr\u{fc}n/\u{1f4a1}".as_bytes(), "/gr\u{fc}n/\u{1f4a1}"),
            (b"a\nb\tc\x1b[2J\x00\x7f", r"a\x0ab\x09c\x1b[2J\x00\x7f"),
            ("\u{9b}\u{202e}\u{feff}".as_bytes(), r"\xc2\x9b\xe2\x80\xae\xef\xbb\xbf"),
            (b"\xff\xc3", r"\xff\xc3"),
            (br"C:\x41\\", r"C:\\x41\\\\"),
        ] {
            assert_eq!(show_key(key), shown);
            assert_eq!(read_key(shown).as_deref(), Ok(key));
        }
        let every: Vec<u8> = (0..=255).collect();
        assert_eq!(read_key(&show_key(&every)), Ok(every));
    }

    #[test]
    fn an_unknown_escape_is_refused() {
        for text in ["\\", "a\\q", "\\x", "\\x1", "\\xg0", "\\x+1", "\\x\u{fc}0"] {
            assert_eq!(read_key(text).map_err(|e| e.kind), Err(ErrorKind::InvalidConfig), "{text}");
        }
    }

    #[test]
    fn a_value_keeps_its_lines_and_loses_what_a_terminal_interprets() {
        assert_eq!(show_value(b"{\n\t\"a\": 1\n}\n"), "{\n\t\"a\": 1\n}\n");
        assert_eq!(
            show_value(b"k8s\x00\n\x1b]0;owned\x07\r"),
            "k8s\\x00\n\\x1b]0;owned\\x07\\x0d\n"
        );
        assert_eq!(show_value(b""), "\n");
    }
}
