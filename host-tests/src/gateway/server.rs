//! The server itself: a thread for each connection, bytes as the script has them.

use super::response::{Ending, Framing, Response};
use super::{Member, Request};
use socket2::{Domain, SockRef, Socket, Type};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// A fake gateway on 127.0.0.1. All its connections end when it is dropped.
#[derive(Debug)]
pub struct Gateway {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    member: Member,
    requests: Mutex<Vec<Request>>,
    /// Those that are open, by the order in which they came.
    open: Mutex<BTreeMap<u64, TcpStream>>,
    connections: AtomicU64,
    closing: AtomicBool,
}

impl Gateway {
    /// Starts to respond as `member` says.
    pub fn start(member: Member) -> Gateway {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let state = Arc::new(State {
            member,
            requests: Mutex::default(),
            open: Mutex::default(),
            connections: AtomicU64::new(0),
            closing: AtomicBool::new(false),
        });
        let served = Arc::clone(&state);
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                if served.closing.load(Ordering::SeqCst) {
                    break;
                }
                let served = Arc::clone(&served);
                // A client that leaves in the middle is what many tests are about.
                std::thread::spawn(move || drop(served.serve(connection)));
            }
        });
        Gateway { port, state }
    }

    /// `HOST:PORT`.
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What to give to the connector.
    pub fn location(&self) -> String {
        format!("etcd://{}", self.endpoint())
    }

    /// Everything it was asked, in the order it came in.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.state.requests).clone()
    }

    /// Whether anybody as much as connected.
    pub fn was_contacted(&self) -> bool {
        self.state.connections.load(Ordering::SeqCst) > 0
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.state.closing.store(true, Ordering::SeqCst);
        for connection in lock(&self.state.open).values() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        // Lets the accepting thread look at the flag.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl State {
    fn serve(&self, mut connection: TcpStream) -> io::Result<()> {
        connection.set_nodelay(true)?;
        let number = self.connections.fetch_add(1, Ordering::SeqCst);
        lock(&self.open).insert(number, connection.try_clone()?);
        let served = self.converse(&mut connection);
        lock(&self.open).remove(&number);
        // Nobody else holds it now: it is closed with this call's end.
        served
    }

    fn converse(&self, connection: &mut TcpStream) -> io::Result<()> {
        while let Some(request) = Request::read(connection)? {
            let response = self.member.response(&request);
            lock(&self.requests).push(request);
            if !send(connection, &response)? {
                break;
            }
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder panics")
}

/// Sends a response; whether the connection can take another request.
fn send(connection: &mut TcpStream, response: &Response) -> io::Result<bool> {
    let head = head(response);
    connection.write_all(&head)?;
    match response.framing {
        Framing::Lines => {
            let lines = response.body.split_inclusive(|byte| *byte == b'\n');
            write_chunks(connection, lines, response.pause)?;
        }
        Framing::Chunks(size) => {
            write_chunks(connection, response.body.chunks(size), response.pause)?
        }
        Framing::None if !response.pause.is_zero() => {
            for byte in &response.body {
                std::thread::sleep(response.pause);
                connection.write_all(&[*byte])?;
            }
        }
        Framing::Length(_) | Framing::None => connection.write_all(&response.body)?,
    }
    let chunks = matches!(response.framing, Framing::Lines | Framing::Chunks(_));
    match &response.ending {
        Ending::Clean => {
            if chunks {
                connection.write_all(&chunked(&[]))?;
            }
            Ok(
                !matches!(response.framing, Framing::Length(announced) if announced != response.body.len()),
            )
        }
        Ending::Cut => Ok(false),
        Ending::Reset => {
            SockRef::from(&*connection).set_linger(Some(Duration::ZERO))?;
            Ok(false)
        }
        Ending::Silence => {
            // Until the client leaves, or the gateway is dropped.
            while connection.read(&mut [0; 4096])? > 0 {}
            Ok(false)
        }
        Ending::Forever(bytes) => loop {
            if chunks {
                write_chunks(connection, [bytes.as_slice()], response.pause)?
            } else {
                connection.write_all(bytes)?
            }
        },
    }
}

fn write_chunks<'a>(
    connection: &mut TcpStream,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    pause: Duration,
) -> io::Result<()> {
    chunks.into_iter().try_for_each(|chunk| {
        std::thread::sleep(pause);
        connection.write_all(&chunked(chunk))
    })
}

fn head(response: &Response) -> Vec<u8> {
    let Some(head) = &response.head else { return Vec::new() };
    let mut text = format!("HTTP/1.1 {} Whatever\r\n", head.status);
    for (name, value) in &head.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    match response.framing {
        Framing::Length(length) => text.push_str(&format!("Content-Length: {length}\r\n")),
        Framing::Lines | Framing::Chunks(_) => text.push_str("Transfer-Encoding: chunked\r\n"),
        Framing::None => {}
    }
    text.push_str("\r\n");
    text.into_bytes()
}

fn chunked(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// A port of 127.0.0.1 that lets no connection come about, as a firewall would:
/// its queue is full, and nothing is accepted from it. It lasts as long as the guard.
pub fn unresponsive_port() -> (u16, impl Drop) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port is free");
    listener.listen(0).expect("it can listen");
    let address = listener.local_addr().ok().and_then(|a| a.as_socket()).expect("it is bound");
    let mut waiting = vec![listener];
    loop {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let connected = client.connect_timeout(&address.into(), Duration::from_millis(200));
        waiting.push(client);
        if connected.is_err() {
            return (address.port(), Held(waiting));
        }
        assert!(waiting.len() < 100, "the queue of a port does not fill");
    }
}

/// Keeps the queue full.
struct Held(#[expect(dead_code, reason = "it is there to be dropped")] Vec<Socket>);

impl Drop for Held {
    fn drop(&mut self) {}
}
