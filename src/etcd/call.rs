//! The calls of a backup, and the results that both transports return for them.

use super::refusal::Refusal;
use crate::error::Error;
use std::fmt;
use std::time::Duration;

/// A call of etcd's API.
#[derive(Clone, Copy)]
pub enum Call<'a> {
    /// `Maintenance/Status`.
    Status,
    /// `Cluster/MemberList`.
    MemberList,
    /// `Auth/Authenticate`.
    Authenticate {
        /// The user's name.
        name: &'a str,
        /// The user's password.
        password: &'a str,
    },
    /// `Maintenance/HashKV`.
    HashKv {
        /// The last revision that is hashed.
        revision: i64,
    },
    /// `Maintenance/Snapshot`, which etcd itself ends after `budget`, so that its read
    /// transaction is freed even if this client disappears silently.
    Snapshot {
        /// What is left of the run's time.
        budget: Duration,
    },
}

impl Call<'_> {
    /// The value of `grpc-timeout`, for calls that have one.
    pub fn timeout(&self) -> Option<String> {
        let Call::Snapshot { budget } = self else {
            return None;
        };
        // At most eight digits: milliseconds reach 27 hours, seconds three years. Rounded
        // up, so that a timeout of this run is never reported as the server's.
        Some(match budget.as_millis() {
            millis @ 0..=99_999_998 => format!("{}m", millis + 1),
            _ => format!("{}S", budget.as_secs().saturating_add(1).min(99_999_999)),
        })
    }
}

/// A way to speak to etcd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Native gRPC: less work for etcd, but needs HTTP/2 all the way.
    Grpc,
    /// The JSON gateway, over any HTTP.
    Gateway,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Grpc => "grpc",
            Transport::Gateway => "gateway",
        })
    }
}

/// Why a call did not return what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// etcd refused it.
    Refused(Refusal),
    /// The server does not support this transport, and why that is assumed.
    Foreign(Error),
    /// The response cannot be read.
    Unreadable(Error),
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        CallError::Unreadable(error)
    }
}

impl CallError {
    /// Converts it to an error.
    pub fn into_error(self) -> Error {
        match self {
            CallError::Refused(refusal) => refusal.into_error(),
            CallError::Foreign(error) | CallError::Unreadable(error) => error,
        }
    }
}

/// What the head of the snapshot's response promises.
pub enum Opening {
    /// The stream follows.
    Stream,
    /// A refusal that the head itself explains.
    Refused(Refusal),
    /// A refusal that the body explains.
    Explained,
}

/// One message of the snapshot stream; the decoder has put its blob into the caller's
/// buffer.
pub struct Message<'a> {
    /// Bytes of the database still to come after this message.
    pub remaining: u64,
    /// The storage version; empty if it is not reported.
    pub storage_version: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_gets_the_remaining_time() {
        for (budget, header) in [(3600, "3600001m"), (200_000, "200001S"), (0, "1m")] {
            let call = Call::Snapshot { budget: Duration::from_secs(budget) };
            assert_eq!(call.timeout().as_deref(), Some(header));
        }
        assert_eq!(Call::Status.timeout(), None);
    }
}
