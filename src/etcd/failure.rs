//! The meaning of a failed exchange with a member, and what to do about it.

use super::call::Transport;
use super::refusal::LOOK;
use crate::error::{Error, Stage, plain, quote, visible};
use crate::net::{NetworkError, Timeouts};
use plakar_connector::names::NO_HTTP2;
use plakar_connector::{Authority, ErrorKind, limits};
use std::time::{Duration, Instant};

/// The error of a stream that ended within a message.
pub(super) fn cut_message() -> Error {
    Error::new(ErrorKind::Interrupted, "the stream ended in the middle of a message").remedy(LOOK)
}

impl Transport {
    /// The error to report: at this endpoint, during this stage.
    pub fn failure(
        self,
        error: NetworkError,
        endpoint: &Authority,
        stage: Stage,
        timeouts: &Timeouts,
    ) -> Error {
        self.unplaced(error, endpoint.tls, stage, timeouts).at(endpoint, stage)
    }

    fn unplaced(self, error: NetworkError, tls: bool, stage: Stage, timeouts: &Timeouts) -> Error {
        let unreachable = |what: String| Error::new(ErrorKind::Unreachable, what);
        match error {
            NetworkError::Refused => unreachable("connection refused".into())
                .remedy("check that etcd runs and listens there"),
            NetworkError::Unroutable => unreachable("there is no route to this address".into())
                .remedy("check the address, this machine's routes, and firewalls"),
            NetworkError::Dns => unreachable("the name has no address".into())
                .remedy("check its spelling and the DNS of this machine"),
            NetworkError::ConnectTimeout => {
                unreachable(format!("no connection within {}", limits::show(timeouts.connect)))
                    .remedy("check the network, or raise `connect_timeout`")
            }
            NetworkError::ReadTimeout => {
                let (limit, option) = match stage {
                    Stage::Snapshot => (timeouts.between_bytes, "stall_timeout"),
                    _ => (timeouts.first_byte, "connect_timeout"),
                };
                // Of the calls here, only a login is a proposal to the whole cluster.
                let check = match stage {
                    Stage::Login => {
                        "a login needs a quorum: check that a majority of the members runs"
                    }
                    _ => "check that member's load and disk",
                };
                Error::new(
                    ErrorKind::TimedOut,
                    format!("the server sent nothing for {}", limits::show(limit)),
                )
                .remedy(format!("{check}, or raise `{option}`"))
            }
            NetworkError::Late => Error::new(
                ErrorKind::TimedOut,
                format!(
                    "no complete response arrived within {}",
                    limits::show(timeouts.first_byte)
                ),
            )
            .remedy(
                "check for a proxy in between, check that member's load, or raise \
                    `connect_timeout`",
            ),
            NetworkError::Denied => {
                Error::new(ErrorKind::Other, "the host did not grant this endpoint")
                    .remedy("add it to the location or to `endpoints`")
            }
            NetworkError::Busy => {
                Error::new(ErrorKind::Other, "the host allows no more requests at the same time")
                    .remedy("use fewer `endpoints`")
            }
            NetworkError::Tls(text) => self.tls(&text),
            // Some hosts report an early end as a protocol error.
            NetworkError::Cut(text) | NetworkError::Protocol(text) if stage == Stage::Snapshot => {
                Error::new(
                    ErrorKind::Interrupted,
                    format!("the connection was cut ({})", plain(&text)),
                )
                .remedy(LOOK)
            }
            NetworkError::Cut(text) if tls => unreachable(format!(
                "the server closed the TLS connection ({})",
                plain(&text)
            ))
            .remedy(
                "check that this is etcd's client port, and check that member's log: it may \
                    require a client certificate, or reject the one it got",
            ),
            NetworkError::Cut(text) => {
                unreachable(format!("the connection was closed ({})", plain(&text)))
                    .remedy(self.check_the_port())
            }
            NetworkError::Protocol(text) => {
                let version = match self {
                    Transport::Grpc => "HTTP/2",
                    Transport::Gateway => "HTTP/1.1",
                };
                unreachable(format!("the server does not speak {version} ({})", plain(&text)))
                    .remedy(self.check_the_port())
            }
            NetworkError::TooLong(text) => Error::new(
                ErrorKind::Corrupt,
                format!("the response is longer than any of etcd's ({})", plain(&text)),
            )
            .remedy("check that this is etcd's client port, without a proxy in between"),
            NetworkError::Other(text) => unreachable(plain(&text))
                .remedy("check the address and the network; the host's log may contain more"),
        }
    }

