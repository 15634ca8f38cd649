//! The whole story, for real: an etcd member, an encrypted Plakar store, a backup
//! through the sandboxed component, a restore, and the proof that what came back is
//! what was there.
//!
//! `./just demo` runs it. It ends with an error where anything is not as it should
//! be, and leaves nothing behind.

use host_tests::etcd::{Etcd, Version};
use host_tests::plakar::Plakar;
use host_tests::run::{Outcome, Run};
use std::time::Instant;

const VERSION: Version = Version::NEWEST;
const KEYS: usize = 5000;
const SECRET: &str = "correct-horse-battery-staple";

fn main() {
    let started = Instant::now();
    title("an etcd member on loopback");
    let etcd = Etcd::start(VERSION);
    etcd.put_many("/registry/pods", KEYS, 2000);
    etcd.put("/registry/secrets/default/database", SECRET);
    let revision = etcd.revision();
    println!("etcd {VERSION} at {}, {} keys, revision {revision}", etcd.endpoint(), KEYS + 1);

    title("plakar, with the connector's package and an encrypted store");
    let plakar = Plakar::encrypted("a passphrase for this demo");
    show(plakar.run(&["pkg", "list"]), "plakar pkg list");
    show(
        plakar.run(&["source", "add", "demo", &etcd.location()]),
        &format!("plakar source add demo {}", etcd.location()),
    );
    show(plakar.run(&["source", "ping", "demo"]), "plakar source ping demo");

    title("the backup, through the sandboxed component");
    show(
        plakar.backup(&etcd.location(), &[]),
        &format!("plakar at ./store backup {}", etcd.location()),
    );
    let snapshot = plakar.latest();
    show(plakar.at_store(&["ls", &snapshot.id]), &format!("plakar at ./store ls {}", snapshot.id));
    let manifest = snapshot.cat("/manifest.json");
    for field in ["\"transport\"", "\"etcd_version\"", "\"role\"", "\"bytes\"", "\"sha256\""] {
        manifest.lines().filter(|line| line.contains(field)).for_each(|line| println!("{line}"));
    }
    let files = plakar.store();
    let grep = Run::of(std::process::Command::new("grep"))
        .args(["-r", "-c", "-F", SECRET])
        .path(&files)
        .wait();
    assert_ne!(grep.code, 0, "the secret stands in the store's files");
    println!("the secret value is nowhere in the store's files");

    title("the bad day: restore, and boot a member from it");
    let restored = snapshot.restore();
    println!("$ plakar at ./store restore -to ./etcd-snapshot {}", snapshot.id);
    println!("$ etcdutl snapshot restore ./etcd-snapshot/dump … (as RESTORE.md says)");
    let member = Etcd::restore(VERSION, &restored.dump());
    println!("etcd {VERSION} serves the restored data at {}", member.endpoint());

    title("the proof");
    let (source, copy) = (etcd.hash_kv(revision), member.hash_kv(revision));
    println!("HashKV at revision {revision}: source {}, restored {}", source.hash, copy.hash);
    assert_eq!(source, copy, "the restored member holds other data");
    assert_eq!(etcd.full_range(revision), member.full_range(revision), "a key differs");
    println!(
        "every key, value, revision and lease is equal; {:.1} s in all",
        started.elapsed().as_secs_f64()
    );
}

fn title(text: &str) {
    println!("\n== {text}");
}

/// Runs a command that has to succeed, and shows it as a person would type it,
/// what it said, and how long it took.
#[track_caller]
fn show(run: Run, typed: &str) {
    println!("$ {typed}");
    let started = Instant::now();
    let outcome: Outcome = run.wait();
    print!("{}{}", outcome.stdout, outcome.stderr);
    assert_eq!(outcome.code, 0, "it failed: {outcome}");
    println!("  ({:.1} s)", started.elapsed().as_secs_f64());
}
