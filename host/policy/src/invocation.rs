//! The command line of the plakar that started this process.
//!
//! The protocol says neither whether a run is a dry run nor where an option came from. If
//! the command line cannot be read, nothing counts as typed.

/// The arguments of the parent process. No `Debug`: one may be a secret.
#[derive(Default)]
pub struct Invocation {
    arguments: Vec<String>,
}

/// The flags of plakar's `backup` that take no value. All others do.
const SWITCHES: [&str; 5] = ["check", "dry-run", "no-progress", "no-xattr", "h"];

impl Invocation {
    /// Reads them from `/proc`.
    pub fn of_parent() -> Self {
        let Some(parent) = rustix::process::getppid() else { return Self::default() };
        let path = format!("/proc/{}/cmdline", parent.as_raw_nonzero());
        let bytes = std::fs::read(path).unwrap_or_default();
        let arguments = bytes.split(|&byte| byte == 0);
        Self { arguments: arguments.map(|a| String::from_utf8_lossy(a).into_owned()).collect() }
    }

    /// Returns whether nothing is to be stored, as the last `-dry-run` among the flags of
    /// `backup` says.
    pub fn is_dry_run(&self) -> bool {
        let mut arguments = self.arguments.iter().map(String::as_str);
        let mut dry_run = false;
        if !arguments.by_ref().any(|argument| argument == "backup") {
            return false;
        }
        // Go's flags end with the first argument that is not a flag.
        while let Some(argument) = arguments.next() {
            let Some(flag) = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'))
            else {
                break;
            };
            match flag.split_once('=') {
                _ if flag.is_empty() => break,
                Some(("dry-run", value)) => {
                    dry_run = matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True");
                }
                None if flag == "dry-run" => dry_run = true,
                None if !SWITCHES.contains(&flag) => _ = arguments.next(),
                _ => {}
            }
        }
        dry_run
    }

    /// Returns whether the value of this option was typed, and not only the path of a file
    /// with it.
    pub fn typed(&self, option: &str) -> bool {
        let here = |argument: &String| {
            let pair = argument.trim_start_matches('-');
            let pair = pair.strip_prefix("o=").unwrap_or(pair);
            pair.split_once('=').is_some_and(|(name, _)| name == option)
        };
        self.arguments.iter().any(here)
    }
}

/// Returns the value of the last `-o NAME=…`, the form in which a connector's own command
/// line takes the options that the host uses as well.
pub fn option<'a>(args: &'a [String], name: &str) -> Option<&'a str> {
    let preceded = |at: usize| at > 0 && matches!(args[at - 1].as_str(), "-o" | "--option");
    let pairs = args.iter().enumerate().filter_map(|(at, arg)| {
        if preceded(at) {
            Some(arg.as_str())
        } else {
            arg.strip_prefix("-o").map(|pair| pair.strip_prefix('=').unwrap_or(pair))
        }
    });
    pairs.filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plakar(arguments: &[&str]) -> Invocation {
        Invocation { arguments: arguments.iter().map(|&a| a.to_owned()).collect() }
    }

    #[test]
    fn a_dry_run_is_known_by_its_flag() {
        for line in [
            "backup -dry-run x://h",
            "backup --dry-run x://h",
            "at ./store backup -check -dry-run=true x://h",
            "backup -dry-run=T x://h",
            "backup -tag a -dry-run=1 x://h",
            "backup -dry-run=false -dry-run x://h",
        ] {
            assert!(plakar(&line.split(' ').collect::<Vec<_>>()).is_dry_run(), "{line}");
        }
    }

    #[test]
    fn what_only_looks_like_the_flag_is_not_the_flag() {
        for line in [
            "backup dry-run x://h",
            "backup -dry-run=false x://h",
            "backup -dry-run -dry-run=F x://h",
            "backup -tag -dry-run x://h",
            "backup -o -dry-run x://h",
            "backup x://h -dry-run",
            "backup -- -dry-run",
            "at -dry-run backup x://h",
            "check -dry-run",
        ] {
            assert!(!plakar(&line.split(' ').collect::<Vec<_>>()).is_dry_run(), "{line}");
        }
    }

    #[test]
    fn a_secret_is_typed_where_its_value_is() {
        assert!(plakar(&["backup", "-o", "password=x"]).typed("password"));
        assert!(plakar(&["backup", "-o=password=x"]).typed("password"));
        assert!(!plakar(&["backup", "-o", "password_file=x"]).typed("password"));
    }

    #[test]
    fn the_last_value_of_an_option_is_found_however_it_is_typed() {
        for (line, found) in [
            ("backup x://h -o endpoints=a", Some("a")),
            ("backup x://h -oendpoints=a", Some("a")),
            ("backup x://h -o=endpoints=a", Some("a")),
            ("backup x://h --option endpoints=a -o endpoints=b", Some("b")),
            ("backup x://h endpoints=a", None),
            ("backup x://h -o endpoints", None),
            ("backup x://h -o myendpoints=a", None),
        ] {
            let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(option(&args, "endpoints"), found, "{line}");
        }
    }
}