    /// What to check if a server is there that does not support this transport.
    fn check_the_port(self) -> &'static str {
        match self {
            Transport::Grpc => {
                "check that this is etcd's client port, not the one of its peers; if it uses TLS, \
                    use `etcd+https://`; a server with HTTP/1.1 only needs `transport=gateway`"
            }
            Transport::Gateway => {
                "check that this is etcd's client port, not the one of its peers; if it uses TLS, \
                    use `etcd+https://`; a server with HTTP/2 only needs `transport=grpc`"
            }
        }
    }

    /// The host reports what was wrong and, after a semicolon, what to do.
    fn tls(self, text: &str) -> Error {
        let (what, remedy) = match text.split_once("; ") {
            Some((what, remedy)) => (what, remedy),
            None => (
                text,
                "check the certificates of both sides; a host without TLS options, such as `wasmtime`, \
                accepts public authorities only: use `plakar-wasm`",
            ),
        };
        let remedy = if self == Transport::Grpc && text.starts_with(NO_HTTP2) {
            "use `transport=gateway`, which does not need it"
        } else {
            remedy
        };
        Error::new(ErrorKind::Unreachable, visible(what)).remedy(visible(remedy))
    }
}

/// The error of a response that is compressed, which no request asks for.
pub(super) fn compressed(encoding: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("the response is compressed ({}), which was not requested", quote(encoding)),
    )
    .remedy("find the proxy in between, and connect to the member itself")
}

/// The error of a response that etcd does not send.
pub(super) fn garbled(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, what.into())
        .remedy("check for a proxy in between, and run the backup again")
}

/// How long a small response may take in all, as a multiple of the longest silence.
const PATIENCE: u32 = 4;

/// Fails if a small response is not complete long after `begun`: a slow
/// server may send each piece before `silence` is over, and never all of them.
pub(crate) fn in_time(what: &str, begun: Instant, silence: Duration) -> crate::error::Result<()> {
    let limit = silence.saturating_mul(PATIENCE);
    if begun.elapsed() > limit {
        Err(Error::new(
            ErrorKind::TimedOut,
            format!(
                "the {what} arrived in pieces, and was not complete after {}",
                limits::show(limit)
            ),
        )
        .remedy("check for a proxy in between, check that member's load, or raise `stall_timeout`"))
    } else {
        Ok(())
    }
}

