//! The component's own command line, for hosts that only run commands.
//!
//! ```text
//! wasmtime run -S http connector.wasm backup etcd://node1:2379 > snapshot.db.part \
//!   && mv snapshot.db.part snapshot.db
//! ```
//! Bytes are written as they arrive, so only the exit code says whether they can be used.

mod backup;
mod help;
mod parse;
mod password;

pub(crate) use backup::{backup, check_output};
pub(crate) use parse::parse;
pub(crate) use password::PasswordSource;

use crate::error::Result;
use crate::look::Look;
use crate::options::Options;
use crate::stored::Source;

/// A command and its arguments. No `Debug`: it may contain a password.
pub(crate) enum Command {
    /// Write a snapshot, or a bundle of all records, to standard output.
    Backup {
        /// The members and their options.
        target: Target,
        /// All records as a tar archive.
        bundle: bool,
    },
    /// Report whether a backup could start.
    Ping(Target),
    /// Check a backup that was stored.
    Verify(Source),
    /// Look into a stored backup; as JSON if the flag is set.
    Look(Look, bool),
    /// Print this text.
    Print(String),
}

/// The exit code if a key is not in the dump. The contract defines the codes of errors, up
/// to 9; the next two are those of `plakar-wasm`, which passes this one on.
pub(crate) const ABSENT_EXIT_CODE: u8 = 12;

/// A location and its options. No `Debug`: it may contain a password.
pub(crate) struct Target {
    /// The config, as a host of the contract would pass it.
    pub config: Vec<(String, String)>,
    /// The source of the password, if it is not in the config.
    pub password: Option<PasswordSource>,
}

impl Target {
    /// Checks everything; `password` was read from its source.
    pub(crate) fn options(mut self, password: Option<String>) -> Result<Options> {
        if let Some(password) = password {
            self.config.push(("password".into(), password));
        }
        Options::read(&self.config)
    }
}
