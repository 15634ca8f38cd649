//! etcd's responses (`api/etcdserverpb/rpc.proto`), as protobuf and as JSON.
//!
//! Both encoders that etcd's gateways ever used leave zero values out, write
//! 64-bit numbers as strings and 32-bit ones bare; a reader takes either.

use bytes::Bytes;
use serde::de::{self, Deserializer, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// `ResponseHeader`: the member that responded.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Header {
    /// The cluster's id.
    #[prost(uint64, tag = "1")]
    #[serde(deserialize_with = "number")]
    pub cluster_id: u64,
    /// The id of the member that responded.
    #[prost(uint64, tag = "2")]
    #[serde(deserialize_with = "number")]
    pub member_id: u64,
    /// The revision that this member has applied; not linearizable.
    #[prost(int64, tag = "3")]
    #[serde(deserialize_with = "number")]
    pub revision: i64,
    /// The raft term.
    #[prost(uint64, tag = "4")]
    #[serde(deserialize_with = "number")]
    pub raft_term: u64,
}

/// `StatusResponse`: what a member reports about itself.
#[derive(Clone, PartialEq, Eq, prost::Message, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    /// The member that responded.
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    /// The version of the member's binary.
    #[prost(string, tag = "2")]
    pub version: String,
    /// The size of the member's database file, in bytes.
    #[prost(int64, tag = "3")]
    #[serde(rename = "dbSize", deserialize_with = "number")]
    pub db_size: i64,
    /// The leader's id; zero if this member knows none.
    #[prost(uint64, tag = "4")]
    #[serde(deserialize_with = "number")]
    pub leader: u64,
    /// The last index that the member has applied.
    #[prost(uint64, tag = "7")]
    #[serde(rename = "raftAppliedIndex", deserialize_with = "number")]
    pub raft_applied_index: u64,
    /// Errors, as texts: every member lists every alarm of the cluster here
    /// (`server/etcdserver/api/v3rpc/maintenance.go`); see [`crate::etcd::alarm`].
    #[prost(string, repeated, tag = "8")]
    pub errors: Vec<String>,
    /// Whether it is a learner.
    #[prost(bool, tag = "10")]
    #[serde(rename = "isLearner")]
    pub is_learner: bool,
    /// The version of the storage schema, 3.6 and later.
    #[prost(string, tag = "11")]
    #[serde(rename = "storageVersion")]
    pub storage_version: String,
    /// The most that the database may take, in bytes, 3.6 and later.
    #[prost(int64, tag = "12")]
    #[serde(rename = "dbSizeQuota", deserialize_with = "number")]
    pub db_size_quota: i64,
}

impl Status {
    /// The member that responded; all zero if the response does not name it.
    pub(crate) fn header(&self) -> Header {
        self.header.unwrap_or_default()
    }
}

/// A response to a unary call.
pub trait UnaryResponse: prost::Message + de::DeserializeOwned + Default {
    /// Bounds what is accepted from a server: a text that no etcd sends is treated as
    /// absent, and a response that is too long to be kept is refused with the reason.
    fn bounded(self) -> Result<Self, String> {
        Ok(self)
    }
}

/// The most members of a cluster that are accepted; etcd's own advice is seven.
pub(crate) const MEMBERS: usize = 64;

/// The most URLs of one kind that a member may have.
const URLS: usize = 16;

/// The longest name or URL that is accepted, in bytes.
const NAME: usize = 256;

/// The most errors that are accepted: twice what the members can have in alarms.
const ERRORS: usize = 2 * MEMBERS;

/// The longest token, in bytes: a JWT has some hundred.
const TOKEN: usize = 16 << 10;

/// A version, or an empty text if it is not one.
pub(crate) fn version_or_none(text: &str) -> String {
    let fits =
        text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || ".+-_".contains(c));
    if fits { text.into() } else { String::new() }
}

impl UnaryResponse for HashKv {}

