//! What the store holds.

use crate::attempt::MORE_THAN_BUFFERS_HOLD;
use host_tests::etcd::{Etcd, Version};
use host_tests::plakar::Plakar;
use host_tests::process::command;
use host_tests::run::Run;
use host_tests::target::below;
use host_tests::tools;
use std::path::Path;

/// A value that nothing else holds and no compression shortens.
fn value() -> String {
    (0..64).map(|_| fastrand::alphanumeric()).collect()
}

fn is_in(value: &str, directory: &Path) -> bool {
    below(directory).iter().filter(|path| path.is_file()).any(|path| {
        let bytes = std::fs::read(path).expect("it is ours");
        bytes.windows(value.len()).any(|window| window == value.as_bytes())
    })
}

#[test]
fn an_encrypted_store_shows_nothing_and_opens_to_one_passphrase() {
    let etcd = Etcd::start(Version::V3_6_14);
    let value = value();
    etcd.put("secret", &value);
    let plakar = Plakar::encrypted("correct horse battery staple");
    plakar.backup(&etcd.location(), &[]).wait().assert_code(0);
    assert!(!is_in(&value, &plakar.store()), "the value is in the store");
    let target = plakar.latest().restore();
    assert!(is_in(&value, &target.path()), "the value is not in the dump");
    plakar.at_store(&["ls"]).env("PLAKAR_PASSPHRASE", "wrong").wait().assert_code(77);

    // That one would see it where it is not encrypted.
    let bare = Plakar::new();
    let open = bare.home().join("open");
    let store = open.to_str().expect("UTF-8");
    bare.run(&["at", store, "create", "-plaintext", "-no-compression"]).wait().assert_code(0);
    bare.run(&["at", store, "backup", &etcd.location()]).wait().assert_code(0);
    assert!(is_in(&value, &open), "one does not see values in an open store either");
}

/// plakar pads with up to 2 MiB of random bytes, so the database has to be of some
/// size for one per cent to mean something.
#[test]
fn a_second_backup_of_an_unchanged_member_adds_less_than_a_hundredth() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.fill(600 << 20);
    let plakar = Plakar::encrypted("correct horse battery staple");
    plakar.backup(&etcd.location(), &[]).wait().assert_code(0);
    let first = plakar.store_bytes();
    plakar.backup(&etcd.location(), &[]).wait().assert_code(0);
    let growth = plakar.store_bytes() - first;
    println!("{first} bytes after the first backup, {growth} more after the second");
    assert!(growth * 100 <= first, "{growth} bytes more, after {first}");
    plakar.latest().check();
}

#[test]
fn clusters_in_one_store_are_distinguished_and_each_backup_is_new() {
    let (one, two) = (Etcd::start(Version::V3_6_14), Etcd::start(Version::V3_6_14));
    let plakar = Plakar::new();
    for round in ["first", "second"] {
        for (etcd, name) in [(&one, "one"), (&two, "two")] {
            etcd.put(round, name);
            plakar.backup(&etcd.location(), &[]).wait().assert_code(0);
            let snapshot = plakar.latest();
            assert!(snapshot.info().contains(&format!("Origin: {}", etcd.endpoint())));
            let restored = Etcd::restore(etcd.version, &snapshot.restore().dump());
            assert_eq!(restored.revision(), etcd.revision(), "an older dump was kept");
            let revision = etcd.revision();
            assert_eq!(restored.full_range(revision), etcd.full_range(revision));
        }
    }
    assert_eq!(plakar.snapshots().len(), 4);
}

/// plakar says that all is well, and the plugin cannot see that it is not. This
/// shows what the documentation says: `-check` finds it.
#[test]
fn a_store_that_is_full_is_noticed_by_a_check_alone() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.fill(MORE_THAN_BUFFERS_HOLD);
    let plakar = Plakar::new();
    let place = plakar.home().join("small");
    std::fs::create_dir(&place).expect("it is ours");
    let script = format!(
        "mount -t tmpfs -o size=16m tmpfs {place} && {plakar} at {place}/store create -plaintext \
         && {{ {plakar} at {place}/store backup {location}; echo backup=$?; \
         {plakar} at {place}/store ls; echo listed; \
         {plakar} at {place}/store backup -check {location}; echo checked=$?; }}",
        place = place.display(),
        plakar = tools::plakar().display(),
        location = etcd.location(),
    );
    let mut run = Run::of(command("unshare")).args(["--user", "--map-root-user", "--mount"]);
    run = run.args(["sh", "-c", &script]);
    for (name, folder) in [
        ("HOME", ""),
        ("XDG_CACHE_HOME", "cache"),
        ("XDG_DATA_HOME", "data"),
        ("XDG_CONFIG_HOME", "config"),
    ] {
        run = run.env(name, plakar.home().join(folder).to_str().expect("UTF-8"));
    }
    let outcome = run.wait();
    outcome.assert_code(0);
    assert!(outcome.says("no space left"), "{outcome}");
    let between = |from: &str, to: &str| {
        let (_, rest) = outcome.stdout.split_once(from).expect("it was said");
        rest.split_once(to).expect("it was said").0.to_owned()
    };
    // plakar mostly lists nothing then, and now and then what it could not store.
    assert!(between("backup=", "listed").starts_with("0\n"), "{outcome}");
    assert_eq!(between("checked=", "\n"), "1", "{outcome}");
}
