//! The options of the connector: one table, and the values that are read from it.

use crate::error::{Error, Result, quote};
use crate::etcd::call::Transport;
use crate::snapshot::verifier::{Checks, Hashing};
use plakar_connector::{
    Authority, ErrorKind, Message, Protocol, TimeLimits, limits, location, names,
};

/// The protocols, plain HTTP first. The port is etcd's
/// (`server/embed/config.go`, `DefaultListenClientURLs`).
pub(crate) const PROTOCOLS: [Protocol<'static>; 3] = [
    Protocol { name: "etcd", tls: false, default_port: 2379 },
    Protocol { name: "etcd+http", tls: false, default_port: 2379 },
    Protocol { name: "etcd+https", tls: true, default_port: 2379 },
];

/// The kind of value that an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueKind {
    /// Any text.
    Text,
    /// A duration.
    Duration,
    /// A list of authorities.
    Authorities,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// One option, as the contract describes options.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Declared {
    /// Its name.
    pub name: &'static str,
    /// The kind of its value.
    pub kind: ValueKind,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// One line of help.
    pub help: &'static str,
    /// The default, if it has one.
    pub default: Option<&'static str>,
}

const fn limit(limit: &limits::Limit) -> Declared {
    Declared {
        name: limit.name,
        kind: ValueKind::Duration,
        secret: false,
        help: limit.help,
        default: Some(limit.default),
    }
}

/// Every option that the connector takes.
pub(crate) const OPTIONS: [Declared; 10] = [
    Declared {
        name: names::ENDPOINTS,
        kind: ValueKind::Authorities,
        secret: false,
        help: "members to choose from, comma-separated; takes precedence over the location",
        default: None,
    },
    Declared {
        name: "username",
        kind: ValueKind::Text,
        secret: false,
        help: "etcd user with the role `root`, if authentication is enabled",
        default: None,
    },
    Declared {
        name: "password",
        kind: ValueKind::Text,
        secret: true,
        help: "that user's password; better given as `password_file`",
        default: None,
    },
    Declared {
        name: "transport",
        kind: ValueKind::Choice(&["auto", "grpc", "gateway"]),
        secret: false,
        help: "native gRPC or the JSON gateway; `auto` prefers gRPC",
        default: Some("auto"),
    },
    Declared {
        name: "proof",
        kind: ValueKind::Choice(&["auto", "require", "off"]),
        secret: false,
        help: "compare the snapshot with the HashKV of all members",
        default: Some("auto"),
    },
    Declared {
        name: "proof_memory",
        kind: ValueKind::Text,
        secret: false,
        help: "memory for this comparison, 32 bytes per revision: 1MiB to 256MiB",
        default: Some("32MiB"),
    },
    limit(&limits::CONNECT),
    limit(&limits::STALL),
    limit(&limits::STORE),
    limit(&limits::MAX_DURATION),
];

/// A name and a password. No `Debug`: the password is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The user's password.
    pub password: String,
}

/// The user's options, checked. No `Debug`: they may contain a password.
#[derive(Clone)]
pub struct Options {
    /// The members to choose from, in the order typed; at least one.
    pub endpoints: Vec<Authority>,
    /// The login, if one was given.
    pub credentials: Option<Credentials>,
    /// The requested transport; `None` for the best that works.
    pub transport: Option<Transport>,
    /// The reserved time limits.
    pub limits: TimeLimits,
    /// What is checked of the snapshot besides its messages.
    pub checks: Checks,
    /// Whether a snapshot is refused if a majority of the voters does not prove it.
    pub proof_required: bool,
    /// Warnings about the options, known before anything is contacted.
    pub warnings: Vec<String>,
}

impl Options {
    /// Reads and checks a config with an unresolved location; contacts nothing.
    pub fn read(config: &[(String, String)]) -> Result<Self> {
        let location =
            get(config, names::LOCATION).ok_or_else(|| invalid("the location is missing"))?;
        let source = location::parse(&PROTOCOLS, location, get(config, names::ENDPOINTS))
            .map_err(invalid)?;
        let warnings = source.warning().into_iter().collect();
        Ok(Self { warnings, ..Self::new(source.authorities, config)? })
    }

