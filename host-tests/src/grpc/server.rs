//! The server: HTTP/2 by prior knowledge, as on etcd's plain port.

use super::message;
use super::snapshot::{End, Snapshot};
use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{Reason, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::LocalSet;

/// Why a request could not be served: the client is gone.
type Result<T> = std::result::Result<T, h2::Error>;

/// A fake gRPC server on 127.0.0.1; its connections end when it is dropped.
#[derive(Debug)]
pub struct GrpcServer {
    port: u16,
    requests: Arc<Mutex<Vec<Request<()>>>>,
    closing: Arc<Notify>,
}

impl GrpcServer {
    /// Starts to respond to the snapshot call like this, and the others as a healthy
    /// member does.
    pub fn start(snapshot: Snapshot) -> GrpcServer {
        let listener =
            std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        listener.set_nonblocking(true).expect("a socket can be set up");
        let port = listener.local_addr().expect("it is bound").port();
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let closing = Arc::new(Notify::new());
        let (recorded, closed) = (Arc::clone(&requests), Arc::clone(&closing));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be built");
            let accepting = async {
                let listener = TcpListener::from_std(listener).expect("a socket can be watched");
                while let Ok((connection, _)) = listener.accept().await {
                    let (recorded, snapshot) = (Arc::clone(&recorded), snapshot.clone());
                    // A client that leaves in the middle is what many tests are about.
                    tokio::task::spawn_local(async move {
                        drop(serve(connection, &snapshot, &recorded).await);
                    });
                }
            };
            LocalSet::new().block_on(&runtime, async {
                tokio::select! {
                    () = accepting => {}
                    () = closed.notified() => {}
                }
            });
        });
        GrpcServer { port, requests, closing }
    }

    /// `HOST:PORT`.
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What to give to the connector.
    pub fn location(&self) -> String {
        format!("etcd://{}", self.endpoint())
    }

    /// The heads of all requests, in the order they came in.
    pub fn requests(&self) -> Vec<Request<()>> {
        self.requests.lock().expect("no holder panics").clone()
    }
}

impl Drop for GrpcServer {
    fn drop(&mut self) {
        self.closing.notify_one();
    }
}

async fn serve(
    connection: TcpStream,
    snapshot: &Snapshot,
    requests: &Mutex<Vec<Request<()>>>,
) -> Result<()> {
    let cut = Arc::new(Notify::new());
    let mut connection = server::handshake(connection).await?;
    loop {
        let next = tokio::select! {
            next = connection.accept() => next,
            () = cut.notified() => return Ok(()),
        };
        let Some(request) = next else { return Ok(()) };
        let (request, respond) = request?;
        let path = request.uri().path().to_owned();
        requests.lock().expect("no holder panics").push(request.map(drop));
        let (snapshot, cut) = (snapshot.clone(), Arc::clone(&cut));
        tokio::task::spawn_local(async move {
            drop(match message::unary(&path) {
                Some(response) => respond_unary(respond, response).await,
                None => respond_snapshot(respond, &snapshot, &cut).await,
            });
        });
    }
}

async fn respond_unary(mut respond: SendResponse<Bytes>, response: Vec<u8>) -> Result<()> {
    let mut body =
        respond.send_response(head(200, &[("content-type", "application/grpc")]), false)?;
    send(&mut body, response.into()).await?;
    body.send_trailers(trailers(0, ""))
}

async fn respond_snapshot(
    mut respond: SendResponse<Bytes>,
    snapshot: &Snapshot,
    cut: &Notify,
) -> Result<()> {
    if let End::TrailersOnly(code, message) = snapshot.end {
        let mut head = head(snapshot.status, &snapshot.headers);
        head.headers_mut().extend(trailers(code, message));
        return respond.send_response(head, true).map(drop);
    }
    let mut body = respond.send_response(head(snapshot.status, &snapshot.headers), false)?;
    for piece in snapshot.body.chunks(snapshot.piece) {
        send(&mut body, Bytes::copy_from_slice(piece)).await?;
    }
    match &snapshot.end {
        End::Status(code, message) => body.send_trailers(trailers(*code, message))?,
        End::TrailersOnly(..) => unreachable!("sent above"),
        End::NoTrailers => body.send_data(Bytes::new(), true)?,
        End::Reset => {
            flushed().await;
            body.send_reset(Reason::INTERNAL_ERROR);
        }
        End::Cut => {
            flushed().await;
            cut.notify_one();
        }
        End::Silence => std::future::pending().await,
        End::Forever(bytes) => loop {
            send(&mut body, Bytes::copy_from_slice(bytes)).await?;
        },
    }
    Ok(())
}

/// Sends bytes as the client's window allows.
async fn send(body: &mut SendStream<Bytes>, mut bytes: Bytes) -> Result<()> {
    while !bytes.is_empty() {
        body.reserve_capacity(bytes.len());
        let capacity = std::future::poll_fn(|context| body.poll_capacity(context)).await;
        let Some(capacity) = capacity.transpose()? else { return Err(Reason::CANCEL.into()) };
        body.send_data(bytes.split_to(capacity.min(bytes.len())), false)?;
    }
    Ok(())
}

/// Lets the connection write what it was given: a reset or an end would overtake it.
async fn flushed() {
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
}

fn head(status: u16, headers: &[(&'static str, &'static str)]) -> Response<()> {
    let mut head = Response::builder().status(status);
    for (name, value) in headers {
        head = head.header(*name, *value);
    }
    head.body(()).expect("the script's headers are well-formed")
}

fn trailers(code: u32, message: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.into());
    trailers.insert("grpc-message", HeaderValue::from_static(message));
    trailers
}
