//! etcd's answers, as JSON carries them (`api/etcdserverpb/rpc.proto`).
//!
//! Both encoders that etcd's gateways ever used leave zero values out, write
//! 64-bit numbers as strings and 32-bit ones bare; a reader takes either.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::borrow::Cow;
use std::fmt;

/// `ResponseHeader`: who answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Header {
    /// The cluster's id.
    pub cluster_id: Id,
    /// The id of the member that answered.
    pub member_id: Id,
    /// The revision that this member has applied; not linearizable.
    pub revision: U64,
    /// The raft term.
    pub raft_term: U64,
}

/// `StatusResponse`: what a member says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Status {
    /// Who answered.
    pub header: Header,
    /// The version of the member's binary.
    pub version: String,
    /// The size of the database file, in bytes.
    #[serde(rename = "dbSize")]
    pub db_size: U64,
    /// The part of it that is in use, in bytes.
    #[serde(rename = "dbSizeInUse")]
    pub db_size_in_use: U64,
    /// The leader's id; zero where this member knows none.
    pub leader: Id,
    /// The last index of the member's raft log.
    #[serde(rename = "raftIndex")]
    pub raft_index: U64,
    /// The last index that the member has applied.
    #[serde(rename = "raftAppliedIndex")]
    pub raft_applied_index: U64,
    /// Whether it is a learner.
    #[serde(rename = "isLearner")]
    pub is_learner: bool,
    /// The version of the storage schema, 3.6 and later.
    #[serde(rename = "storageVersion")]
    pub storage_version: String,
    /// Troubles: every member lists every alarm of the cluster here, as
    /// `memberID:ID alarm:NAME ` (`server/etcdserver/api/v3rpc/maintenance.go`).
    pub errors: Vec<String>,
}

/// `MemberListResponse`.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
pub struct MemberList {
    /// Who answered.
    pub header: Header,
    /// All members, those never started included.
    pub members: Vec<Member>,
}

/// One member of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Member {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: Id,
    /// Its name; empty where it never started.
    pub name: String,
    /// Where its peers reach it.
    #[serde(rename = "peerURLs")]
    pub peer_urls: Vec<String>,
    /// Where clients reach it.
    #[serde(rename = "clientURLs")]
    pub client_urls: Vec<String>,
    /// Whether it is a learner.
    #[serde(rename = "isLearner")]
    pub is_learner: bool,
}

/// `AlarmResponse` to a `GET`.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
pub struct AlarmList {
    /// The active alarms.
    pub alarms: Vec<Alarm>,
}

/// An active alarm.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Alarm {
    /// The member that it is about; zero where etcd names none.
    #[serde(rename = "memberID")]
    pub member_id: Id,
    /// `NOSPACE` or `CORRUPT`.
    pub alarm: String,
}

/// `AuthenticateResponse`. No `Debug`: the token is a secret.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub struct Authenticated {
    /// What later requests to this endpoint carry.
    pub token: String,
}

/// `GET /version`.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
pub struct Version {
    /// The version of the member's binary.
    pub etcdserver: String,
}

/// One message of the snapshot stream: a result or an error.
#[derive(serde::Deserialize)]
pub struct SnapshotMessage<'a> {
    /// A piece of the snapshot.
    #[serde(default, borrow)]
    pub result: Option<SnapshotResponse<'a>>,
    /// The end of the stream by a failure.
    #[serde(default, borrow)]
    pub error: Option<StreamError<'a>>,
}

/// `SnapshotResponse`. Its `header` is never filled by any server.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub struct SnapshotResponse<'a> {
    /// Bytes of the database still to come after this message.
    pub remaining_bytes: U64,
    /// Base64 of the bytes.
    #[serde(borrow)]
    pub blob: Cow<'a, str>,
    /// The storage version, 3.6 and later.
    #[serde(borrow)]
    pub version: Cow<'a, str>,
}

/// An error in a stream: `grpc_code` is the older gateway's name of `code`.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub struct StreamError<'a> {
    /// The gRPC status code.
    #[serde(alias = "grpc_code")]
    pub code: u32,
    /// etcd's words.
    #[serde(borrow)]
    pub message: Cow<'a, str>,
}

/// An unsigned 64-bit number, written as a JSON string or number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct U64(pub u64);

/// An id, shown as etcd's own tools show ids: in hexadecimal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(pub u64);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl serde::Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for U64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = u64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an unsigned 64-bit number, bare or as a string")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<u64, E> {
                Ok(value)
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<u64, E> {
                value.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(value), &self))
            }
        }
        deserializer.deserialize_any(Number).map(U64)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        U64::deserialize(deserializer).map(|U64(id)| Id(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_as_strings_and_bare() {
        for text in [r#"{"leader":"18446744073709551615"}"#, r#"{"leader":18446744073709551615}"#] {
            let status: Status = serde_json::from_str(text).expect(text);
            assert_eq!(status.leader.to_string(), "ffffffffffffffff");
        }
        for text in
            [r#"{"leader":"-1"}"#, r#"{"leader":-1}"#, r#"{"leader":"x"}"#, r#"{"leader":1.5}"#]
        {
            assert!(serde_json::from_str::<Status>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn left_out_fields_are_zero_and_unknown_ones_pass() {
        let status: Status =
            serde_json::from_str(r#"{"header":{"member_id":"2"}, "downgradeInfo":{}, "x":[1]}"#)
                .expect("a status");
        assert_eq!(status.header.member_id, Id(2));
        assert_eq!(status.leader, Id(0));
        assert!(!status.is_learner);
    }
}
