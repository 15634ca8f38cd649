//! The network over `wasi:http`.

use crate::net::{
    Body, Head, Network, NetworkError, Request, Response, SMALL_BODY, Timeouts, Trailers,
};
use std::time::{Duration, Instant};
use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, RequestOptions, Scheme, http_error_code,
};
use wasip2::io::poll;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

/// How much of a body is read at a time, in bytes: more than a frame contains, and
/// less than a processor's own cache, because it is copied and hashed next.
const PIECE: u64 = 128 << 10;

/// The longest write to a request's body, in bytes
/// (`wasi:io/streams`, `blocking-write-and-flush`).
const WRITE: usize = 4096;

/// The time that the head of a response may take beyond its limits.
const SLACK: Duration = Duration::from_secs(1);

/// The host's `wasi:http`.
#[derive(Clone)]
pub(crate) struct WasiHttp;

/// The body of a response, as it arrives.
pub(crate) struct WasiBody {
    // Dropped from top to bottom: a stream must be dropped before its body, and a body
    // before its response.
    stream: Option<InputStream>,
    body: Option<IncomingBody>,
    _response: IncomingResponse,
}

impl Network for WasiHttp {
    type Body = WasiBody;

    fn send(&self, request: Request) -> Result<(Head, WasiBody), NetworkError> {
        let future = start(&request)?;
        // Not every host applies a limit to each part of an exchange, such as a handshake.
        let Timeouts { connect, first_byte, .. } = request.timeouts;
        let limit = connect.saturating_add(first_byte).saturating_add(SLACK);
        let over = monotonic_clock::subscribe_duration(nanoseconds(limit));
        let ready = poll::poll(&[&future.subscribe(), &over]);
        if !ready.contains(&0) {
            return Err(NetworkError::ReadTimeout);
        }
        open(take(&future)?)
    }

    fn exchange(
        &self,
        requests: Vec<Request>,
        within: Duration,
    ) -> Vec<Result<Response, NetworkError>> {
        let deadline = Instant::now() + within;
        let mut exchanges: Vec<Exchange> = requests
            .iter()
            .map(|request| match start(request) {
                Ok(future) => Exchange::Awaiting(future),
                Err(error) => Exchange::Done(Err(error)),
            })
            .collect();
        loop {
            let running: Vec<usize> =
                (0..exchanges.len()).filter(|i| exchanges[*i].is_running()).collect();
            let left = deadline.saturating_duration_since(Instant::now());
            if running.is_empty() || left.is_zero() {
                break;
            }
            let ready = {
                let mut pollables: Vec<_> =
                    running.iter().filter_map(|i| exchanges[*i].pollable()).collect();
                pollables.push(monotonic_clock::subscribe_duration(nanoseconds(left)));
                poll::poll(&pollables.iter().collect::<Vec<_>>())
            };
            for index in ready {
                if let Some(exchange) = running.get(index as usize) {
                    let state = std::mem::replace(&mut exchanges[*exchange], Exchange::late());
                    exchanges[*exchange] = state.advance();
                }
            }
        }
        exchanges
            .into_iter()
            .map(|exchange| match exchange {
                Exchange::Done(result) => result,
                _ => Err(NetworkError::Late),
            })
            .collect()
    }
}

impl Body for WasiBody {
    fn read(&mut self) -> Result<Option<Vec<u8>>, NetworkError> {
        let Some(stream) = &self.stream else {
            return Ok(None);
        };
        read_result(stream.blocking_read(PIECE))
    }

    fn trailers(&mut self) -> Result<Trailers, NetworkError> {
        self.stream = None;
        let Some(body) = self.body.take() else {
            return Ok(Trailers::default());
        };
        let future = IncomingBody::finish(body);
        future.subscribe().block();
        match future.get() {
            Some(Ok(Ok(Some(trailers)))) => Ok(Trailers(trailers.entries())),
            Some(Ok(Err(code))) => Err(network_error(code)),
            Some(Ok(Ok(None)) | Err(())) | None => Ok(Trailers::default()),
        }
    }
}

impl WasiBody {
    /// Reads the bytes that are available now, maybe none.
    fn read_ready(&mut self) -> Result<Option<Vec<u8>>, NetworkError> {
        self.stream.as_ref().map_or(Ok(None), |stream| read_result(stream.read(PIECE)))
    }
}

/// One exchange among several.
enum Exchange {
    /// The request is on its way.
    Awaiting(FutureIncomingResponse),
    /// The response's body is arriving.
    Reading { body: WasiBody, response: Response },
    /// It ended.
    Done(Result<Response, NetworkError>),
}

