//! The kinds of failure, and the exit code of each.

/// A case of the contract's `error`, as programs see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// An option or the location is wrong; nothing was contacted.
    InvalidConfig,
    /// No connection could be made.
    Unreachable,
    /// A time limit was exceeded.
    TimedOut,
    /// Credentials are missing or wrong.
    Unauthenticated,
    /// The credentials are valid but not sufficient.
    PermissionDenied,
    /// The server, the component or the host cannot do what was asked.
    Unsupported,
    /// The content ended early.
    Interrupted,
    /// The content is complete but wrong.
    Corrupt,
    /// Any other failure.
    Other,
}

impl ErrorKind {
    /// Every kind, in the order of the contract.
    pub const ALL: [ErrorKind; 9] = [
        ErrorKind::InvalidConfig,
        ErrorKind::Unreachable,
        ErrorKind::TimedOut,
        ErrorKind::Unauthenticated,
        ErrorKind::PermissionDenied,
        ErrorKind::Unsupported,
        ErrorKind::Interrupted,
        ErrorKind::Corrupt,
        ErrorKind::Other,
    ];

    /// The name in the contract.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::InvalidConfig => "invalid-config",
            ErrorKind::Unreachable => "unreachable",
            ErrorKind::TimedOut => "timed-out",
            ErrorKind::Unauthenticated => "unauthenticated",
            ErrorKind::PermissionDenied => "permission-denied",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Interrupted => "interrupted",
            ErrorKind::Corrupt => "corrupt",
            ErrorKind::Other => "other",
        }
    }

    /// What it means, in one line of help.
    pub fn meaning(self) -> &'static str {
        match self {
            ErrorKind::InvalidConfig => {
                "wrong arguments, options or location; nothing was contacted"
            }
            ErrorKind::Unreachable => "no connection could be made",
            ErrorKind::TimedOut => "a time limit was exceeded",
            ErrorKind::Unauthenticated => "credentials are missing or wrong",
            ErrorKind::PermissionDenied => "the credentials are valid but not sufficient",
            ErrorKind::Unsupported => "not supported by the server, the connector or the host",
            ErrorKind::Interrupted => "the content ended early",
            ErrorKind::Corrupt => "the content is complete but wrong",
            ErrorKind::Other => "any other failure",
        }
    }

    /// The exit code of a program that ends for this reason: the component's own
    /// command line and the host's. 2 is what command lines use for wrong arguments;
    /// codes from 10 on are specific to a program.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Other => 1,
            ErrorKind::InvalidConfig => 2,
            ErrorKind::Unreachable => 3,
            ErrorKind::TimedOut => 4,
            ErrorKind::Unauthenticated => 5,
            ErrorKind::PermissionDenied => 6,
            ErrorKind::Unsupported => 7,
            ErrorKind::Interrupted => 8,
            ErrorKind::Corrupt => 9,
        }
    }
}
