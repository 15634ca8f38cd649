//! Reads a password from elsewhere than the arguments, which other users can see.

use crate::error::{Error, Result, quote};
use plakar_connector::ErrorKind;
use std::env::VarError;
use std::io::BufRead;

/// The longest line that is read for a password, in bytes.
const LONGEST: u64 = 4096;

/// Where a password comes from on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PasswordSource {
    /// One line on standard input.
    Stdin,
    /// The variable of this name.
    Variable(String),
}

impl PasswordSource {
    /// Reads it; `input` is standard input, and `variable` looks up an environment variable.
    pub(crate) fn read(
        &self,
        input: impl BufRead,
        variable: impl Fn(&str) -> std::result::Result<String, VarError>,
    ) -> Result<String> {
        match self {
            PasswordSource::Stdin => first_line(input),
            PasswordSource::Variable(name) => variable(name).map_err(|error| {
                let shown = quote(name);
                match error {
                    VarError::NotPresent => cannot(format!("the variable {shown} is not set"))
                        .remedy(format!("pass it with `wasmtime run --env {name}`")),
                    VarError::NotUnicode(_) => cannot(format!("the variable {shown} is not UTF-8")),
                }
            }),
        }
    }
}

fn first_line(input: impl BufRead) -> Result<String> {
    let mut line = String::new();
    input
        .take(LONGEST + 1)
        .read_line(&mut line)
        .map_err(|error| cannot(format!("cannot read a password from standard input: {error}")))?;
    if line.len() as u64 > LONGEST {
        return Err(cannot(format!("the first line is longer than {LONGEST} bytes"))
            .remedy("pass only the password on standard input"));
    }
    match line.trim_end_matches(['\r', '\n']) {
        "" => {
            Err(cannot("standard input has no password".into())
                .remedy("write it on the first line"))
        }
        password => Ok(password.to_string()),
    }
}

fn cannot(what: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_input(text: &[u8]) -> Result<String> {
        PasswordSource::Stdin.read(text, |_| Err(VarError::NotPresent))
    }

    #[test]
    fn a_password_is_the_first_line_of_standard_input() {
        for text in ["hunter2", "hunter2\n", "hunter2\r\nmore"] {
            assert_eq!(from_input(text.as_bytes()).as_deref(), Ok("hunter2"));
        }
        assert_eq!(from_input(b" a b \n").as_deref(), Ok(" a b "));
        let longest = "x".repeat(LONGEST as usize);
        assert_eq!(from_input(longest.as_bytes()).as_deref(), Ok(longest.as_str()));
    }

    #[test]
    fn an_input_without_a_usable_password_is_refused_and_not_repeated() {
        let long = format!("hunter2{}", "x".repeat(LONGEST as usize));
        for text in [&b""[..], b"\n", b"\nhunter2", b"hunter2\xff\n", long.as_bytes()] {
            let error = from_input(text).expect_err("refused");
            assert_eq!(error.kind, ErrorKind::InvalidConfig);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let source = PasswordSource::Variable("ETCD_PASSWORD".into());
        let read =
            |value: std::result::Result<String, VarError>| source.read(&b""[..], |_| value.clone());
        assert_eq!(read(Ok("hunter2".into())).as_deref(), Ok("hunter2"));
        for (value, words) in [
            (VarError::NotPresent, "--env ETCD_PASSWORD"),
            (VarError::NotUnicode("hunter2".into()), "is not UTF-8"),
        ] {
            let text = read(Err(value)).expect_err("refused").to_string();
            assert!(text.contains("`ETCD_PASSWORD`") && text.contains(words), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}
