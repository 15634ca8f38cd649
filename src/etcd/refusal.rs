//! What etcd's refusals mean, and what to do about them.
//!
//! The HTTP status cannot be relied on: up to 3.5 etcd answers 500 to a missing
//! login and to a missing permission alike. etcd's own words are the authority
//! (`api/v3rpc/rpctypes/error.go`, and `server/auth/store.go` where 3.4 and 3.5
//! let the raw error through).

use crate::error::{Error, quote};
use plakar_connector::Kind;

/// A refusal by etcd, or by whatever answered in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status; 200 for an error inside a stream.
    pub status: u16,
    /// The gRPC status code, where the answer had one.
    pub code: Option<u32>,
    /// The words of the answer.
    pub message: String,
}

/// gRPC's `DEADLINE_EXCEEDED`.
const DEADLINE_EXCEEDED: u32 = 4;

impl Refusal {
    /// Whether the request would have needed a token, or a better one.
    pub fn wants_login(&self) -> bool {
        self.says("user name is empty") || self.says("invalid auth token")
    }

    /// Whether a login was refused because the cluster has no authentication.
    pub fn auth_is_off(&self) -> bool {
        self.says("authentication is not enabled")
    }

    /// Whether only the permission is missing, whoever asks.
    pub fn lacks_permission(&self) -> bool {
        self.says("permission denied")
    }

    fn says(&self, words: &str) -> bool {
        self.code.is_some() && self.message.contains(words)
    }

    /// The error that this is before any byte of an answer came.
    pub fn into_error(self) -> Error {
        let text = quote(&self.message);
        if let Some(error) = self.known() {
            return error;
        }
        match (self.status, self.code) {
            (300..=399, _) => {
                Error::new(Kind::Unsupported, format!("the answer is a redirect ({})", self.status))
                    .remedy("redirects are never followed: name the member itself")
            }
            (404, None) if self.message.trim() == "404 page not found" => {
                Error::new(Kind::Unsupported, "there is no JSON gateway at this address").remedy(
                    "check that this is the client port, not the one for metrics, and that etcd \
                     was not started with `--enable-grpc-gateway=false`",
                )
            }
            (404, _) => Error::new(Kind::Unsupported, "there is no etcd v3 API at this address")
                .remedy("check that this is the client port of etcd 3.4 or later"),
            (421, _) => Error::new(
                Kind::PermissionDenied,
                "this member does not serve this host name (421)",
            )
            .remedy("add the name to its `--host-whitelist`, or connect by its address"),
            // The gateway's own words, not etcd's: it is a client of its member, and
            // shows the server certificate there as its own.
            (503, Some(14)) if !self.message.contains("etcdserver:") => Error::new(
                Kind::Unreachable,
                format!("this member's gateway cannot reach its own gRPC port: {text}"),
            )
            .remedy(
                "use `transport=grpc`; or, where the server certificate lacks the `clientAuth` \
                 extended key usage, issue it with that, or start etcd with `--client-cert-file` \
                 and `--client-key-file`",
            ),
            (503, _) | (_, Some(14)) => {
                Error::new(Kind::Unreachable, format!("this member is not available: {text}"))
                    .remedy("look into its log")
            }
            (status, Some(_)) => {
                Error::new(Kind::Other, format!("etcd answered with status {status}: {text}"))
                    .remedy("look into that member's log")
            }
            (status, None) => Error::new(
                Kind::Other,
                format!("the answer is not etcd's (status {status}): {text}"),
            )
            .remedy("check that no proxy stands between, and that this is etcd's client port"),
        }
    }

    /// The error that this is in the middle of a stream.
    pub fn into_stream_error(self) -> Error {
        self.known().unwrap_or_else(|| {
            Error::new(
                Kind::Interrupted,
                format!("etcd ended the stream: {}", quote(&self.message)),
            )
            .remedy("look into that member's log, and run the backup again")
        })
    }

