//! How long it takes until something happens, and what it takes while nothing does.

use super::Row;
use super::store::Stores;
use crate::bed::{self, Bed, VERSION};
use crate::measure::{self, Running};
use crate::results::{Quantity, Sample};
use crate::savers::{Transport, curl, host, option};
use host_tests::etcd::{Etcd, free_port};
use host_tests::process::{Process, Signal};
use host_tests::tools;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long plakar stays stopped.
const STOPPED: Duration = Duration::from_secs(5);

/// The bytes after which it is stopped: the dump is under way.
const UNDER_WAY: u64 = 4 << 20;

/// An HTTP/2 client's first words: the preface, and SETTINGS that set nothing
/// (RFC 9113, 3.4 and 6.5).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const FRAME_HEADER: usize = 9;
const SETTINGS: u8 = 4;

/// What these rows need beside a loaded member.
pub(super) struct Ground<'a> {
    bed: &'a Bed,
    stores: Stores,
    frozen: Etcd,
}

impl Ground<'_> {
    pub(super) fn new(bed: &Bed) -> Result<Ground<'_>, String> {
        let frozen = Etcd::start(VERSION);
        frozen.signal(Signal::STOP);
        Ok(Ground { bed, stores: Stores::new()?, frozen })
    }
}

/// The rows.
pub(super) fn rows<'a>(ground: &'a Ground<'a>) -> Vec<Row<'a>> {
    let bed = ground.bed;
    vec![
        Row::new("start/curl-status", move |_| {
            Ok(wall(measure::run(curl(bed.home(), &bed.door(), "/v3/maintenance/status"))?.wall))
        }),
        Row::new("start/ping-cold", move |_| ping(bed, bed::folder()?.path())),
        Row::new("start/ping-warm", move |_| ping(bed, bed.home())),
        Row::new("start/first-byte-curl", move |_| {
            first_byte(curl(bed.home(), &bed.door(), "/v3/maintenance/snapshot"))
        }),
        Row::new("start/first-byte-gateway", move |_| {
            first_byte(to_stdout(bed, &bed.etcd.location(), &option(Transport::Gateway)))
        }),
        Row::new("start/first-byte-grpc", move |_| {
            first_byte(to_stdout(bed, &bed.etcd.location(), &option(Transport::Grpc)))
        }),
        Row::new("start/first-byte-choice", move |_| {
            let (frozen, well) = (ground.frozen.endpoint(), bed.etcd.endpoint());
            let endpoints = format!("endpoints=127.0.0.1:{},{frozen},{well}", free_port());
            first_byte(to_stdout(bed, "etcd://", &endpoints))
        }),
        Row::new("start/plugin-cold", move |_| first_frame(bed::folder()?.path())),
        Row::new("start/plugin-warm", move |_| first_frame(bed.home())),
        Row::new("start/plugin-stopped", move |_| stopped(ground)),
        Row::new("start/connector", |_| {
            let size = tools::connector().metadata().map_err(|error| error.to_string())?.len();
            Ok(vec![(Quantity::Size, size as f64)])
        }),
    ]
}

fn wall(seconds: f64) -> Sample {
    vec![(Quantity::Wall, seconds)]
}

fn ping(bed: &Bed, home: &Path) -> Result<Sample, String> {
    let mut ping = host(home, &["-vv", "ping"]);
    ping.arg(bed.etcd.location());
    let cost = measure::run(ping)?;
    let reported = |what: &str| {
        // The last: the component is instantiated once more to be described.
        let line = cost.stderr.lines().rfind(|line| line.contains(what));
        let text = line.and_then(|line| line.split("elapsed=").nth(1));
        text.and_then(seconds).ok_or_else(|| format!("`-vv` does not report when {what}"))
    };
    Ok(vec![
        (Quantity::Wall, cost.wall),
        (Quantity::Memory, cost.memory as f64),
        (Quantity::Compile, reported("the component is compiled or taken from the cache")?),
        (Quantity::Instantiate, reported("the component is instantiated")?),
    ])
}

/// A `Duration` as `Debug` writes it.
fn seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let unit = match &text[digits..] {
        "s" => 1.0,
        "ms" => 1e-3,
        "µs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    };
    Some(text[..digits].parse::<f64>().ok()? * unit)
}

/// A backup in the sandbox to standard output.
fn to_stdout(bed: &Bed, location: &str, option: &str) -> Command {
    let mut host = host(bed.home(), &["run"]);
    host.args(["--", "backup", location, "-o", option]);
    host
}

/// Seconds until a command's first byte of output; the rest is not waited for.
fn first_byte(command: Command) -> Result<Sample, String> {
    let mut running = Running::start(command, Stdio::piped())?;
    let mut stdout = running.child().stdout.take().ok_or("its output is not a pipe")?;
    let read = stdout.read_exact(&mut [0]).map(|()| running.started().elapsed());
    match read {
        Ok(took) => Ok(wall(took.as_secs_f64())),
        Err(_) => {
            running.wait(&mut |_| {})?;
            Err("it wrote nothing".into())
        }
    }
}

/// Seconds until the plugin has served its first HTTP/2 frame.
fn first_frame(home: &Path) -> Result<Sample, String> {
    let mut plugin = host(home, &["plugin"]);
    plugin.stdin(Stdio::piped());
    let mut running = Running::start(plugin, Stdio::piped())?;
    let mut stdin = running.child().stdin.take().ok_or("its input is not a pipe")?;
    let mut stdout = running.child().stdout.take().ok_or("its output is not a pipe")?;
    let mut frame = [0; FRAME_HEADER];
    let served = stdin.write_all(PREFACE).and_then(|()| stdout.read_exact(&mut frame));
    served.map_err(|error| format!("the plugin serves nothing: {error}"))?;
    let took = running.started().elapsed();
    match frame[3] {
        SETTINGS => Ok(wall(took.as_secs_f64())),
        other => Err(format!("the plugin's first frame has the type {other}")),
    }
}

/// The plugin's memory while plakar does not take what it is given.
fn stopped(ground: &Ground<'_>) -> Result<Sample, String> {
    let store = ground.stores.fresh();
    let option = option(Transport::Grpc);
    let backup = ground.stores.backup(&store, &["-o", &option, &ground.bed.etcd.location()]);
    let plakar = Running::start(backup, Stdio::null())?;
    let plugin = loop {
        match ground.stores.plugin() {
            Some(plugin) if plugin.bytes_written() > UNDER_WAY => break plugin,
            _ if plakar.started().elapsed() > STOPPED * 6 => return Err("no dump arrives".into()),
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    plakar.signal(Signal::STOP)?;
    std::thread::sleep(STOPPED);
    let memory =
        Process::peak_memory(plugin.0).ok_or("the plugin ended while plakar was stopped")?;
    plakar.signal(Signal::CONT)?;
    plakar.wait(&mut |_| {})?;
    std::fs::remove_dir_all(store).map_err(|error| error.to_string())?;
    Ok(vec![(Quantity::Memory, memory as f64)])
}