impl UnaryResponse for Status {
    fn bounded(mut self) -> Result<Self, String> {
        self.version = version_or_none(&self.version);
        self.storage_version = version_or_none(&self.storage_version);
        // A text that mentions corruption is always kept, those of this member before
        // those of others.
        let id = self.header().member_id;
        self.errors.sort_by_cached_key(|error| {
            if mentions_corruption(error) { u8::from(!names_member(error, id)) } else { 2 }
        });
        let left_out = self.errors.len().saturating_sub(ERRORS);
        self.errors.truncate(ERRORS);
        for error in &mut self.errors {
            *error = error.trim().chars().take(NAME).collect();
        }
        if left_out > 0 {
            self.errors.push(format!("and {left_out} more"));
        }
        Ok(self)
    }
}

/// Whether a text mentions corruption; such a text must not get lost.
pub(crate) fn mentions_corruption(text: &str) -> bool {
    text.to_ascii_uppercase().contains("CORRUPT")
}

/// Whether a text contains the id of this member.
pub(crate) fn names_member(text: &str, member_id: u64) -> bool {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    member_id != 0
        && words.filter(|word| !word.is_empty()).any(|word| {
            word == member_id.to_string()
                || u64::from_str_radix(word.trim_start_matches("0x"), 16) == Ok(member_id)
        })
}

impl UnaryResponse for MemberList {
    fn bounded(self) -> Result<Self, String> {
        if self.members.len() > MEMBERS {
            return Err(format!(
                "it lists {} members, more than the supported {MEMBERS}",
                self.members.len()
            ));
        }
        for Member { id, name, peer_urls, client_urls, .. } in &self.members {
            let id = Id(*id);
            if peer_urls.len() > URLS || client_urls.len() > URLS {
                return Err(format!("member {id} has more than {URLS} URLs"));
            }
            if [name].into_iter().chain(peer_urls).chain(client_urls).any(|t| t.len() > NAME) {
                return Err(format!("member {id} has a name or a URL of more than {NAME} bytes"));
            }
        }
        Ok(self)
    }
}

impl UnaryResponse for Authenticated {
    fn bounded(self) -> Result<Self, String> {
        let fits = (1..=TOKEN).contains(&self.token.len())
            && self.token.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(self) } else { Err("the token is not one that etcd issues".into()) }
    }
}

/// `MemberListResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message, serde::Deserialize)]
#[serde(default)]
pub(crate) struct MemberList {
    /// The member that responded.
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    /// All members, including those that never started.
    #[prost(message, repeated, tag = "2")]
    pub members: Vec<Member>,
}

/// One member of the cluster.
#[derive(Clone, PartialEq, Eq, prost::Message, serde::Deserialize)]
#[serde(default)]
pub struct Member {
    /// Its id.
    #[prost(uint64, tag = "1")]
    #[serde(rename = "ID", deserialize_with = "number")]
    pub id: u64,
    /// Its name; empty if it never started.
    #[prost(string, tag = "2")]
    pub name: String,
    /// The URLs at which its peers reach it.
    #[prost(string, repeated, tag = "3")]
    #[serde(rename = "peerURLs")]
    pub peer_urls: Vec<String>,
    /// The URLs at which clients reach it.
    #[prost(string, repeated, tag = "4")]
    #[serde(rename = "clientURLs")]
    pub client_urls: Vec<String>,
    /// Whether it is a learner.
    #[prost(bool, tag = "5")]
    #[serde(rename = "isLearner")]
    pub is_learner: bool,
}

/// `AlarmMember`: an active alarm, as the database keeps it.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct AlarmMember {
    /// The member that it is about; zero for the whole cluster.
    #[prost(uint64, tag = "1")]
    pub member_id: u64,
    /// What is wrong.
    #[prost(int32, tag = "2")]
    pub alarm: i32,
}

/// `mvccpb.KeyValue`: a key at a revision, as the database keeps it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct KeyValue {
    /// Its name.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// The revision that created it.
    #[prost(int64, tag = "2")]
    pub create_revision: i64,
    /// The revision that wrote it last.
    #[prost(int64, tag = "3")]
    pub mod_revision: i64,
    /// How many times it was written since it was created.
    #[prost(int64, tag = "4")]
    pub version: i64,
    /// Its value.
    #[prost(bytes = "bytes", tag = "5")]
    pub value: Bytes,
    /// The lease that it is attached to, or zero.
    #[prost(int64, tag = "6")]
    pub lease: i64,
}