/// Whether an error suggests that gRPC does not work although a server is there: the
/// connection ends, or what arrives is not HTTP/2, or TLS does not agree on it.
pub(crate) fn lacks_http2(error: &NetworkError) -> bool {
    match error {
        NetworkError::Protocol(_) | NetworkError::Cut(_) => true,
        NetworkError::Tls(text) => text.starts_with(NO_HTTP2),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Timeouts = Timeouts {
        connect: Duration::from_secs(5),
        first_byte: Duration::from_secs(6),
        between_bytes: Duration::from_secs(30),
    };

    fn reported(transport: Transport, error: NetworkError, tls: bool, stage: Stage) -> Error {
        let endpoint = Authority { host: "node1".into(), port: 2379, tls };
        transport.failure(error, &endpoint, stage, &LIMITS)
    }

    #[test]
    fn every_failure_says_where_it_happened_what_failed_and_what_to_do() {
        use NetworkError::{
            Busy, ConnectTimeout, Cut, Denied, Dns, Late, Other, Protocol, ReadTimeout, Refused,
            Tls, TooLong, Unroutable,
        };
        use Transport::{Gateway, Grpc};
        let text = || "by\u{1b} peer".to_string();
        let no_http2 = || format!("{NO_HTTP2}; check the port");
        for (transport, error, tls, stage, kind, what, remedy) in [
            (
                Grpc,
                Refused,
                false,
                Stage::Probe,
                ErrorKind::Unreachable,
                "connection refused",
                "listens",
            ),
            (
                Grpc,
                Unroutable,
                false,
                Stage::Probe,
                ErrorKind::Unreachable,
                "no route",
                "firewalls",
            ),
            (Grpc, Dns, false, Stage::Probe, ErrorKind::Unreachable, "no address", "spelling"),
            (
                Grpc,
                ConnectTimeout,
                false,
                Stage::Probe,
                ErrorKind::Unreachable,
                "within 5s",
                "`connect_timeout`",
            ),
            (
                Grpc,
                ReadTimeout,
                false,
                Stage::Probe,
                ErrorKind::TimedOut,
                "sent nothing for 6s",
                "disk, or raise `connect_timeout`",
            ),
            (
                Grpc,
                ReadTimeout,
                false,
                Stage::Login,
                ErrorKind::TimedOut,
                "sent nothing for 6s",
                "quorum",
            ),
            (
                Grpc,
                ReadTimeout,
                false,
                Stage::Snapshot,
                ErrorKind::TimedOut,
                "sent nothing for 30s",
                "`stall_timeout`",
            ),
            (
                Gateway,
                Late,
                false,
                Stage::Login,
                ErrorKind::TimedOut,
                "no complete response arrived within 6s",
                "`connect_timeout`",
            ),
            (Grpc, Denied, false, Stage::Probe, ErrorKind::Other, "did not grant", "`endpoints`"),
            (
                Grpc,
                Busy,
                false,
                Stage::Probe,
                ErrorKind::Other,
                "no more requests",
                "fewer `endpoints`",
            ),
            (
                Grpc,
                Tls("tls: bad; mend it".into()),
                true,
                Stage::Probe,
                ErrorKind::Unreachable,
                "tls: bad",
                "mend it",
            ),
            (
                Grpc,
                Tls("tls: bad".into()),
                true,
                Stage::Probe,
                ErrorKind::Unreachable,
                "tls: bad",
                "TLS options",
            ),
            (
                Grpc,
                Tls(no_http2()),
                true,
                Stage::Probe,
                ErrorKind::Unreachable,
                NO_HTTP2,
                "`transport=gateway`",
            ),
            (
                Gateway,
                Tls(no_http2()),
                true,
                Stage::Probe,
                ErrorKind::Unreachable,
                NO_HTTP2,
                "check the port",
            ),
            (
                Grpc,
                Cut(text()),
                false,
                Stage::Probe,
                ErrorKind::Unreachable,
                "was closed (by  peer)",
                "uses TLS",
            ),
            (
                Grpc,
                Cut(text()),
                true,
                Stage::Probe,
                ErrorKind::Unreachable,
                "closed the TLS connection (by  peer)",
                "client certificate",
            ),
            (
                Grpc,
                Cut(text()),
                true,
                Stage::Snapshot,
                ErrorKind::Interrupted,
                "was cut (by  peer)",
                "proxy",
            ),
            (
                Grpc,
                Protocol(text()),
                false,
                Stage::Snapshot,
                ErrorKind::Interrupted,
                "was cut (by  peer)",
                "log",
            ),
            (
                Grpc,
                Protocol(text()),
                false,
                Stage::Probe,
                ErrorKind::Unreachable,
                "speak HTTP/2 (by  peer)",
                "`transport=gateway`",
            ),
            (
                Gateway,
                Protocol(text()),
                false,
                Stage::Probe,
                ErrorKind::Unreachable,
                "speak HTTP/1.1 (by  peer)",
                "`transport=grpc`",
            ),
            (
                Gateway,
                TooLong(text()),
                false,
                Stage::Probe,
                ErrorKind::Corrupt,
                "longer than any of etcd's",
                "proxy",
            ),
            (
                Gateway,
                Other(text()),
                false,
                Stage::Probe,
                ErrorKind::Unreachable,
                "by  peer",
                "network",
            ),
        ] {
            let error = reported(transport, error, tls, stage);
            assert_eq!(error.kind, kind, "{error}");
            let (said, advice) = error
                .to_string()
                .split_once("; ")
                .map(|(a, b)| (a.to_string(), b.to_string()))
                .expect("a remedy");
            assert!(said.starts_with("`node1:2379`: ") && said.contains(what), "{error}");
            assert!(advice.contains(remedy), "{error}");
        }
    }

    #[test]
    fn only_a_sign_of_missing_http2_sends_a_run_to_the_gateway() {
        for error in [
            NetworkError::Protocol("x".into()),
            NetworkError::Cut("x".into()),
            NetworkError::Tls(format!("{NO_HTTP2}; x")),
        ] {
            assert!(lacks_http2(&error), "{error:?}");
        }
        for error in [
            NetworkError::Refused,
            NetworkError::Dns,
            NetworkError::ReadTimeout,
            NetworkError::Tls("tls: the server's certificate has expired; renew it".into()),
            NetworkError::Other("x".into()),
        ] {
            assert!(!lacks_http2(&error), "{error:?}");
        }
    }
}
