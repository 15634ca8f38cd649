//! What people read, word for word: help, `inspect`, a manifest, and typical errors.
//! `RESTORE.md` has its own in `src/restore/golden`.

use host_tests::backup::Backup;
use host_tests::etcd::{Etcd, Version, free_port};
use host_tests::golden::assert_golden;
use host_tests::run::Run;
use host_tests::tools;
use serde_json::Value;

#[test]
fn the_help_of_every_command() {
    for command in ["", "backup", "ping", "inspect", "run", "plugin", "completions", "man"] {
        let arguments = [command, "--help"].into_iter().filter(|argument| !argument.is_empty());
        let outcome = Run::plakar_wasm(arguments).wait();
        outcome.assert_ok();
        let name =
            if command.is_empty() { "help.txt".into() } else { format!("help-{command}.txt") };
        assert_golden(&name, &outcome.stdout);
    }
}

#[test]
fn the_help_of_the_component() {
    let outcome = Run::in_our_sandbox(["--help"]).wait();
    outcome.assert_ok();
    assert_golden("help-component.txt", &outcome.stdout);
}

#[test]
fn what_inspect_shows() {
    let outcome =
        Run::plakar_wasm(["inspect"]).path(tools::connector()).args(["etcd://node1"]).wait();
    outcome.assert_ok();
    assert_golden("inspect.txt", &outcome.stdout);
}

/// Values that differ from run to run are left out.
#[test]
fn the_manifest_of_a_backup() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.settle();
    etcd.put_many("key", 3, 10);
    let backup = Backup::of(etcd.location()).run();
    backup.assert_ok();
    let mut manifest = backup.target.manifest();
    hide(&mut manifest);
    let text = serde_json::to_string_pretty(&manifest).expect("it is JSON");
    assert_golden("manifest.json", &(text + "\n"));
}

fn hide(value: &mut Value) {
    const VOLATILE: [&str; 16] = [
        "applied_index",
        "client_urls",
        "cluster_id",
        "consistent_index",
        "created_at",
        "duration_ms",
        "endpoint",
        "free_bytes",
        "free_pages",
        "hash_kv",
        "id",
        "live_pages",
        "member_id",
        "peer_urls",
        "sha256",
        "bytes",
    ];
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::Null => {}
                    _ if VOLATILE.contains(&name.as_str()) => *value = "…".into(),
                    _ => hide(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(hide),
        _ => {}
    }
}

#[test]
fn typical_errors() {
    let nobody = free_port();
    let mut errors = String::new();
    for (location, options) in [
        (format!("etcd://127.0.0.1:{nobody}"), &[][..]),
        ("http://node1:2379".into(), &[]),
        ("etcd://root:secret@node1".into(), &[]),
        ("etcd://node1".into(), &["transport=http"]),
        ("etcd://node1".into(), &["user=root"]),
        ("etcd://node1".into(), &["stall_timeout=30"]),
        ("etcd://node1".into(), &["username=root"]),
        ("etcd://node1".into(), &["tls_ca_file=/etc/hostname"]),
        ("etcd+https://node1".into(), &["tls_cert_file=/nowhere"]),
    ] {
        let outcome = Backup::of(location).options(options).arguments(["-q"]).run().outcome;
        errors.push_str(&outcome.stderr);
    }
    assert_golden("errors.txt", &errors.replace(&nobody.to_string(), "2379"));
}