/// `HashKVRequest`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message, serde::Serialize)]
pub(crate) struct HashKvRequest {
    /// The last revision that is hashed.
    #[prost(int64, tag = "1")]
    pub revision: i64,
}

/// `HashKVResponse`: a member's hash of its keys.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message, serde::Deserialize)]
#[serde(default)]
pub(crate) struct HashKv {
    /// The member that responded.
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    /// The hash.
    #[prost(uint32, tag = "2")]
    #[serde(deserialize_with = "number")]
    pub hash: u32,
    /// The revision that the member is compacted at; -1 if it never was.
    #[prost(int64, tag = "3")]
    #[serde(deserialize_with = "number")]
    pub compact_revision: i64,
    /// The last revision that it hashed, etcd 3.6 and later.
    #[prost(int64, tag = "4")]
    #[serde(deserialize_with = "number")]
    pub hash_revision: i64,
}

/// `AuthenticateRequest`.
#[derive(Clone, PartialEq, Eq, prost::Message, serde::Serialize)]
#[prost(skip_debug)]
pub(crate) struct AuthenticateRequest {
    /// The user's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The user's password.
    #[prost(string, tag = "2")]
    pub password: String,
}

/// `AuthenticateResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message, serde::Deserialize)]
#[prost(skip_debug)]
#[serde(default)]
pub(crate) struct Authenticated {
    /// The token for later requests to this endpoint.
    #[prost(string, tag = "2")]
    pub token: String,
}

/// Implements `Debug` without output for secrets: the protobuf library requires the trait.
macro_rules! silent {
    ($($message:ident),*) => {$(
        impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($message))
            }
        }
    )*};
}
silent!(AuthenticateRequest, Authenticated);

/// `GET /version`.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Version {
    /// The version of the member's binary.
    pub etcdserver: String,
}

/// `SnapshotResponse`. Its `header` is never filled by any server.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct SnapshotResponse {
    /// Bytes of the database still to come after this message.
    #[prost(uint64, tag = "2")]
    pub remaining_bytes: u64,
    /// The bytes.
    #[prost(bytes = "bytes", tag = "3")]
    pub blob: bytes::Bytes,
    /// The storage version, 3.6 and later.
    #[prost(string, tag = "4")]
    pub version: String,
}

/// One message of the JSON snapshot stream: a result or an error.
#[derive(serde::Deserialize)]
pub(crate) struct JsonSnapshotMessage<'a> {
    /// A piece of the snapshot.
    #[serde(default, borrow)]
    pub result: Option<JsonSnapshotResponse<'a>>,
    /// The failure that ended the stream.
    #[serde(default, borrow)]
    pub error: Option<StreamError<'a>>,
}

/// [`SnapshotResponse`] in JSON, its blob still in base64.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct JsonSnapshotResponse<'a> {
    /// Bytes of the database still to come after this message.
    #[serde(deserialize_with = "number")]
    pub remaining_bytes: u64,
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
pub(crate) struct StreamError<'a> {
    /// The gRPC status code.
    #[serde(alias = "grpc_code")]
    pub code: u32,
    /// etcd's words.
    #[serde(borrow)]
    pub message: Cow<'a, str>,
}

/// An id, shown as etcd's own tools show ids: in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id(pub u64);

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

