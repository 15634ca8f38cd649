//! The versions under test.

use crate::tools;
use std::fmt;
use std::path::PathBuf;

/// An etcd version whose programs are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The oldest that is still met, as Debian bookworm ships it.
    V3_4_23,
    /// The last line with gRPC-gateway v1, upstream.
    V3_5_33,
    /// The first line with gRPC-gateway v2, upstream.
    V3_6_14,
    /// The newest.
    V3_7_1,
}

/// How a version's gateway words its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatewayStyle {
    /// gRPC-gateway v1: `error` beside `message`, error lines without newline.
    V1,
    /// gRPC-gateway v2.
    V2,
}

/// Passes all versions to a macro, which makes a test of each.
#[macro_export]
macro_rules! versions {
    ($tests:ident) => {
        $tests! { V3_4_23, V3_5_33, V3_6_14, V3_7_1, }
    };
}

impl Version {
    /// All of them, the oldest first.
    pub const ALL: [Version; 4] =
        [Version::V3_4_23, Version::V3_5_33, Version::V3_6_14, Version::V3_7_1];

    /// The newest, which is what the demo shows.
    pub const NEWEST: Version = Version::V3_7_1;

    /// As the server reports it.
    pub fn name(self) -> &'static str {
        match self {
            Version::V3_4_23 => "3.4.23",
            Version::V3_5_33 => "3.5.33",
            Version::V3_6_14 => "3.6.14",
            Version::V3_7_1 => "3.7.1",
        }
    }

    /// One of its programs.
    pub fn program(self, name: &str) -> PathBuf {
        tools::etcd(self.name(), name)
    }

    /// The program that restores snapshots: `etcdutl` came with 3.5.
    pub fn restorer(self) -> PathBuf {
        self.program(if self == Version::V3_4_23 { "etcdctl" } else { "etcdutl" })
    }

    /// Whether it can go without fsync.
    pub(super) fn can_skip_fsync(self) -> bool {
        self != Version::V3_4_23
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
