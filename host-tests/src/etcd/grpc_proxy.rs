//! `etcd grpc-proxy`, which responds for its members and hides which one did.

use super::{Version, free_port};
use crate::process::{Process, command};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A running proxy.
#[derive(Debug)]
pub struct GrpcProxy {
    port: u16,
    _process: Process,
    // Dropped last: the process writes below it.
    _folder: TempDir,
}

impl GrpcProxy {
    /// Starts one in front of these members. One that `advertises` itself lists itself as
    /// the only member.
    pub fn start(version: Version, members: &[String], advertises: bool) -> GrpcProxy {
        let folder = TempDir::with_prefix("grpc-proxy-").expect("a temporary directory");
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let mut proxy = command(version.program("etcd"));
        proxy
            .args(["grpc-proxy", "start", "--endpoints", &members.join(",")])
            .args(["--listen-addr", &address])
            .args(["--advertise-client-url", if advertises { &address } else { "" }])
            .arg("--data-dir")
            .arg(folder.path())
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut process = Process::start(proxy);
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(process.wait(Duration::from_millis(20)).is_none(), "the proxy has ended");
            assert!(started.elapsed() < Duration::from_secs(30), "the proxy does not serve");
        }
        GrpcProxy { port, _process: process, _folder: folder }
    }

    /// `HOST:PORT`.
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What to give to the connector.
    pub fn location(&self) -> String {
        format!("etcd://{}", self.endpoint())
    }
}