/// Reads a 64-bit number, written as a JSON string or number.
fn number<'de, N, D>(deserializer: D) -> Result<N, D::Error>
where
    N: FromStr + TryFrom<u64> + TryFrom<i64>,
    D: Deserializer<'de>,
{
    struct Number<N>(std::marker::PhantomData<N>);

    impl<N: FromStr + TryFrom<u64> + TryFrom<i64>> Visitor<'_> for Number<N> {
        type Value = N;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a 64-bit number, bare or as a string")
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<N, E> {
            N::try_from(value).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self))
        }

        fn visit_i64<E: de::Error>(self, value: i64) -> Result<N, E> {
            N::try_from(value).map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self))
        }

        fn visit_str<E: de::Error>(self, value: &str) -> Result<N, E> {
            value.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(value), &self))
        }
    }
    deserializer.deserialize_any(Number(std::marker::PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_strings_and_bare() {
        for text in [r#"{"leader":"18446744073709551615"}"#, r#"{"leader":18446744073709551615}"#] {
            let status: Status = serde_json::from_str(text).expect(text);
            assert_eq!(Id(status.leader).to_string(), "ffffffffffffffff");
        }
        for text in
            [r#"{"leader":"-1"}"#, r#"{"leader":-1}"#, r#"{"leader":"x"}"#, r#"{"leader":1.5}"#]
        {
            assert!(serde_json::from_str::<Status>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn missing_fields_are_zero_and_unknown_ones_are_ignored() {
        let status: Status =
            serde_json::from_str(r#"{"header":{"member_id":"2"}, "downgradeInfo":{}, "x":[1]}"#)
                .expect("a status");
        assert_eq!(status.header().member_id, 2);
        assert_eq!(status.leader, 0);
        assert!(!status.is_learner);
    }

    #[test]
    fn what_is_accepted_from_a_server_is_bounded() {
        let text = |length| "x".repeat(length);
        let status = |version: &str| Status { version: version.into(), ..Status::default() };
        for version in ["3.6.14", "3.8.0-alpha.0", "3.5.0+git_1", &text(64)] {
            assert_eq!(status(version).bounded().expect("a status").version, version);
        }
        for version in ["3.6\u{1b}[31m", "3.6 ", "`3.6`", &text(65)] {
            assert_eq!(status(version).bounded().expect("a status").version, "");
        }
        let mut errors = vec![text(1 << 10); 1000];
        errors.push("alarm:corrupt ".into());
        let errors = Status { errors, ..Status::default() }.bounded().expect("a status").errors;
        assert_eq!((errors.len(), errors[0].as_str()), (ERRORS + 1, "alarm:corrupt"));
        assert_eq!(errors[ERRORS], "and 873 more", "none is left out silently");
        assert_eq!(errors[1].len(), NAME);

        let header = Some(Header { member_id: 1000, ..Header::default() });
        let alarm = |id| format!("{}memberID:{id} alarm:CORRUPT ", " ".repeat(NAME));
        let errors = (1..=1000).map(alarm).collect();
        let errors =
            Status { header, errors, ..Status::default() }.bounded().expect("a status").errors;
        assert_eq!((errors.len(), errors[0].as_str()), (ERRORS + 1, "memberID:1000 alarm:CORRUPT"));

        let member = |name: String, urls: usize| Member {
            name,
            peer_urls: vec!["http://a:2380".into(); urls],
            ..Member::default()
        };
        let list = |members| MemberList { members, ..MemberList::default() }.bounded();
        assert!(list(vec![member(text(NAME), URLS); MEMBERS]).is_ok());
        for (members, words) in [
            (vec![Member::default(); MEMBERS + 1], "65 members"),
            (vec![member(text(NAME + 1), 1)], "name or a URL"),
            (vec![member(text(1), URLS + 1)], "16 URLs"),
            (
                vec![Member { client_urls: vec![text(NAME + 1)], ..Member::default() }],
                "name or a URL",
            ),
        ] {
            assert!(list(members).expect_err(words).contains(words));
        }

        let token = |token: &str| Authenticated { token: token.into() }.bounded().is_ok();
        assert!(token("riMzZqEufHKSkqKr.14") && token(&text(TOKEN)));
        assert!(!token("") && !token("a b") && !token("a\n") && !token(&text(TOKEN + 1)));
    }

    #[test]
    fn a_password_and_a_token_have_no_debug_output() {
        let request = AuthenticateRequest { name: "root".into(), password: "hunter2".into() };
        assert!(!format!("{request:?}").contains("hunter2"));
        let message = Authenticated { token: "hunter2".into() };
        assert!(!format!("{message:?}").contains("hunter2"));
    }
}
