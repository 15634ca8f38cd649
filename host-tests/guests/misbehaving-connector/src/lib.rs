//! A whole connector of the contract `plakar:connector` that behaves as its options say.
//!
//! With `behaviour=well`, its default, it is an example of a complete connector:
//! it describes itself, checks its options, and hands out a directory and two
//! files, of which the second describes the first and so waits for its
//! acknowledgement. Every other behaviour goes wrong in one way, so that a host
//! can be seen to hold what it promises.
//!
//! It needs no server: the location `test://127.0.0.1:80` names an authority and
//! nothing is sent there, save by `reach=URL`.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `behaviour` | the option `behaviour`, and the ways to go wrong |
//! | `command` | its own command line, which the contract does not ask for |
//! | `hoard` | what costs the host much |
//! | `import` | records and their bytes |
//! | `reach` | one HTTP request, for those behaviours that need one |

mod behaviour;
mod command;
mod hoard;
mod import;
mod reach;

// The generated glue is the only unsafe code.
#[allow(missing_docs, unreachable_pub, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package example:misbehaving;
            // Versions that no host knows, beside the one that it does.
            world connector {
                export plakar:connector/importer@0.1.0;
                export plakar:connector/types@0.2.0;
                export plakar:connector/description@0.2.0;
                export plakar:connector/importer@0.2.0;
                export plakar:connector/importer@0.9.0;
            }
            package plakar:connector@0.1.0 {
                interface importer { describe: func() -> string; }
            }
            package plakar:connector@0.9.0 {
                interface importer { describe: func() -> string; }
            }
        ",
        world: "example:misbehaving/connector",
    });
    use super::Connector;
    export!(Connector);
}

use behaviour::Behaviour;
use bindings::exports::plakar::{connector0_1_0, connector0_2_0, connector0_9_0};
use connector0_2_0::description::{Description, OptionDescription, OptionKind, Protocol};
use connector0_2_0::importer::{Guest, GuestImporter, ImportOptions, ImportRun, Importer};
use connector0_2_0::types::Error;

/// The component.
struct Connector;

impl connector0_1_0::importer::Guest for Connector {
    fn describe() -> String {
        behaviour::trap()
    }
}

impl connector0_9_0::importer::Guest for Connector {
    fn describe() -> String {
        behaviour::trap()
    }
}

impl connector0_2_0::description::Guest for Connector {
    fn describe() -> Description {
        let option = |name: &str, secret, help: &str, default: Option<&str>| OptionDescription {
            name: name.into(),
            kind: OptionKind::Text,
            secret,
            help: help.into(),
            default: default.map(Into::into),
        };
        Description {
            name: "misbehaving".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "behaves, well or badly, as asked".into(),
            snapshot_type: "misbehaving".into(),
            protocols: vec![
                Protocol { name: "test".into(), tls: false, default_port: 80 },
                Protocol { name: "test+https".into(), tls: true, default_port: 443 },
            ],
            options: vec![
                option(
                    "behaviour",
                    false,
                    "what to do: `well`, or one of the ways to go wrong",
                    Some("well"),
                ),
                option("bytes", false, "how long the file of known size is", Some("1000000")),
                option("endpoints", false, "other authorities that are granted", None),
                option("password", true, "a secret that is never shown", None),
            ],
        }
    }
}

impl Guest for Connector {
    type Importer = Source;
    type ImportRun = import::Running;
    type Reader = import::Bytes;
}

/// A configured source.
struct Source {
    behaviour: Behaviour,
    bytes: u64,
    location: String,
}

impl GuestImporter for Source {
    fn open(options: ImportOptions) -> Result<Importer, Error> {
        let mut source =
            Source { behaviour: Behaviour::Well, bytes: 1_000_000, location: String::new() };
        for (name, value) in options.config {
            match name.as_str() {
                "location" => source.location = value,
                "behaviour" => source.behaviour = value.parse().map_err(Error::InvalidConfig)?,
                "bytes" => {
                    source.bytes = value.parse().map_err(|_| {
                        Error::InvalidConfig(format!("option `bytes`: `{value}` is no number"))
                    })?;
                }
                "endpoints" | "password" => {}
                _ => return Err(Error::InvalidConfig(format!("unknown option `{name}`"))),
            }
        }
        Ok(Importer::new(source))
    }

    fn origin(&self) -> String {
        self.location.clone()
    }

    fn ping(&self) -> Result<(), Error> {
        self.behaviour.misbehave_anywhere()?;
        match &self.behaviour {
            Behaviour::Reach(url) => reach::get(url).map(drop).map_err(Error::Unreachable),
            _ => Ok(()),
        }
    }

    fn start(&self) -> Result<ImportRun, Error> {
        Ok(ImportRun::new(import::Running::new(self.behaviour.clone(), self.bytes)))
    }
}
