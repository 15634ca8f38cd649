//! The kinds of failure, and the exit code of each.

/// A case of the contract's `error`, as programs see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An option or the location is wrong; nothing was contacted.
    InvalidConfig,
    /// No connection could be made.
    Unreachable,
    /// Something took longer than its limit.
    TimedOut,
    /// Credentials are missing or wrong.
    Unauthenticated,
    /// The credentials are right but may not do this.
    PermissionDenied,
    /// The server, the component or the host cannot do what was asked.
    Unsupported,
    /// The content was cut short.
    Interrupted,
    /// The content came whole, but is not what it should be.
    Corrupt,
    /// Anything else.
    Other,
}

impl Kind {
    /// Every kind, in the order of the contract.
    pub const ALL: [Kind; 9] = [
        Kind::InvalidConfig,
        Kind::Unreachable,
        Kind::TimedOut,
        Kind::Unauthenticated,
        Kind::PermissionDenied,
        Kind::Unsupported,
        Kind::Interrupted,
        Kind::Corrupt,
        Kind::Other,
    ];

    /// The name in the contract.
    pub fn name(self) -> &'static str {
        match self {
            Kind::InvalidConfig => "invalid-config",
            Kind::Unreachable => "unreachable",
            Kind::TimedOut => "timed-out",
            Kind::Unauthenticated => "unauthenticated",
            Kind::PermissionDenied => "permission-denied",
            Kind::Unsupported => "unsupported",
            Kind::Interrupted => "interrupted",
            Kind::Corrupt => "corrupt",
            Kind::Other => "other",
        }
    }

    /// The exit code of a program that ends for this reason, the component's own
    /// command line and the host's alike. 2 is what command lines use for a
    /// wrong call; codes from 10 on are a program's own.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Other => 1,
            Kind::InvalidConfig => 2,
            Kind::Unreachable => 3,
            Kind::TimedOut => 4,
            Kind::Unauthenticated => 5,
            Kind::PermissionDenied => 6,
            Kind::Unsupported => 7,
            Kind::Interrupted => 8,
            Kind::Corrupt => 9,
        }
    }
}
