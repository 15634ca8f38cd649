//! The core's network over hyper alone, with the settings of the host.

use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::HOST;
use hyper::http;
use hyper_util::rt::{TokioExecutor, TokioIo};
use plakar_etcd::net::{
    Body, Head, Network, NetworkError, Request, Response, SMALL_BODY, Trailers,
};
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// The network. Each request gets a connection of its own.
#[derive(Clone)]
pub(crate) struct Hyper(Rc<Runtime>);

impl Hyper {
    /// A network on a runtime of its own.
    pub(crate) fn new() -> Hyper {
        // As many threads as the host has: reading overlaps with the core.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Hyper(Rc::new(runtime.expect("threads can be started")))
    }

    /// Its runtime.
    pub(crate) fn runtime(&self) -> Rc<Runtime> {
        Rc::clone(&self.0)
    }
}

/// A response's body.
pub(crate) struct HyperBody {
    runtime: Rc<Runtime>,
    incoming: Incoming,
    between_bytes: Duration,
    trailers: Trailers,
}

impl Network for Hyper {
    type Body = HyperBody;

    fn send(&self, request: Request) -> Result<(Head, HyperBody), NetworkError> {
        let between_bytes = request.timeouts.between_bytes;
        let (head, incoming) = self.0.block_on(open(request))?;
        let runtime = self.runtime();
        Ok((head, HyperBody { runtime, incoming, between_bytes, trailers: Trailers::default() }))
    }

    fn exchange(
        &self,
        requests: Vec<Request>,
        within: Duration,
    ) -> Vec<Result<Response, NetworkError>> {
        let started: Vec<_> = requests
            .into_iter()
            .map(|request| self.0.spawn(async move { timeout(within, small(request)).await }))
            .collect();
        let ended = |task| match self.0.block_on(task) {
            Ok(Ok(response)) => response,
            Ok(Err(_)) => Err(NetworkError::ReadTimeout),
            Err(error) => Err(NetworkError::Other(format!("{error}"))),
        };
        started.into_iter().map(ended).collect()
    }
}

impl Body for HyperBody {
    fn read(&mut self) -> Result<Option<Vec<u8>>, NetworkError> {
        loop {
            let next = self
                .runtime
                .block_on(async { timeout(self.between_bytes, self.incoming.frame()).await });
            let Some(frame) = next.map_err(|_| NetworkError::ReadTimeout)? else { return Ok(None) };
            match frame.map_err(|error| cut(&error))?.into_data() {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(Some(bytes.into())),
                Err(frame) => {
                    self.trailers =
                        Trailers(list(frame.trailers_ref().unwrap_or(&Default::default())));
                }
            }
        }
    }

    fn trailers(&mut self) -> Result<Trailers, NetworkError> {
        Ok(std::mem::take(&mut self.trailers))
    }
}

async fn small(request: Request) -> Result<Response, NetworkError> {
    let (head, incoming) = open(request).await?;
    if incoming.size_hint().lower() > SMALL_BODY as u64 {
        return Err(NetworkError::Protocol("the response is too long".into()));
    }
    let whole = incoming.collect().await.map_err(|error| cut(&error))?;
    let trailers = Trailers(whole.trailers().map(list).unwrap_or_default());
    Ok(Response { head, trailers, body: whole.to_bytes().into() })
}

async fn open(request: Request) -> Result<(Head, Incoming), NetworkError> {
    let timeouts = request.timeouts;
    let exchange = connect_and_send(request);
    let response = timeout(timeouts.connect + timeouts.first_byte, exchange)
        .await
        .map_err(|_| NetworkError::ReadTimeout)??;
    let (parts, incoming) = response.into_parts();
    Ok((Head { status: parts.status.as_u16(), headers: list(&parts.headers) }, incoming))
}

async fn connect_and_send(request: Request) -> Result<http::Response<Incoming>, NetworkError> {
    let authority = request.endpoint.to_string();
    let stream = TcpStream::connect(&authority).await.map_err(|error| match error.kind() {
        ErrorKind::ConnectionRefused => NetworkError::Refused,
        _ => NetworkError::Other(error.to_string()),
    })?;
    stream.set_nodelay(true).map_err(|error| NetworkError::Other(error.to_string()))?;
    let grpc = request
        .headers
        .iter()
        .any(|(name, value)| *name == "content-type" && value.starts_with("application/grpc"));
    let method = if request.body.is_some() { "POST" } else { "GET" };
    let mut message = http::Request::builder().method(method);
    for (name, value) in &request.headers {
        message = message.header(*name, value);
    }
    let message = if grpc {
        message.uri(format!("http://{authority}{}", request.path))
    } else {
        message.uri(request.path).header(HOST, &authority)
    };
    let message = message
        .body(Full::<Bytes>::from(request.body.unwrap_or_default()))
        .map_err(|error| NetworkError::Other(error.to_string()))?;
    let stream = TokioIo::new(stream);
    let response = if grpc {
        let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(8 << 20)
            .initial_connection_window_size(16 << 20)
            .max_frame_size(1 << 20)
            .handshake(stream)
            .await
            .map_err(|error| cut(&error))?;
        tokio::spawn(connection);
        sender.send_request(message).await
    } else {
        let (mut sender, connection) =
            http1::handshake(stream).await.map_err(|error| cut(&error))?;
        tokio::spawn(connection);
        sender.send_request(message).await
    };
    response.map_err(|error| cut(&error))
}

fn list(headers: &http::HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

fn cut(error: &hyper::Error) -> NetworkError {
    NetworkError::Cut(error.to_string())
}
