//! Signals, and who is left.

use super::{filled, stopped_in_the_middle};
use host_tests::plakar::Plakar;
use host_tests::process::Signal;
use std::time::{Duration, Instant};

/// Memory that a host with a component takes, whatever the size of a database.
const MEMORY: u64 = 96 << 20;

/// `ABRT` is how a panic of the host ends: it must never unwind, for plakar takes
/// the end of a call for its success.
#[test]
fn a_plugin_that_dies_fails_the_backup() {
    for signal in [Signal::KILL, Signal::ABORT] {
        let (etcd, plakar) = (filled(), Plakar::new());
        let (running, plugin) = stopped_in_the_middle(&plakar, &etcd, &[]);
        plugin.signal(signal);
        let outcome = plugin.resume(running);
        plakar.assert_failed(&outcome, &["failed to backup source"]);
        etcd.assert_snapshots_ended(1, Duration::from_secs(5));
    }
}

#[test]
fn a_panic_of_the_host_ends_its_process() {
    let manifest = std::fs::read_to_string(host_tests::tools::repository().join("Cargo.toml"))
        .expect("it is in the repository");
    let (_, release) = manifest.split_once("[profile.release]").expect("there is such a profile");
    let release = release.split("\n[").next().unwrap_or_default();
    assert!(release.contains("panic = \"abort\""), "{release}");
}

#[test]
fn a_plakar_that_is_stopped_leaves_nothing_behind() {
    for signal in [Signal::KILL, Signal::TERM, Signal::INT] {
        let (etcd, plakar) = (filled(), Plakar::new());
        let (running, plugin) = stopped_in_the_middle(&plakar, &etcd, &[]);
        running.signal(signal);
        // Killed it may be by now, but not before plakar.
        let outcome = {
            let _ = std::panic::catch_unwind(|| plugin.signal(Signal::CONT));
            running.wait()
        };
        assert_ne!(outcome.code, 0, "{outcome}");
        plakar.assert_no_plugin_left();
        etcd.assert_snapshots_ended(1, Duration::from_secs(5));
        assert_eq!(plakar.snapshots(), [""; 0], "something was committed: {outcome}");
    }
}

#[test]
fn a_slow_plakar_makes_the_plugin_wait_and_not_grow() {
    let (etcd, plakar) = (filled(), Plakar::new());
    let (running, plugin) = stopped_in_the_middle(&plakar, &etcd, &[]);
    running.signal(Signal::STOP);
    plugin.signal(Signal::CONT);
    // It fills the pipe, and then nothing moves.
    let mut written = plugin.bytes_written();
    let mut still_since = Instant::now();
    while still_since.elapsed() < Duration::from_secs(1) {
        std::thread::sleep(Duration::from_millis(50));
        let now = plugin.bytes_written();
        if now != written {
            (written, still_since) = (now, Instant::now());
        }
    }
    assert_eq!(etcd.snapshots_ended(), 0, "the plugin has read on without plakar");
    let peak = plugin.peak_memory();
    running.signal(Signal::CONT);
    running.wait().assert_code(0);
    plakar.assert_no_plugin_left();
    assert!(peak < MEMORY, "{} MiB", peak >> 20);
    println!("peak of the plugin: {} MiB", peak >> 20);
}
