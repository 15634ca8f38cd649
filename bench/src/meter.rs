//! Counts the bytes between a client and a member, by standing in between.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const PIECE: usize = 256 << 10;

/// A relay to a member; ends on drop, once nobody is connected any more.
pub(crate) struct Meter {
    port: u16,
    bytes: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

impl Meter {
    /// A relay to `HOST:PORT`.
    pub(crate) fn start(member: String) -> io::Result<Meter> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let (bytes, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let meter = Meter { port, bytes: Arc::clone(&bytes), ended: Arc::clone(&ended) };
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                // Without the member, the client sees the end of its connection.
                let Ok(server) = TcpStream::connect(&member) else { continue };
                let ways = [client.try_clone(), server.try_clone()];
                let [Ok(to_client), Ok(to_server)] = ways else { continue };
                relay(client, to_server, &bytes);
                relay(server, to_client, &bytes);
            }
        });
        Ok(meter)
    }

    /// `HOST:PORT` to connect to instead.
    pub(crate) fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Bytes so far, both directions.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the listener up, so that it sees that it has ended.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn relay(mut from: TcpStream, mut to: TcpStream, bytes: &Arc<AtomicU64>) {
    let bytes = Arc::clone(bytes);
    std::thread::spawn(move || {
        let mut piece = vec![0; PIECE];
        while let Ok(length @ 1..) = from.read(&mut piece) {
            bytes.fetch_add(length as u64, Ordering::Relaxed);
            if to.write_all(&piece[..length]).is_err() {
                break;
            }
        }
        // Either end may be gone already.
        let _ = to.shutdown(Shutdown::Write);
        let _ = from.shutdown(Shutdown::Read);
    });
}
