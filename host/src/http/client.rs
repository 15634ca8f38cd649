//! Sends requests over pooled connections, within the time limits.

use super::body::TimedBody;
use super::connection::{Connector, Number};
use super::resolver::Resolver;
use super::{error, tls};
use http::header::{CONTENT_TYPE, HOST, HeaderValue, TE};
use http_body_util::BodyExt;
use hyper_rustls::{FixedServerNameResolver, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{HttpConnector, capture_connection};
use hyper_util::client::legacy::{Builder, Client as Pool};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use plakar_connector::TimeLimits;
use plakar_connector::names::CONNECTION;
use plakar_policy::limits::REQUESTS;
use plakar_policy::tls::Tls;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

/// How long to keep an idle connection. A server may close it at any time; keeping it for
/// longer than this saves little and fails often.
const IDLE: Duration = Duration::from_secs(30);

/// Idle connections per server: a component talks to one server at a time.
const IDLE_PER_HOST: usize = 2;

/// The silence after which an HTTP/2 server gets a ping. gRPC servers close the connection
/// of a client that sends them more often than every five seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The largest HTTP/2 frame to accept. A server that fills it halves the work that the
/// default of 16 KiB takes.
const FRAME: u32 = 1 << 20;

/// How many bytes an HTTP/2 server may send ahead of the component that reads them: of one
/// response, and of all. They take the host's memory.
const STREAM_WINDOW: u32 = 8 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

type Connections = Pool<Connector, WasiBody>;

/// The host's HTTP client; clones share its connections. All of them have one TLS identity,
/// so each component has its own client.
#[derive(Clone)]
pub(crate) struct Client {
    http1: Connections,
    http2: Connections,
    limits: TimeLimits,
    under_way: Arc<Semaphore>,
}

impl Client {
    /// Creates a client that waits no longer than these limits, whatever a component asks
    /// for.
    pub(crate) fn new(limits: TimeLimits, tls: Option<&Tls>) -> Result<Self, plakar_policy::Error> {
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new());
        tcp.set_nodelay(true);
        // Divided among the addresses of a name: one that does not accept connections must
        // leave time for the next.
        tcp.set_connect_timeout(Some(limits.connect));
        tcp.enforce_http(false);
        let config = tls::config(tls)?;
        let secure = || {
            let builder =
                HttpsConnectorBuilder::new().with_tls_config(config.clone()).https_or_http();
            match tls.and_then(|tls| tls.server_name.clone()) {
                Some(name) => builder.with_server_name_resolver(FixedServerNameResolver::new(name)),
                None => builder,
            }
        };
        let pool = || -> Builder {
            let mut pool = Pool::builder(TokioExecutor::new());
            pool.pool_timer(TokioTimer::new())
                .timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(IDLE_PER_HOST);
            pool
        };
        let http1 = secure().enable_http1().wrap_connector(tcp.clone());
        let http1 = pool().build(Connector { inner: http1, http2: false });
        let http2 = secure().enable_http2().wrap_connector(tcp);
        let http2 = pool()
            .http2_only(true)
            // Here a connection counts as idle from its last request on, however
            // long the response takes.
            .pool_idle_timeout(None)
            .http2_max_frame_size(FRAME)
            // So a vanished peer is also detected if the component waits without its own
            // limit.
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(limits.stall)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .build(Connector { inner: http2, http2: true });
        Ok(Self { http1, http2, limits, under_way: Arc::new(Semaphore::new(REQUESTS)) })
    }

    /// Returns the connections for a request, and adapts the request to them.
    ///
    /// gRPC is HTTP/2 by definition: by prior knowledge in plain text, and negotiated under
    /// TLS. Everything else is HTTP/1.1 on both, because every server supports it.
    ///
    /// A body that was cut short is distinguished from a complete one if HTTP states its
    /// length. It does not in an HTTP/1 response that ends with its connection, in plain
    /// text, nor if an HTTP/2 server ends a stream by `RST_STREAM` with `NO_ERROR`. So a
    /// component must not take the end of a body as proof that it is complete.
    fn route(&self, request: &mut http::Request<WasiBody>) -> &Connections {
        if !is_grpc(request.headers()) {
            return &self.http1;
        }
        let headers = request.headers_mut();
        headers.remove(HOST);
        headers.entry(TE).or_insert(HeaderValue::from_static("trailers"));
        &self.http2
    }

    /// Sends a request; returns as soon as the response's head has arrived.
    pub(super) async fn send(
        &self,
        mut request: http::Request<WasiBody>,
        asked: RequestOptions,
    ) -> Result<http::Response<WasiBody>, Error> {
        let shorter = |asked: Option<Duration>, limit: Duration| asked.unwrap_or(limit).min(limit);
        let connect = shorter(asked.connect_timeout, self.limits.connect);
        let first_byte = shorter(asked.first_byte_timeout, self.limits.max_duration);
        let between_bytes = shorter(asked.between_bytes_timeout, self.limits.stall);

        let permit = Arc::clone(&self.under_way)
            .try_acquire_owned()
            .map_err(|_| Error::ConnectionLimitReached)?;
        let connections = self.route(&mut request);
        let mut connected = capture_connection(&mut request);
        let mut response = pin!(connections.request(request));
        let connecting = async {
            tokio::select! {
                biased;
                early = &mut response => Some(early),
                _ = connected.wait_for_connection_metadata() => None,
            }
        };
        let early = timeout(connect, connecting).await.map_err(|_| Error::ConnectionTimeout)?;
        let response = match early {
            Some(response) => response,
            None => {
                timeout(first_byte, response).await.map_err(|_| Error::ConnectionReadTimeout)?
            }
        };
        let mut response = response.map_err(|error| error::of_exchange(&error))?;
        number(&mut response);
        Ok(response.map(|body| TimedBody::new(body, between_bytes, permit).boxed_unsync()))
    }
}

/// Adds the number of a response's connection, in place of any such header of the server.
fn number<B>(response: &mut http::Response<B>) {
    let number = response.extensions().get::<Number>().copied();
    let headers = response.headers_mut();
    headers.remove(CONNECTION);
    if let Some(Number(number)) = number {
        headers.insert(CONNECTION, HeaderValue::from(number));
    }
}

/// Returns whether the content is gRPC, in any encoding of its messages. gRPC-Web is a
/// different protocol.
fn is_grpc(headers: &http::HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type
        .and_then(|value| value.strip_prefix("application/grpc"))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
}