impl Exchange {
    fn late() -> Self {
        Exchange::Done(Err(NetworkError::Late))
    }

    fn is_running(&self) -> bool {
        !matches!(self, Exchange::Done(_))
    }

    fn pollable(&self) -> Option<poll::Pollable> {
        match self {
            Exchange::Awaiting(future) => Some(future.subscribe()),
            Exchange::Reading { body, .. } => body.stream.as_ref().map(InputStream::subscribe),
            Exchange::Done(_) => None,
        }
    }

    fn advance(self) -> Self {
        match self {
            Exchange::Awaiting(future) => match take(&future).and_then(open) {
                Ok((head, body)) => {
                    let response =
                        Response { head, trailers: Trailers::default(), body: Vec::new() };
                    Exchange::Reading { body, response }
                }
                Err(error) => Exchange::Done(Err(error)),
            },
            Exchange::Reading { mut body, mut response } => match body.read_ready() {
                Ok(Some(bytes)) => {
                    let room = SMALL_BODY - response.body.len();
                    response.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
                    if bytes.len() > room {
                        Exchange::Done(Err(NetworkError::TooLong(format!(
                            "more than {SMALL_BODY} bytes"
                        ))))
                    } else {
                        Exchange::Reading { body, response }
                    }
                }
                // The trailers are available at the end of a body, without waiting.
                Ok(None) => Exchange::Done(
                    body.trailers().map(|trailers| Response { trailers, ..response }),
                ),
                Err(error) => Exchange::Done(Err(error)),
            },
            done => done,
        }
    }
}

fn start(request: &Request) -> Result<FutureIncomingResponse, NetworkError> {
    let unfit = |part: &str| NetworkError::Other(format!("the host rejects the {part}"));
    let fields: Vec<(String, Vec<u8>)> = request
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect();
    let headers = Fields::from_list(&fields).map_err(|_| unfit("header"))?;
    let outgoing = OutgoingRequest::new(headers);
    let (method, scheme) = (
        if request.body.is_some() { Method::Post } else { Method::Get },
        if request.endpoint.tls { Scheme::Https } else { Scheme::Http },
    );
    outgoing.set_method(&method).map_err(|()| unfit("method"))?;
    outgoing.set_scheme(Some(&scheme)).map_err(|()| unfit("scheme"))?;
    outgoing.set_authority(Some(&request.endpoint.to_string())).map_err(|()| unfit("authority"))?;
    outgoing.set_path_with_query(Some(request.path)).map_err(|()| unfit("path"))?;
    let options = options(&request.timeouts).map_err(|()| unfit("time limit"))?;
    let Some(bytes) = &request.body else {
        return outgoing_handler::handle(outgoing, Some(options)).map_err(network_error);
    };
    let body = outgoing.body().map_err(|()| unfit("body"))?;
    let future = outgoing_handler::handle(outgoing, Some(options)).map_err(network_error)?;
    // A server may respond before it has read the request, and close the connection:
    // then the response says what went wrong.
    if let Ok(stream) = body.write() {
        let _ = write(&stream, bytes);
    }
    let _ = OutgoingBody::finish(body, None);
    Ok(future)
}

/// Writes a request's body. Does not flush what the host accepts at once: that
/// would wait for the connection, and other requests should start meanwhile.
fn write(stream: &OutputStream, bytes: &[u8]) -> Result<(), StreamError> {
    match usize::try_from(stream.check_write()?) {
        Ok(room) if room < bytes.len() => {
            bytes.chunks(WRITE).try_for_each(|piece| stream.blocking_write_and_flush(piece))
        }
        _ => stream.write(bytes),
    }
}

fn options(timeouts: &Timeouts) -> Result<RequestOptions, ()> {
    let options = RequestOptions::new();
    options.set_connect_timeout(Some(nanoseconds(timeouts.connect)))?;
    options.set_first_byte_timeout(Some(nanoseconds(timeouts.first_byte)))?;
    options.set_between_bytes_timeout(Some(nanoseconds(timeouts.between_bytes)))?;
    Ok(options)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The response of a future that is ready.
fn take(future: &FutureIncomingResponse) -> Result<IncomingResponse, NetworkError> {
    match future.get() {
        Some(Ok(response)) => response.map_err(network_error),
        Some(Err(())) | None => Err(NetworkError::Other("the host gave no response".into())),
    }
}

fn open(response: IncomingResponse) -> Result<(Head, WasiBody), NetworkError> {
    let head = Head { status: response.status(), headers: response.headers().entries() };
    let no_body = |()| NetworkError::Other("the host gave no body".into());
    let body = response.consume().map_err(no_body)?;
    let stream = body.stream().map_err(no_body)?;
    Ok((head, WasiBody { stream: Some(stream), body: Some(body), _response: response }))
}

fn read_result(read: Result<Vec<u8>, StreamError>) -> Result<Option<Vec<u8>>, NetworkError> {
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(StreamError::Closed) => Ok(None),
        Err(StreamError::LastOperationFailed(error)) => Err(match http_error_code(&error) {
            Some(code) => network_error(code),
            None => body_error(error.to_debug_string()),
        }),
    }
}

