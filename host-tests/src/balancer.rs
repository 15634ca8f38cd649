//! One address in front of several members, as a load balancer or a name with
//! several addresses is: each new connection goes to the next of them.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// More bytes than any response has that is not a snapshot.
const SNAPSHOT: usize = 32 << 10;

/// After this much silence a member has sent everything.
const QUIET: Duration = Duration::from_millis(300);

/// How long a connection lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// As long as both sides want it.
    Always,
    /// Into the middle of a snapshot.
    IntoTheSnapshot,
    /// To the very end of a snapshot.
    UntilTheSnapshotEnds,
    /// For one response.
    ForOneAnswer,
}

/// A running balancer. Once it is dropped it takes no connections any more.
#[derive(Debug)]
pub struct Balancer {
    address: SocketAddr,
    closing: Arc<AtomicBool>,
}

impl Balancer {
    /// In front of these endpoints, on a port of 127.0.0.1.
    pub fn start(endpoints: &[String], lasting: Lasting) -> Balancer {
        Balancer::start_at((Ipv4Addr::LOCALHOST, 0).into(), endpoints, lasting)
    }

    /// In front of these endpoints, at this address.
    pub fn start_at(address: SocketAddr, endpoints: &[String], lasting: Lasting) -> Balancer {
        let listener = TcpListener::bind(address).expect("the address is free");
        let address = listener.local_addr().expect("it is bound");
        let closing = Arc::<AtomicBool>::default();
        let closed = Arc::clone(&closing);
        let endpoints = endpoints.to_vec();
        std::thread::spawn(move || {
            let mut turns = endpoints.iter().cycle();
            for client in listener.incoming() {
                if closed.load(Ordering::SeqCst) {
                    return;
                }
                let client = client.expect("a connection can be taken");
                let endpoint = turns.next().expect("there is an endpoint").clone();
                // Either side may leave whenever it likes.
                std::thread::spawn(move || drop(forward(&client, &endpoint, lasting)));
            }
        });
        Balancer { address, closing }
    }

    /// `HOST:PORT`.
    pub fn endpoint(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

fn forward(client: &TcpStream, endpoint: &str, lasting: Lasting) -> io::Result<()> {
    let member = TcpStream::connect(endpoint)?;
    let (mut requests, mut to_member) = (client.try_clone()?, member.try_clone()?);
    std::thread::spawn(move || {
        let _ = io::copy(&mut requests, &mut to_member);
        let _ = to_member.shutdown(Shutdown::Write);
        // What is left unread would turn the end of the responses into a reset.
        let _ = io::copy(&mut requests, &mut io::sink());
    });
    let passed = pass_responses(&member, client, lasting);
    let _ = member.shutdown(Shutdown::Both);
    client.shutdown(Shutdown::Write)?;
    passed
}

fn pass_responses(
    mut member: &TcpStream,
    mut client: &TcpStream,
    lasting: Lasting,
) -> io::Result<()> {
    let mut piece = [0; 4096];
    let mut passed = 0;
    loop {
        let length = member.read(&mut piece)?;
        if length == 0 {
            return Ok(());
        }
        passed += length;
        let in_snapshot = passed > SNAPSHOT;
        match lasting {
            Lasting::IntoTheSnapshot if in_snapshot => return Ok(()),
            Lasting::UntilTheSnapshotEnds if in_snapshot => {}
            Lasting::ForOneAnswer => {}
            _ => {
                client.write_all(&piece[..length])?;
                continue;
            }
        }
        // The end has to come with the last bytes, before anything else is asked.
        let mut rest = piece[..length].to_vec();
        member.set_read_timeout(Some(QUIET))?;
        return match member.read_to_end(&mut rest) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => client.write_all(&rest),
        };
    }
}