    /// Checks a config for members that were resolved from it; contacts nothing.
    pub fn new(endpoints: Vec<Authority>, config: &[(String, String)]) -> Result<Self> {
        config.iter().try_for_each(|(name, _)| known(name))?;
        if endpoints.is_empty() {
            return Err(invalid("no endpoint is given"));
        }
        let get = |name: &str| get(config, name);
        let limits = TimeLimits::read(get).map_err(invalid)?;
        let transport = match get("transport") {
            None | Some("auto") => None,
            Some("grpc") => Some(Transport::Grpc),
            Some("gateway") => Some(Transport::Gateway),
            Some(other) => {
                return Err(option("transport", format!("unknown value {}", quote(other)))
                    .remedy("use `auto`, `grpc` or `gateway`"));
            }
        };
        let credentials = credentials(get("username"), get("password"))?;
        let memory = proof_memory(get("proof_memory"))?;
        let (proof_memory, proof_required) = match get("proof") {
            None | Some("auto") => (Some(memory), false),
            Some("require") => (Some(memory), true),
            Some("off") => (None, false),
            Some(other) => {
                return Err(option("proof", format!("unknown value {}", quote(other)))
                    .remedy("use `auto`, `require` or `off`"));
            }
        };
        let checks = Checks { hashing: Hashing::Here, proof_memory };
        let warnings = Vec::new();
        Ok(Self { endpoints, credentials, transport, limits, checks, proof_required, warnings })
    }

    /// The identity of this source: the endpoints, as typed.
    pub fn origin(&self) -> String {
        let endpoints: Vec<String> = self.endpoints.iter().map(Authority::to_string).collect();
        endpoints.join(",")
    }
}

fn get<'a>(config: &'a [(String, String)], name: &str) -> Option<&'a str> {
    config.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// The most memory for the proof, in bytes: what is left for it in the sandbox of `plakar-wasm`.
pub(crate) const PROOF_MEMORY_MOST: usize = 256 << 20;

/// The default memory for the proof, in bytes. A host gives a component at least 64 MiB.
const PROOF_MEMORY: usize = 32 << 20;

fn proof_memory(text: Option<&str>) -> Result<usize> {
    let Some(text) = text else { return Ok(PROOF_MEMORY) };
    let is_number = |number: &&str| number.bytes().all(|byte| byte.is_ascii_digit());
    let mebibytes =
        text.strip_suffix("MiB").filter(is_number).and_then(|n| n.parse::<usize>().ok());
    mebibytes
        .and_then(|number| number.checked_mul(1 << 20))
        .filter(|bytes| (1..=PROOF_MEMORY_MOST).contains(bytes))
        .ok_or_else(|| {
            option("proof_memory", format!("invalid size {}", quote(text)))
                .remedy("write a whole number of mebibytes from `1MiB` to `256MiB`")
        })
}

fn credentials(username: Option<&str>, password: Option<&str>) -> Result<Option<Credentials>> {
    match (username, password) {
        (None, None) => Ok(None),
        (Some(""), _) => Err(invalid("option `username` is empty")),
        (_, Some("")) => Err(invalid("option `password` is empty")),
        (Some(username), Some(password)) => {
            Ok(Some(Credentials { username: username.into(), password: password.into() }))
        }
        (Some(_), None) => Err(invalid("`username` is set, but no password is")
            .remedy("set `password_file`, or `password`")),
        (None, Some(_)) => {
            Err(invalid("a password is set, but no `username` is").remedy("give `username`"))
        }
    }
}

