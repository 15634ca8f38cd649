//! The error type of the library.
//!
//! Its text is a [`Message`], without any secret. The [`Fault`] says whose fault it
//! was, for programs.

use plakar_connector::{ErrorKind, Message};
use std::fmt;

/// Whose fault a failure was; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What the component returned, or what the host found before calling the component.
    Reported(ErrorKind),
    /// The store did not accept what it was given.
    Store,
    /// The component cannot be loaded, trapped, went over a limit, or broke the contract.
    Component,
    /// This machine gives the host too little, or forbids what it needs.
    Host,
}

impl Fault {
    /// The exit code of the store's failures.
    pub const STORE_EXIT_CODE: u8 = 10;
    /// The exit code of a component that failed, and of a machine that cannot run it.
    pub const COMPONENT_EXIT_CODE: u8 = 11;

    /// Returns the name in `--json`: the contract's name of a reported kind, or `store`,
    /// `component` or `host`.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Reported(kind) => kind.name(),
            Fault::Store => "store",
            Fault::Component => "component",
            Fault::Host => "host",
        }
    }

    /// Returns the exit code of a program that ends for this reason.
    pub fn exit_code(self) -> u8 {
        match self {
            Fault::Reported(kind) => kind.exit_code(),
            Fault::Store => Self::STORE_EXIT_CODE,
            Fault::Component | Fault::Host => Self::COMPONENT_EXIT_CODE,
        }
    }
}

/// Why something could not be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    fault: Fault,
    message: Message,
}

impl Error {
    /// The component reported it, or the host found it before calling the component.
    pub fn reported(kind: ErrorKind, message: impl Into<Message>) -> Self {
        Self { fault: Fault::Reported(kind), message: message.into() }
    }

    /// What the user typed is wrong; nothing was contacted.
    pub fn invalid(message: impl Into<Message>) -> Self {
        Self::reported(ErrorKind::InvalidConfig, message)
    }

    /// The component or this host cannot do what was asked.
    pub fn unsupported(message: impl Into<Message>) -> Self {
        Self::reported(ErrorKind::Unsupported, message)
    }

    /// For sinks: the store did not accept what it was given.
    pub fn store(message: impl Into<Message>) -> Self {
        Self { fault: Fault::Store, message: message.into() }
    }

    /// This machine provides too little, or forbids what is needed.
    pub fn machine(message: impl Into<Message>) -> Self {
        Self { fault: Fault::Host, message: message.into() }
    }

    /// The component cannot be loaded, trapped or exceeded a limit.
    pub fn component(message: impl Into<Message>) -> Self {
        Self { fault: Fault::Component, message: message.into() }
    }

    /// The component broke the contract in this way.
    pub fn broke(what: impl fmt::Display) -> Self {
        Self::component(format!("the component broke the contract: {what}"))
    }

    /// Adds where it happened, unless that is known already.
    pub fn at(self, place: impl fmt::Display) -> Self {
        Self { message: self.message.at(place), ..self }
    }

    /// Adds what to do about it, unless that is known already.
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { message: self.message.remedy(remedy), ..self }
    }

    /// Returns whose fault it was.
    pub fn fault(&self) -> Fault {
        self.fault
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.fmt(f)
    }
}

impl std::error::Error for Error {}
