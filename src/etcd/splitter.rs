//! Splits a stream of JSON values into single values, in whatever pieces it arrives.
//!
//! The gateway writes one value per line, but nothing requires it (or a proxy) to:
//! only their own structure separates values. Nearly all bytes are inside
//! one long string, so strings are skipped with `memchr` and brackets are counted.

use super::failure::garbled;
use crate::error::{Error, Result, quote};

/// The longest value that is accepted, in bytes. etcd's are below 44 KiB.
const MAX_VALUE: usize = 1 << 20;

/// The state between two pieces of a stream.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    /// The part of the current value that arrived in earlier pieces.
    partial: Vec<u8>,
    place: Place,
}

/// The context of the next byte.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Between values, where only white space is valid.
    #[default]
    Between,
    /// In a value, inside this many brackets.
    Structure(u32),
    /// In a string, inside this many brackets.
    String(u32),
    /// After a backslash in a string.
    Escape(u32),
}

impl Splitter {
    /// Takes the next bytes, and passes on every value that they complete.
    pub(crate) fn push<E: From<Error>>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut start = 0;
        let mut at = 0;
        while at < bytes.len() {
            match self.place {
                Place::Between => {
                    match bytes[at] {
                        b' ' | b'\t' | b'\r' | b'\n' => {}
                        b'{' => {
                            start = at;
                            self.place = Place::Structure(1);
                        }
                        _ => return Err(not_json(&bytes[at..]).into()),
                    }
                    at += 1;
                }
                Place::Structure(depth) => {
                    self.place = match bytes[at] {
                        b'"' => Place::String(depth),
                        b'{' | b'[' => Place::Structure(depth + 1),
                        b'}' | b']' if depth > 1 => Place::Structure(depth - 1),
                        b'}' | b']' => Place::Between,
                        _ => self.place,
                    };
                    at += 1;
                    if self.place == Place::Between {
                        self.complete(&bytes[start..at], &mut each)?;
                        start = at;
                    }
                }
                Place::String(depth) => match memchr::memchr2(b'"', b'\\', &bytes[at..]) {
                    Some(skipped) => {
                        at += skipped;
                        self.place = match bytes[at] {
                            b'"' => Place::Structure(depth),
                            _ => Place::Escape(depth),
                        };
                        at += 1;
                    }
                    None => at = bytes.len(),
                },
                Place::Escape(depth) => {
                    self.place = Place::String(depth);
                    at += 1;
                }
            }
        }
        if self.place != Place::Between {
            self.partial.extend_from_slice(&bytes[start..]);
            bounded(self.partial.len())?;
        }
        Ok(())
    }

    /// Whether the stream may end here: not in the middle of a value.
    pub(crate) fn is_between_values(&self) -> bool {
        self.place == Place::Between
    }

    fn complete<E: From<Error>>(
        &mut self,
        last: &[u8],
        each: &mut impl FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        bounded(self.partial.len() + last.len())?;
        if self.partial.is_empty() {
            return each(last);
        }
        self.partial.extend_from_slice(last);
        each(&self.partial)?;
        self.partial.clear();
        Ok(())
    }
}

fn bounded(length: usize) -> Result<()> {
    if length > MAX_VALUE {
        Err(garbled(format!("a message of the stream is longer than {MAX_VALUE} bytes")))
    } else {
        Ok(())
    }
}

fn not_json(bytes: &[u8]) -> Error {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]);
    garbled(format!("the stream contains something other than JSON objects: {}", quote(&shown)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plakar_connector::ErrorKind;

    fn split(pieces: &[&[u8]]) -> (Result<()>, Vec<String>, bool) {
        let mut splitter = Splitter::default();
        let mut values = Vec::new();
        let mut outcome = Ok(());
        for piece in pieces {
            outcome = splitter.push(piece, |value| {
                values.push(String::from_utf8(value.to_vec()).expect("utf-8"));
                Ok(())
            });
            if outcome.is_err() {
                break;
            }
        }
        (outcome, values, splitter.is_between_values())
    }

    #[test]
    fn any_splitting_gives_the_same_values() {
        let text = br#" {"a":"}\"{\\"}
{"b":[{"c":1},2]}{"d"
:"\u007d"}"#;
        let whole = split(&[text]);
        assert_eq!(whole.1, [r#"{"a":"}\"{\\"}"#, r#"{"b":[{"c":1},2]}"#, "{\"d\"\n:\"\\u007d\"}"]);
        assert!(whole.2);
        for size in 1..text.len() {
            let pieces: Vec<&[u8]> = text.chunks(size).collect();
            assert_eq!(split(&pieces), whole, "pieces of {size}");
        }
    }

    #[test]
    fn an_incomplete_value_is_detected_and_not_passed_on() {
        for text in ["{", "{\"a", "{\"a\\", "{\"a\":[}"] {
            let (outcome, values, between) = split(&[text.as_bytes()]);
            assert!(outcome.is_ok() && values.is_empty() && !between, "{text}");
        }
    }

    #[test]
    fn bytes_between_values_are_refused() {
        for text in ["<html>", "{}garbage", "]", "null", "\"x\""] {
            let error = split(&[text.as_bytes()]).0.expect_err(text);
            assert_eq!(error.kind, ErrorKind::Corrupt);
        }
    }

    #[test]
    fn an_endless_value_is_refused_before_it_fills_the_memory() {
        let piece = vec![b'x'; 1000];
        let mut splitter = Splitter::default();
        splitter.push(b"{\"", |_| Ok::<(), Error>(())).expect("the opening");
        let taken =
            (0..).take_while(|_| splitter.push(&piece, |_| Ok::<(), Error>(())).is_ok()).count();
        assert!(
            taken * piece.len() <= MAX_VALUE && splitter.partial.len() <= MAX_VALUE + piece.len()
        );
    }

    #[test]
    fn a_long_value_in_one_piece_is_refused_too() {
        let text = format!("{{\"{}\":1}}", "x".repeat(MAX_VALUE));
        assert!(split(&[text.as_bytes()]).0.is_err());
    }
}
