//! What was typed for the plakar that started this process.
//!
//! The protocol says neither whether a run is a dry run nor where an option came
//! from. Where the command line cannot be read, nothing is taken for typed.

/// The arguments of the parent process. No `Debug`: one may be a secret.
#[derive(Default)]
pub struct Invocation {
    arguments: Vec<String>,
}

impl Invocation {
    /// Reads them from `/proc`.
    pub fn of_parent() -> Self {
        let Some(parent) = rustix::process::getppid() else { return Self::default() };
        let path = format!("/proc/{}/cmdline", parent.as_raw_nonzero());
        let bytes = std::fs::read(path).unwrap_or_default();
        let arguments = bytes.split(|&byte| byte == 0);
        Self { arguments: arguments.map(|a| String::from_utf8_lossy(a).into_owned()).collect() }
    }

    /// Whether nothing is to be stored.
    pub fn is_dry_run(&self) -> bool {
        let flag = |argument: &String| {
            let flag = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'));
            matches!(flag, Some("dry-run" | "dry-run=true" | "dry-run=1"))
        };
        self.arguments.iter().any(flag)
    }

    /// Whether the value of this option, and not only the path of a file with it,
    /// was typed.
    pub fn typed(&self, option: &str) -> bool {
        let here = |argument: &String| {
            let pair = argument.trim_start_matches('-');
            let pair = pair.strip_prefix("o=").unwrap_or(pair);
            pair.split_once('=').is_some_and(|(name, _)| name == option)
        };
        self.arguments.iter().any(here)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plakar(arguments: &[&str]) -> Invocation {
        Invocation { arguments: arguments.iter().map(|&a| a.to_owned()).collect() }
    }

    #[test]
    fn a_dry_run_is_told_by_its_flag() {
        for flag in ["-dry-run", "--dry-run", "-dry-run=true"] {
            assert!(plakar(&["backup", flag, "x://h"]).is_dry_run(), "{flag}");
        }
        for other in ["dry-run", "-dry-run=false", "x=-dry-run"] {
            assert!(!plakar(&["backup", other, "x://h"]).is_dry_run(), "{other}");
        }
    }

    #[test]
    fn a_secret_is_typed_where_its_value_is() {
        assert!(plakar(&["backup", "-o", "password=x"]).typed("password"));
        assert!(plakar(&["backup", "-o=password=x"]).typed("password"));
        assert!(!plakar(&["backup", "-o", "password_file=x"]).typed("password"));
    }
}
