//! A way to a member that holds its snapshot back until a test lets it go.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SNAPSHOT: &[u8] = b"POST /v3/maintenance/snapshot ";
const LIMIT: Duration = Duration::from_secs(60);

/// A port of 127.0.0.1 that leads to a member's JSON API. The first request for
/// a snapshot stands still at it; all else passes as it is.
pub struct Gate {
    port: u16,
    arrived: Receiver<Sender<()>>,
}

impl Gate {
    /// A gate before the member at this `HOST:PORT`.
    pub fn before(endpoint: String) -> Gate {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let (arrival, arrived) = channel();
        let arrival = Arc::new(Mutex::new(Some(arrival)));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let member = TcpStream::connect(&endpoint).expect("the member is there");
                let (from, to) = (client.try_clone(), member.try_clone());
                let (from, to) = (from.expect("a socket"), to.expect("a socket"));
                let arrival = Arc::clone(&arrival);
                std::thread::spawn(move || pass(from, to, |bytes| hold(bytes, &arrival)));
                std::thread::spawn(move || pass(member, client, |_| {}));
            }
        });
        Gate { port, arrived }
    }

    /// `HOST:PORT` of the gate.
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Waits for the request for a snapshot; it goes on when the returned sender is dropped.
    pub fn wait_for_snapshot(&self) -> Sender<()> {
        self.arrived.recv_timeout(LIMIT).expect("a snapshot is asked for")
    }
}

fn hold(bytes: &[u8], arrival: &Mutex<Option<Sender<Sender<()>>>>) {
    if !bytes.windows(SNAPSHOT.len()).any(|window| window == SNAPSHOT) {
        return;
    }
    let arrival = arrival.lock().expect("no holder panics").take();
    if let Some(arrival) = arrival {
        let (go, gone) = channel();
        // A test that is over holds nothing.
        let _ = arrival.send(go);
        let _ = gone.recv_timeout(LIMIT);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, look: impl Fn(&[u8])) {
    let mut buffer = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        look(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // The other direction ends with this one.
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
