//! What refusals mean, and what to do about them.
//!
//! The HTTP status cannot be relied on: up to 3.5 etcd responds with 500 to a missing
//! login and to a missing permission alike. etcd's error texts decide
//! (`api/v3rpc/rpctypes/error.go`, and `server/auth/store.go` where 3.4 and 3.5
//! let the raw error through). A response without a gRPC code is not etcd's: it
//! is a proxy's, and is reported as a proxy's.

use crate::error::{Error, quote};
use plakar_connector::{ErrorKind, limits};
use std::time::Duration;

/// What to do about a stream that ended after a member had begun it.
pub(crate) const LOOK: &str = "check that member's log, and the log and time limits of any proxy \
    in between; then run the backup again";

/// A refusal by etcd, or by whatever responded in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status; 200 for an error inside a stream.
    pub status: u16,
    /// The gRPC status code, if the response had one.
    pub code: Option<u32>,
    /// The text of the response.
    pub message: String,
}

/// The codes of gRPC (`doc/statuscodes.md` of the gRPC project).
const CANCELLED: u32 = 1;
const DEADLINE_EXCEEDED: u32 = 4;
const NOT_FOUND: u32 = 5;
const PERMISSION_DENIED: u32 = 7;
const UNIMPLEMENTED: u32 = 12;
const UNAVAILABLE: u32 = 14;
const UNAUTHENTICATED: u32 = 16;