    /// The refusals whose cause and remedy are known.
    fn known(&self) -> Option<Error> {
        let kind_what_remedy = if self.says("user name is empty") {
            (
                Kind::Unauthenticated,
                "this cluster wants a login",
                "give `username` and `password_file`; the user needs the role `root`",
            )
        } else if self.says("authentication failed") {
            (
                Kind::Unauthenticated,
                "etcd knows no such user, or the password is wrong",
                "check `username` and `password_file`",
            )
        } else if self.says("invalid auth token") || self.says("revision of auth store is old") {
            (
                Kind::Unauthenticated,
                "etcd no longer takes the token that it issued",
                "run the backup again; if it stays so, check that `--auth-token` and the clocks of all members agree",
            )
        } else if self.lacks_permission() {
            (
                Kind::PermissionDenied,
                "the user may not take snapshots",
                "etcd allows it to the role `root` alone: `etcdctl user grant-role USER root`",
            )
        } else if self.says("not supported for learner") {
            (
                Kind::Unsupported,
                "this member is a learner and does not serve this call",
                "name a voting member",
            )
        } else if self.says("no leader") {
            (
                Kind::Unreachable,
                "the cluster has no leader",
                "bring a majority of the members back, or back up without a login",
            )
        } else if self.message.contains("CommonName of client sending a request against gateway") {
            (
                Kind::Unsupported,
                "with authentication on, etcd's JSON gateway refuses client certificates that have a CommonName",
                "use a client certificate without a CommonName together with `username` and `password_file`",
            )
        } else if self.code == Some(DEADLINE_EXCEEDED)
            || self.message.contains("RST_STREAM with error code: CANCEL")
        {
            (
                Kind::TimedOut,
                "the time for the whole run is used up",
                "raise `max_duration`, and look at which side was slow",
            )
        } else {
            return None;
        };
        let (kind, what, remedy) = kind_what_remedy;
        Some(Error::new(kind, what).remedy(remedy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, code: impl Into<Option<u32>>, message: &str) -> Refusal {
        Refusal { status, code: code.into(), message: message.into() }
    }

    #[test]
    fn a_missing_login_is_told_from_a_missing_permission_in_every_version() {
        for (status, code, prefix) in
            [(500, 2, "auth"), (400, 3, "etcdserver"), (401, 16, "etcdserver")]
        {
            let missing = refusal(status, code, &format!("{prefix}: user name is empty"));
            assert!(missing.wants_login());
            assert_eq!(missing.into_error().kind, Kind::Unauthenticated);
        }
        for (status, code, prefix) in [(500, 2, "auth"), (403, 7, "etcdserver")] {
            let error = refusal(status, code, &format!("{prefix}: permission denied")).into_error();
            assert_eq!(error.kind, Kind::PermissionDenied);
        }
    }

    #[test]
    fn what_is_not_etcds_answer_is_said_to_be_none() {
        for (status, message, kind, words) in [
            (404, "404 page not found\n", Kind::Unsupported, "no JSON gateway"),
            (404, "Not Found", Kind::Unsupported, "no etcd v3 API"),
            (421, "", Kind::PermissionDenied, "--host-whitelist"),
            (302, "", Kind::Unsupported, "redirect"),
            (502, "<html>bad gateway</html>", Kind::Other, "proxy"),
            (503, "upstream down", Kind::Unreachable, "not available"),
        ] {
            let error = refusal(status, None, message).into_error();
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn a_page_that_quotes_etcds_words_is_not_taken_for_etcd() {
        assert!(!refusal(500, None, "<html>user name is empty</html>").wants_login());
    }

    #[test]
    fn a_deadline_is_a_timeout_and_another_end_an_interruption() {
        let kind = |code, message| refusal(200, code, message).into_stream_error().kind;
        assert_eq!(kind(4, "context deadline exceeded"), Kind::TimedOut);
        assert_eq!(
            kind(4, "stream terminated by RST_STREAM with error code: CANCEL"),
            Kind::TimedOut
        );
        assert_eq!(kind(14, "closing transport due to: connection error"), Kind::Interrupted);
        assert_eq!(
            kind(13, "server closed the stream without sending trailers"),
            Kind::Interrupted
        );
        assert_eq!(kind(1, "grpc: the client connection is closing"), Kind::Interrupted);
    }
}