/// Rejects unknown names, and those that only another host supports.
fn known(name: &str) -> Result<()> {
    if name == names::LOCATION || OPTIONS.iter().any(|option| option.name == name) {
        return Ok(());
    }
    // A host of the contract removes these before it opens the component.
    let file = name.strip_suffix(names::FILE_SUFFIX);
    if name.starts_with(names::TLS_PREFIX)
        || file.is_some_and(|name| OPTIONS.iter().any(|option| option.name == name))
    {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "option `{name}` needs a host that provides files and certificates to a connector"
            ),
        )
        .remedy(if name == "password_file" {
            "use `--password-stdin`, or `backup` of `plakar-wasm`"
        } else {
            "use `plakar-wasm`; with its `run`, write the option before the connector"
        }));
    }
    Err(invalid(names::unknown_option(name, OPTIONS.iter().map(|option| option.name))))
}

/// The error of this option.
fn option(name: &str, what: impl Into<String>) -> Error {
    invalid(Message::new(what).at(format_args!("option `{name}`")))
}

fn invalid(what: impl Into<Message>) -> Error {
    Error::new(ErrorKind::InvalidConfig, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(location: &str, options: &[(&str, &str)]) -> Result<Options> {
        let mut config = vec![("location".to_string(), location.to_string())];
        config.extend(options.iter().map(|(k, v)| (k.to_string(), v.to_string())));
        Options::read(&config)
    }

    fn refused(options: &[(&str, &str)]) -> Error {
        match read("etcd://node1", options) {
            Ok(_) => panic!("{options:?} was taken"),
            Err(error) => error,
        }
    }

    #[test]
    fn endpoints_take_precedence_over_the_location() {
        let options = read("etcd://x", &[("endpoints", "a,b:1,a:2379")]);
        assert_eq!(options.map(|o| o.origin()), Ok("a:2379,b:1".into()));
    }

    #[test]
    fn members_that_the_host_resolved_are_used_unchanged() {
        let node = Authority { host: "node1".into(), port: 1, tls: true };
        let config = [("location".into(), "etcd://other".into())];
        let options = Options::new(vec![node.clone()], &config).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(options.endpoints, [node]);
        assert!(Options::new(Vec::new(), &config).is_err());
    }

    #[test]
    fn an_unknown_option_is_an_error_with_the_nearest_and_all_others() {
        let error = refused(&[("pasword", "hunter2")]);
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        let message = error.to_string();
        assert!(message.contains("`password`") && message.contains("`max_duration`"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }

    #[test]
    fn an_option_that_needs_another_host_is_refused_with_the_remedy() {
        for name in ["tls_ca", "password_file"] {
            let error = refused(&[(name, "x")]);
            assert_eq!(error.kind, ErrorKind::Unsupported);
            assert!(error.to_string().contains("`plakar-wasm`"), "{error}");
        }
    }

    /// Every host refuses another one, and with it the whole component.
    #[test]
    fn the_names_of_the_options_have_the_form_of_the_contract() {
        for option in OPTIONS {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!((1..=64).contains(&option.name.len()), "{}", option.name);
            assert!(option.name.chars().all(fits), "{}", option.name);
        }
    }

    #[test]
    fn half_a_login_is_refused() {
        for options in [
            &[("username", "root")][..],
            &[("password", "hunter2")],
            &[("username", "root"), ("password", "")],
            &[("username", ""), ("password", "hunter2")],
        ] {
            let error = refused(options);
            assert_eq!(error.kind, ErrorKind::InvalidConfig);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn bad_values_are_refused() {
        for option in [
            ("transport", "carrier-pigeon"),
            ("stall_timeout", "0s"),
            ("endpoints", "a,,b"),
            ("proof", "maybe"),
            ("proof_memory", "0MiB"),
            ("proof_memory", "257MiB"),
            ("proof_memory", "-1MiB"),
            ("proof_memory", "32"),
            ("proof_memory", "99999999999999999999MiB"),
        ] {
            assert_eq!(refused(&[option]).kind, ErrorKind::InvalidConfig, "{option:?}");
        }
    }

    #[test]
    fn every_default_is_a_valid_value() {
        for option in OPTIONS {
            if let Some(default) = option.default {
                assert!(read("etcd://node1", &[(option.name, default)]).is_ok(), "{}", option.name);
            }
        }
    }
}