/// The names of gRPC's codes, each at the index of its number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl Refusal {
    /// Whether a login could help a request that was refused, with a token or
    /// without. A client certificate is a login too, and may be the wrong one.
    pub fn login_could_help(&self, had_token: bool) -> bool {
        let has_no_right = self.lacks_permission() || self.knows_no_user();
        self.wants_login() || (has_no_right && !had_token)
    }

    /// Whether the request needs a token, or a newer one.
    fn wants_login(&self) -> bool {
        self.says("user name is empty") || self.refuses_token()
    }

    /// Whether the token is no longer accepted.
    fn refuses_token(&self) -> bool {
        ["invalid auth token", "revision of auth store is old", "revision in header is old"]
            .iter()
            .any(|words| self.says(words))
    }

    /// Whether a login was refused because the cluster has no authentication.
    pub fn auth_is_off(&self) -> bool {
        self.says("authentication is not enabled")
    }

    /// Whether the login is valid but lacks the permission.
    pub fn lacks_permission(&self) -> bool {
        self.says("permission denied")
    }

    /// Whether the member has not reached the requested revision.
    pub fn is_ahead(&self) -> bool {
        self.says("mvcc: required revision is a future revision")
    }

    /// Whether the member no longer holds the requested revision.
    pub fn is_compacted(&self) -> bool {
        self.says("mvcc: required revision has been compacted")
    }

    /// Whether the server that responds does not know the call.
    pub fn is_unknown_call(&self) -> bool {
        self.code == Some(UNIMPLEMENTED) || self.status == 404
    }

    /// Whether the client is not a user of the cluster.
    fn knows_no_user(&self) -> bool {
        self.says("user name not found") || self.says("user not found")
    }

    /// Whether this is etcd's own response, and not a proxy's.
    fn is_etcds(&self) -> bool {
        self.etcds_words().is_some()
    }

    /// Whether etcd's message begins with `words`: a text that has them elsewhere was
    /// written by another program.
    fn says(&self, words: &str) -> bool {
        self.etcds_words().is_some_and(|text| text.starts_with(words))
    }

    /// etcd's message, without the name of the component that precedes it.
    fn etcds_words(&self) -> Option<&str> {
        self.code?;
        let text = self.message.trim();
        // The form in which a gRPC client, such as a proxy, passes it on.
        let text = text.rsplit_once(" desc = ").map_or(text, |(_, text)| text);
        text.strip_prefix("etcdserver: ").or_else(|| text.strip_prefix("auth: "))
    }

    /// Converts it to an error, if it came before any byte of a response.
    pub fn into_error(self) -> Error {
        if let Some(error) = self.known() {
            return error;
        }
        match self.code {
            Some(code) => self.by_code(code),
            None => self.by_status(),
        }
    }

    /// Converts it to an error, if it came in the middle of a stream, `after` its request.
    pub fn into_stream_error(self, after: Duration) -> Error {
        if let Some(error) = self.known() {
            return error;
        }
        let text = quote(&self.message);
        let what = if self.is_a_time_limit() {
            format!(
                "a time limit of etcd or of a proxy ended the stream after {}: {text}",
                limits::show(after)
            )
        } else {
            format!("etcd or a proxy ended the stream ({}): {text}", self.name())
        };
        Error::new(ErrorKind::Interrupted, what).remedy(LOOK)
    }

    /// Whether a time limit ended the stream, in one of the forms in which etcd's
    /// gateways and proxies report it.
    fn is_a_time_limit(&self) -> bool {
        self.code == Some(DEADLINE_EXCEEDED)
            || self.message.contains("RST_STREAM with error code: CANCEL")
    }

    /// The name of the code, as gRPC's documents write it.
    fn name(&self) -> String {
        match self.code {
            Some(code) => match CODES.get(code as usize) {
                Some(name) => format!("gRPC status {name}"),
                None => format!("gRPC status {code}"),
            },
            None => format!("status {}", self.status),
        }
    }

    /// The error of a response whose text is not known, by its gRPC code.
    fn by_code(&self, code: u32) -> Error {
        let text = quote(&self.message);
        let name = self.name();
        match code {
            DEADLINE_EXCEEDED | CANCELLED => Error::new(
                ErrorKind::TimedOut,
                format!("a time limit of etcd or of a proxy ended the request: {text}"),
            )
            .remedy("check that member's log and load, and any proxy in between"),
            PERMISSION_DENIED => Error::new(
                ErrorKind::PermissionDenied,
                format!("the request was not allowed ({name}): {text}"),
            )
            .remedy(
                "this text is not etcd's: find the proxy in between, and connect to the \
                member itself",
            ),
            UNAUTHENTICATED => Error::new(
                ErrorKind::Unauthenticated,
                format!("the request lacks a login ({name}): {text}"),
            )
            .remedy(
                "this text is not etcd's: find the proxy in between, and connect to the \
                member itself",
            ),
            // gateway v2 responds like this at a path that it does not know.
            NOT_FOUND | UNIMPLEMENTED => Error::new(
                ErrorKind::Unsupported,
                format!("there is no etcd v3 API at this address ({name}): {text}"),
            )
            .remedy(
                "check that this is the client port of etcd 3.4 or later, and not a \
                replacement for etcd",
            ),
            // The gateway's own text, not etcd's: it is a client of its member, and
            // presents the server certificate there as its own.
            UNAVAILABLE if self.status == 503 && !self.is_etcds() => Error::new(
                ErrorKind::Unreachable,
                format!("this member's gateway cannot reach its own gRPC port: {text}"),
            )
            .remedy(
                "use `transport=grpc`; or, if the server certificate lacks the extended key \
                    usage `clientAuth`, add it, or start etcd with `--client-cert-file` and \
                    `--client-key-file`",
            ),
            UNAVAILABLE => {
                Error::new(ErrorKind::Unreachable, format!("this member is not available: {text}"))
                    .remedy("check its log, and any proxy in between")
            }
            _ => Error::new(ErrorKind::Other, format!("the request was refused ({name}): {text}"))
                .remedy("check that member's log, and any proxy in between"),
        }
    }

    /// The error of a response that is not etcd's, by its HTTP status, as gRPC reads such
    /// responses (`doc/http-grpc-status-mapping.md` of the gRPC project).
    fn by_status(&self) -> Error {
        let status = self.status;
        let text = match self.message.trim() {
            "" => String::new(),
            message => format!(": {}", quote(message)),
        };
        match status {
            300..=399 => {
                Error::new(ErrorKind::Unsupported, format!("the response is a redirect ({status})"))
                    .remedy("redirects are not followed: use the member's own address")
            }
            400 if self.message.contains(COMMON_NAME_AT_GATEWAY) => Error::new(
                ErrorKind::Unsupported,
                "when authentication is enabled, etcd's JSON gateway rejects client certificates \
                    that have a CommonName",
            )
            .remedy(
                "use `transport=grpc`, or a client certificate without a CommonName together with \
                 `username` and `password_file`",
            ),
            401 => Error::new(
                ErrorKind::Unauthenticated,
                format!("a proxy in front of etcd requires a login ({status}){text}"),
            )
            .remedy("connect to the member itself"),
            403 => Error::new(
                ErrorKind::PermissionDenied,
                format!("a proxy in front of etcd does not allow the request ({status}){text}"),
            )
            .remedy("connect to the member itself"),
            404 if self.message.trim() == "404 page not found" => Error::new(
                ErrorKind::Unsupported,
                "there is no JSON gateway at this address",
            )
            .remedy(
                "check that this is the client port, not the one for metrics or for peers, and \
                     that etcd was not started with `--enable-grpc-gateway=false`",
            ),
            404 => Error::new(ErrorKind::Unsupported, "there is no etcd v3 API at this address")
                .remedy("check that this is the client port of etcd 3.4 or later"),
            421 => Error::new(
                ErrorKind::PermissionDenied,
                "this member does not serve this host name or address (421)",
            )
            .remedy("use a name or an address from its `--host-whitelist`, or `transport=grpc`"),
            408 | 504 => Error::new(
                ErrorKind::TimedOut,
                format!("a proxy reports that etcd did not respond in time ({status}){text}"),
            )
            .remedy("check that member's log and load, or connect to the member itself"),
            429 => Error::new(
                ErrorKind::Unreachable,
                format!("a proxy accepts no more requests at this time ({status}){text}"),
            )
            .remedy("raise the proxy's limit, or connect to the member itself"),
            502 | 503 => Error::new(
                ErrorKind::Unreachable,
                format!("a proxy reports that it cannot reach etcd ({status}){text}"),
            )
            .remedy("check that etcd is running behind it, or connect to the member itself"),
            _ => Error::new(
                ErrorKind::Other,
                format!("the response is not etcd's (status {status}){text}"),
            )
            .remedy("check that this is etcd's client port, without a proxy in between"),
        }
    }

    /// The error of a refusal whose cause and remedy are known from its text.
    fn known(&self) -> Option<Error> {
        let cluster_wide = |kind, what: &str, remedy: &str| {
            Some(Error::new(kind, what).remedy(remedy).of_all_members())
        };
        let of_this_member =
            |kind, what: &str, remedy: &str| Some(Error::new(kind, what).remedy(remedy));
        if self.says("user name is empty") {
            cluster_wide(
                ErrorKind::Unauthenticated,
                "this cluster requires a login",
                "set `username` and `password_file`; the user needs the role `root`",
            )
        } else if self.says("authentication failed") {
            cluster_wide(
                ErrorKind::Unauthenticated,
                "the user does not exist in etcd, or the password is wrong",
                "check `username` and the password, or the file of `password_file`",
            )
        } else if self.knows_no_user() {
            cluster_wide(
                ErrorKind::Unauthenticated,
                "the login is not a user of this cluster; without `username`, the login is the \
                    CommonName of the client certificate",
                "create that user with the role `root`, or set `username` and `password_file`",
            )
        } else if self.lacks_permission() {
            cluster_wide(
                ErrorKind::PermissionDenied,
                "the user may not take snapshots",
                "etcd allows it only to the role `root`: `etcdctl user grant-role USER root`",
            )
        } else if self.refuses_token() {
            // A member that lags, was restarted or has a wrong clock: others may accept tokens.
            of_this_member(
                ErrorKind::Unauthenticated,
                "this member rejects the token that it issued",
                "run the backup again; if the error persists, check that `--auth-token` and the \
                    clocks are the same on all members",
            )
        } else if self.says("rpc not supported for learner") {
            of_this_member(
                ErrorKind::Unsupported,
                "this member is a learner and does not serve this call",
                "use a voting member",
            )
        } else if self.says("no leader") {
            of_this_member(
                ErrorKind::Unreachable,
                "the cluster has no leader",
                "start stopped members until a majority runs, or back up without a login",
            )
        } else if self.says("request timed out") {
            of_this_member(
                ErrorKind::Unreachable,
                "the cluster did not agree in time: it has lost its majority, or is overloaded",
                "start stopped members until a majority runs, check the load of the leader, or \
                    back up without a login",
            )
        } else if self.says("corrupt cluster") {
            of_this_member(
                ErrorKind::Corrupt,
                "etcd has raised the alarm CORRUPT in this cluster",
                "compare the members' HashKV, and replace the one that differs",
            )
        } else {
            None
        }
    }
}