/// Finds out why a body failed, from the text alone: wasmtime 48 does not find a code in
/// the errors of its own bodies (`p2/types_impl.rs` looks for another type).
fn body_error(text: String) -> NetworkError {
    let words = text.to_ascii_lowercase().replace(['-', ' ', '_'], "");
    if words.contains("readtimeout") || words.contains("responsetimeout") {
        return NetworkError::ReadTimeout;
    }
    match text.find("tls: ") {
        Some(at) => NetworkError::Tls(text[at..].into()),
        None => NetworkError::Cut(text),
    }
}

fn network_error(code: ErrorCode) -> NetworkError {
    match code {
        ErrorCode::DnsTimeout | ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => {
            NetworkError::Dns
        }
        ErrorCode::ConnectionRefused => NetworkError::Refused,
        ErrorCode::DestinationIpUnroutable
        | ErrorCode::DestinationIpProhibited
        | ErrorCode::DestinationUnavailable => NetworkError::Unroutable,
        ErrorCode::ConnectionTimeout => NetworkError::ConnectTimeout,
        ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout => NetworkError::ReadTimeout,
        ErrorCode::ConnectionTerminated => NetworkError::Cut("connection terminated".into()),
        ErrorCode::HttpResponseIncomplete => NetworkError::Cut("the response is incomplete".into()),
        ErrorCode::HttpRequestDenied => NetworkError::Denied,
        ErrorCode::ConnectionLimitReached => NetworkError::Busy,
        ErrorCode::TlsProtocolError => NetworkError::Tls("tls: the handshake failed".into()),
        ErrorCode::TlsCertificateError => {
            NetworkError::Tls("tls: the server's certificate is not trusted".into())
        }
        ErrorCode::TlsAlertReceived(alert) => NetworkError::Tls(format!(
            "tls: the server refused the connection ({})",
            match (alert.alert_message, alert.alert_id) {
                (Some(message), _) => message,
                (None, Some(id)) => format!("alert {id}"),
                (None, None) => "without a reason".into(),
            }
        )),
        ErrorCode::InternalError(Some(text)) if text.starts_with("tls: ") => {
            NetworkError::Tls(text)
        }
        ErrorCode::InternalError(Some(text)) => NetworkError::Other(text),
        ErrorCode::InternalError(None) => {
            NetworkError::Other("the host had an internal error".into())
        }
        ErrorCode::HttpProtocolError | ErrorCode::HttpUpgradeFailed => {
            NetworkError::Protocol("protocol error".into())
        }
        ErrorCode::HttpResponseContentCoding(_) | ErrorCode::HttpResponseTransferCoding(_) => {
            NetworkError::Protocol("an unknown encoding".into())
        }
        ErrorCode::HttpResponseHeaderSectionSize(_)
        | ErrorCode::HttpResponseHeaderSize(_)
        | ErrorCode::HttpResponseTrailerSectionSize(_)
        | ErrorCode::HttpResponseTrailerSize(_) => NetworkError::TooLong("its headers".into()),
        ErrorCode::HttpResponseBodySize(_) => NetworkError::TooLong("its body".into()),
        ErrorCode::LoopDetected => NetworkError::Other("the host found a loop of proxies".into()),
        ErrorCode::ConfigurationError => {
            NetworkError::Other("the host is not configured for requests".into())
        }
        ErrorCode::HttpRequestLengthRequired
        | ErrorCode::HttpRequestBodySize(_)
        | ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestUriTooLong
        | ErrorCode::HttpRequestHeaderSectionSize(_)
        | ErrorCode::HttpRequestHeaderSize(_)
        | ErrorCode::HttpRequestTrailerSectionSize(_)
        | ErrorCode::HttpRequestTrailerSize(_) => {
            NetworkError::Other("the host rejects this request".into())
        }
    }
}
