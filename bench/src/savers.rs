//! The ways to save a snapshot to a file that are compared.

use crate::bed::{Door, VERSION};
use crate::measure::clean;
use host_tests::tools;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

/// A way to save a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Saver {
    /// `etcdctl snapshot save`, which verifies no digest.
    Etcdctl,
    /// The same, then a check of the file's SHA-256.
    EtcdctlChecked,
    /// `curl` of the gateway: JSON as it comes, nothing verified.
    Curl,
    /// `plakar-wasm backup`.
    Host(Transport),
    /// The same with `proof=off`: the digest alone.
    HostDigest(Transport),
    /// `etcdctl endpoint hashkv`, which saves nothing.
    HashKv,
    /// Stock `wasmtime run`.
    Wasmtime,
    /// The core without WebAssembly.
    Native(Transport),
}

/// How a saver talks to etcd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Native gRPC.
    Grpc,
    /// The JSON gateway.
    Gateway,
}

impl Transport {
    /// As the option says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Transport::Grpc => "grpc",
            Transport::Gateway => "gateway",
        }
    }
}

impl Saver {
    /// The commands that save what the member behind `door` holds into the
    /// directory `to`.
    pub(crate) fn steps(
        self,
        home: &Path,
        door: &Door<'_>,
        to: &Path,
    ) -> Result<Vec<(Command, Stdio)>, String> {
        let quiet = |command| (command, Stdio::null());
        let location = door.location();
        let file = to.join("dump");
        Ok(match self {
            Saver::Etcdctl => vec![quiet(etcdctl(home, door, &file))],
            Saver::EtcdctlChecked => {
                let mut check = clean(this_program()?, home);
                check.arg("check").arg(&file);
                vec![quiet(etcdctl(home, door, &file)), quiet(check)]
            }
            Saver::Curl => {
                let mut curl = curl(home, door, "/v3/maintenance/snapshot");
                curl.arg("--output").arg(&file);
                vec![quiet(curl)]
            }
            Saver::HashKv => {
                let mut etcdctl = clean(VERSION.program("etcdctl"), home);
                etcdctl.args(["--endpoints", &door.url(""), "--command-timeout", "60s"]);
                etcdctl.args(["endpoint", "hashkv"]);
                vec![quiet(etcdctl)]
            }
            Saver::Host(transport) | Saver::HostDigest(transport) => {
                let mut host = host(home, &["--quiet", "backup"]);
                let proof = if self == Saver::Host(transport) { "proof=auto" } else { "proof=off" };
                host.args([&location, "-o", proof, "-o", &option(transport)]).args(door.options());
                host.arg("--to").arg(to);
                vec![quiet(host)]
            }
            Saver::Wasmtime => {
                let mut wasmtime = clean(tools::wasmtime(), home);
                wasmtime.args(["run", "-S", "http"]).arg(tools::connector());
                wasmtime.args(["backup", &location, "-o", &option(Transport::Gateway)]);
                let file = File::create(file).map_err(|error| error.to_string())?;
                vec![(wasmtime, file.into())]
            }
            Saver::Native(transport) => {
                let mut native = clean(this_program()?, home);
                native.args(["native", transport.name(), &location]).arg(to);
                vec![quiet(native)]
            }
        })
    }
}

/// `etcdctl snapshot save`.
pub(crate) fn etcdctl(home: &Path, door: &Door<'_>, file: &Path) -> Command {
    let mut etcdctl = clean(VERSION.program("etcdctl"), home);
    etcdctl.args(["--endpoints", &door.url("")]);
    etcdctl.args(door.certificates(["--cacert", "--cert", "--key"]));
    etcdctl.args(["snapshot", "save"]).arg(file);
    etcdctl
}

/// `curl` of the gateway, nothing of the user's in its way.
pub(crate) fn curl(home: &Path, door: &Door<'_>, path: &str) -> Command {
    let mut curl = clean("curl", home);
    curl.args(["-q", "--silent", "--show-error", "--fail", "--noproxy", "*", "--data", "{}"]);
    curl.args(door.certificates(["--cacert", "--cert", "--key"])).arg(door.url(path));
    curl
}

/// `plakar-wasm` with these arguments, then the connector.
pub(crate) fn host(home: &Path, arguments: &[&str]) -> Command {
    let mut host = clean(tools::plakar_wasm(), home);
    host.args(arguments).arg(tools::connector());
    host
}

/// `transport=…`.
pub(crate) fn option(transport: Transport) -> String {
    format!("transport={}", transport.name())
}

fn this_program() -> Result<std::path::PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("this program's path: {error}"))
}