/// etcd's gateway sends this text in place of a response (`server/embed/serve.go`).
const COMMON_NAME_AT_GATEWAY: &str = "CommonName of client sending a request against gateway";

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, code: impl Into<Option<u32>>, message: &str) -> Refusal {
        Refusal { status, code: code.into(), message: message.into() }
    }

    #[test]
    fn a_missing_login_and_a_missing_permission_differ_in_every_version() {
        for (status, code, prefix) in
            [(500, 2, "auth"), (400, 3, "etcdserver"), (401, 16, "etcdserver")]
        {
            let missing = refusal(status, code, &format!("{prefix}: user name is empty"));
            assert!(missing.login_could_help(false) && missing.login_could_help(true));
            let error = missing.into_error();
            assert_eq!(error.kind, ErrorKind::Unauthenticated);
            assert!(error.is_of_all_members());
        }
        for (status, code, prefix) in [(500, 2, "auth"), (403, 7, "etcdserver")] {
            let denied = refusal(status, code, &format!("{prefix}: permission denied"));
            assert!(denied.login_could_help(false) && !denied.login_could_help(true));
            let error = denied.into_error();
            assert_eq!(error.kind, ErrorKind::PermissionDenied);
            assert!(error.is_of_all_members());
        }
    }

    /// Recorded from 3.4.23 and 3.5.33, and from 3.6.14 and 3.7.1, over gRPC with a
    /// client certificate whose CommonName is not a user.
    #[test]
    fn a_login_could_help_if_the_common_name_is_not_a_user() {
        for (code, message) in [(2, "auth: user not found"), (9, "etcdserver: user name not found")]
        {
            let unknown = refusal(200, code, message);
            assert!(unknown.login_could_help(false) && !unknown.login_could_help(true));
            for error in [unknown.clone().into_error(), unknown.into_stream_error(Duration::ZERO)] {
                assert_eq!(error.kind, ErrorKind::Unauthenticated);
                assert!(error.to_string().contains("CommonName"), "{error}");
            }
        }
    }

    #[test]
    fn a_refused_token_concerns_one_member() {
        for message in [
            "etcdserver: invalid auth token",
            "auth: invalid auth token",
            "etcdserver: revision of auth store is old",
            "auth: revision in header is old",
        ] {
            let refused = refusal(401, 16, message);
            assert!(refused.login_could_help(true), "{message}");
            let error = refused.into_error();
            assert_eq!(error.kind, ErrorKind::Unauthenticated);
            assert!(!error.is_of_all_members(), "{message}");
        }
    }

    #[test]
    fn every_known_refusal_has_its_kind_and_remedy() {
        for (message, kind, remedy, everywhere) in [
            (
                "etcdserver: authentication failed, invalid user ID or password",
                ErrorKind::Unauthenticated,
                "`username`",
                true,
            ),
            ("etcdserver: rpc not supported for learner", ErrorKind::Unsupported, "voting", false),
            ("etcdserver: no leader", ErrorKind::Unreachable, "majority", false),
            (
                "etcdserver: request timed out, possibly due to previous leader failure",
                ErrorKind::Unreachable,
                "load of the leader",
                false,
            ),
            ("etcdserver: request timed out", ErrorKind::Unreachable, "majority", false),
            ("etcdserver: corrupt cluster", ErrorKind::Corrupt, "HashKV", false),
        ] {
            let error = refusal(500, 14, message).into_error();
            assert_eq!(error.kind, kind, "{message}");
            assert_eq!(error.is_of_all_members(), everywhere, "{message}");
            let text = error.to_string();
            assert!(text.split_once("; ").expect("a remedy").1.contains(remedy), "{text}");
        }
        assert!(refusal(400, 9, "etcdserver: authentication is not enabled").auth_is_off());
        assert!(!refusal(400, 9, "etcdserver: role name is empty").auth_is_off());
    }

    #[test]
    fn a_response_without_a_code_is_reported_as_a_proxys() {
        for (status, message, kind, words) in [
            (302, "", ErrorKind::Unsupported, "redirect"),
            (
                400,
                "CommonName of client sending a request against gateway will be ignored and not \
                    used as expected",
                ErrorKind::Unsupported,
                "`transport=grpc`",
            ),
            (400, "Bad Request", ErrorKind::Other, "proxy"),
            (401, "<html>", ErrorKind::Unauthenticated, "proxy"),
            (403, "", ErrorKind::PermissionDenied, "proxy"),
            (404, "404 page not found\n", ErrorKind::Unsupported, "no JSON gateway"),
            (404, "Not Found", ErrorKind::Unsupported, "no etcd v3 API"),
            (408, "", ErrorKind::TimedOut, "proxy"),
            (421, "", ErrorKind::PermissionDenied, "--host-whitelist"),
            (429, "", ErrorKind::Unreachable, "accepts no more requests"),
            (500, "", ErrorKind::Other, "proxy"),
            (502, "<html>bad gateway</html>", ErrorKind::Unreachable, "`<html>bad gateway</html>`"),
            (503, "upstream down", ErrorKind::Unreachable, "proxy"),
            (504, "", ErrorKind::TimedOut, "proxy"),
        ] {
            let refusal = refusal(status, None, message);
            assert!(!refusal.is_etcds());
            let error = refusal.into_error();
            assert_eq!(error.kind, kind, "{status}: {error}");
            assert!(error.to_string().contains(words), "{error}");
            assert!(!error.is_of_all_members());
            assert!(error.to_string().contains("; "), "no remedy: {error}");
        }
    }

    #[test]
    fn an_unknown_text_with_a_code_names_the_code() {
        for (status, code, kind, words) in [
            (200, 1, ErrorKind::TimedOut, "time limit"),
            (200, 4, ErrorKind::TimedOut, "time limit"),
            (200, 7, ErrorKind::PermissionDenied, "PERMISSION_DENIED"),
            (200, 12, ErrorKind::Unsupported, "UNIMPLEMENTED"),
            (404, 5, ErrorKind::Unsupported, "no etcd v3 API"),
            (200, 13, ErrorKind::Other, "INTERNAL"),
            (200, 14, ErrorKind::Unreachable, "not available"),
            (503, 14, ErrorKind::Unreachable, "gateway cannot reach"),
            (200, 16, ErrorKind::Unauthenticated, "UNAUTHENTICATED"),
            (200, 8, ErrorKind::Other, "RESOURCE_EXHAUSTED"),
            (200, 99, ErrorKind::Other, "gRPC status 99"),
        ] {
            let error = refusal(status, code, "no\u{1b}pe").into_error();
            assert_eq!(error.kind, kind, "{code}: {error}");
            let text = error.to_string();
            assert!(text.contains(words) && text.contains("`no pe`"), "{text}");
            assert!(text.contains("; "), "no remedy: {text}");
        }
        let own = refusal(503, 14, "etcdserver: server stopped").into_error().to_string();
        assert!(own.contains("not available"), "{own}");
    }

    #[test]
    fn a_text_that_only_quotes_etcd_is_not_accepted_as_etcds() {
        for quoted in [
            refusal(500, None, "<html>etcdserver: user name is empty</html>"),
            refusal(500, 2, "<html>user name is empty</html>"),
            refusal(500, 2, "open /var/lib/etcd/member/snap/db: permission denied"),
        ] {
            assert!(!quoted.login_could_help(false) && !quoted.lacks_permission(), "{quoted:?}");
        }
        let passed_on = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
        assert!(refusal(500, 2, passed_on).lacks_permission());
    }

    #[test]
    fn the_end_of_a_stream_is_reported_with_what_may_have_ended_it() {
        let end = |code, message| {
            refusal(200, code, message).into_stream_error(Duration::from_millis(3012))
        };
        for (code, message) in [
            (4, "context deadline exceeded"),
            (4, "stream timeout"),
            (4, "stream terminated by RST_STREAM with error code: CANCEL"),
            (13, "stream terminated by RST_STREAM with error code: CANCEL"),
        ] {
            let error = end(code, message);
            assert_eq!(error.kind, ErrorKind::Interrupted);
            assert!(
                error
                    .to_string()
                    .contains("time limit of etcd or of a proxy ended the stream after 3s12ms"),
                "{error}"
            );
        }
        for (code, message) in [
            (14, "closing transport due to: connection error"),
            (13, "server closed the stream without sending trailers"),
            (1, "grpc: the client connection is closing"),
        ] {
            let error = end(code, message);
            assert_eq!(error.kind, ErrorKind::Interrupted);
            let text = error.to_string();
            assert!(text.contains(message) && text.contains("proxy"), "{text}");
            assert!(!text.contains("time limit of etcd"), "{text}");
        }
    }
}
