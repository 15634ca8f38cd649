//! Errors before anything is contacted or written: what is wrong, where, and how
//! to write it.

use host_tests::backup::Backup;
use host_tests::database::database;
use host_tests::etcd::{Etcd, Version};
use host_tests::gateway::{Gateway, Member};
use host_tests::process::{self, Signal};
use host_tests::run::{Outcome, Run};
use host_tests::target::Target;
use plakar_connector::ErrorKind;
use std::fs;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Tries to back up with this location and these options; it has to be refused
/// before anything happens.
#[track_caller]
fn refused_at(location: &str, options: &[&str], words: &[&str]) -> Outcome {
    let target = Target::new();
    let outcome = Backup::of(location).options(options).to(&target).wait();
    outcome.assert_failed(ErrorKind::InvalidConfig, words);
    target.assert_nothing_left();
    outcome
}

/// The same at a healthy member, which must see nothing of it.
#[track_caller]
fn refused(options: &[&str], words: &[&str]) -> Outcome {
    let gateway = Gateway::start(Member::with(&database(2)));
    let outcome = refused_at(&gateway.location(), options, words);
    assert!(!gateway.was_contacted(), "it was contacted: {outcome}");
    outcome
}

#[test]
fn an_unknown_option_gets_the_nearest_suggested_and_all_listed() {
    let words =
        ["`conect_timeout`", "did you mean `connect_timeout`?", "`endpoints`", "`password_file`"];
    refused(&["conect_timeout=5s"], &words);
    refused(&["stall-timeout=5s"], &["did you mean `stall_timeout`?"]);
    refused(&["colour=blue"], &["unknown option `colour`", "`max_duration`"]);
}

#[test]
fn a_value_is_not_repeated_with_an_unknown_option() {
    let outcome = refused(&["pasword=hunter2"], &["did you mean `password`?"]);
    assert!(!outcome.says("hunter2"), "{outcome}");
}

#[test]
fn credentials_in_a_location_are_refused_and_never_repeated() {
    let gateway = Gateway::start(Member::with(&database(2)));
    let endpoint = gateway.endpoint();
    for location in [
        format!("etcd://root:hunter2@{endpoint}"),
        format!("etcd://hunter2@{endpoint}"),
        format!("etcd+https://root:hunter2@{endpoint}"),
        format!("postgres://root:hunter2@{endpoint}"),
    ] {
        let target = Target::new();
        for verbosity in ["-q", "-vv", "--json"] {
            let outcome = Backup::of(&location).arguments([verbosity]).to(&target).wait();
            outcome.assert_failed(ErrorKind::InvalidConfig, &[]);
            assert!(!outcome.says("hunter2"), "{outcome}");
        }
        target.assert_nothing_left();
    }
    let endpoints = format!("endpoints=http://root:hunter2@{endpoint}");
    let outcome = refused_at("etcd://", &[&endpoints], &["credentials"]);
    assert!(!outcome.says("hunter2"), "{outcome}");
    assert!(!gateway.was_contacted());
}

#[test]
fn a_bad_location_says_what_is_wrong_and_how_to_write_it() {
    for (location, reason) in [
        ("127.0.0.1:2379", "`etcd://HOST:PORT`"),
        ("http://127.0.0.1:2379", "`etcd://HOST:PORT`"),
        ("etc://127.0.0.1:2379", "`etcd://HOST:PORT`"),
        ("etcd://", "names no host"),
        ("etcd://:2379", "host is empty"),
        ("etcd://127.0.0.1:", "port is not a number"),
        ("etcd://127.0.0.1:http", "port is not a number"),
        ("etcd://127.0.0.1:0", "port is out of range"),
        ("etcd://127.0.0.1:65536", "port is out of range"),
        ("etcd://127.0.0.1:2379/registry", "path"),
        ("etcd://127.0.0.1:2379?limit=1", "query"),
        ("etcd://::1:2379", "brackets"),
        ("etcd://[::1", "bracket"),
        ("etcd://[fe80::1%25eth0]:2379", "IPv6"),
        ("etcd://no such host", "neither a DNS name"),
        ("etcd://300.1.2.3", "neither a DNS name"),
        ("etcd://a,b", "neither a DNS name"),
        ("etcd://a:2379,b:2379", "`endpoints=node1:2379,node2:2379`"),
        ("etcd://a:2379 b:2379", "`endpoints=node1:2379,node2:2379`"),
        ("etcd://[fe80::1]", "link-local"),
        ("etcd://0x7f000001", "neither a DNS name"),
        ("unix:///run/etcd.sock", "socket file"),
    ] {
        refused_at(location, &[], &[reason]);
    }
}

#[test]
fn what_may_hold_a_password_or_act_on_a_terminal_is_not_shown() {
    for (location, options) in [
        ("etcd://node1/?password=hunter2", &[][..]),
        ("etcd://node1#hunter2", &[]),
        ("etcd://", &["endpoints=node1,node2?password=hunter2"]),
        ("etcd://node1\n\x1b[2J\u{202e}\u{9b}2J", &[]),
        ("etcd://", &["endpoints=node1\x1b[2J"]),
        ("etcd://node1", &["x\x1b[2J=y"]),
        ("etcd://node1", &["max_duration=\x1b[2J"]),
        ("etcd://node1", &["password_file=/no/\x1b[2J"]),
    ] {
        let outcome = refused_at(location, options, &[]);
        assert!(!outcome.says("hunter2"), "{outcome}");
        for hidden in ["\x1b", "\u{202e}", "\u{9b}"] {
            assert!(!outcome.says(hidden), "{outcome:?}");
        }
        let errors = outcome.stderr.lines().filter(|line| !line.starts_with("warning: "));
        assert_eq!(errors.count(), 1, "{outcome}");
    }
}

/// A scheme has no case (RFC 3986).
#[test]
fn a_location_may_be_typed_in_any_case() {
    let gateway = Gateway::start(Member::with(&database(2)));
    for (location, options) in [
        (format!("ETCD://{}", gateway.endpoint()), None),
        ("Etcd+HTTP://".into(), Some(format!("endpoints=HTTP://{}", gateway.endpoint()))),
    ] {
        Backup::of(location).options(options).run().assert_ok();
    }
}

#[test]
fn bad_endpoints_are_named() {
    refused(&["endpoints=127.0.0.1:1,"], &["`endpoints`", "host is empty"]);
    refused(&["endpoints=127.0.0.1:1;127.0.0.1:2"], &["`endpoints`", "separated by commas"]);
    refused(&["endpoints=127.0.0.1:1\n127.0.0.1:2"], &["`endpoints`", "separated by commas"]);
    refused(&["endpoints=unixs:///run/etcd.sock"], &["`endpoints`", "socket file"]);
    refused(&["endpoints=127.0.0.1:1,,127.0.0.1:2"], &["`endpoints`", "host is empty"]);
    refused(&["endpoints="], &["`endpoints`", "host is empty"]);
    refused(&["endpoints=ftp://127.0.0.1"], &["`endpoints`", "`ftp://127.0.0.1`"]);
    refused(
        &["endpoints=http://127.0.0.1:1,https://127.0.0.1:2"],
        &["`https://127.0.0.1:2`", "TLS"],
    );
}

#[test]
fn bad_durations_are_errors_that_show_the_right_form() {
    for option in ["connect_timeout", "stall_timeout", "store_timeout", "max_duration"] {
        for value in ["0s", "5", "-5s", "soon", "", "1e9s", "5 parsecs"] {
            let words = [&format!("`{option}`"), "`30s`"];
            refused(&[&format!("{option}={value}")], &words);
        }
        for value in ["366d", "18446744073709551615s", "18446744073709551615s1000000000ns"] {
            refused(&[&format!("{option}={value}")], &[&format!("`{option}`"), "`365d`"]);
        }
        refused(&[&format!("{option}=1M")], &["`m` is a minute"]);
    }
}

/// The shortest way to the limits that are added up, for a ping waits for each endpoint.
#[test]
fn the_longest_durations_crash_nothing() {
    let gateway = Gateway::start(Member::with(&database(2)));
    let limits = ["connect_timeout", "stall_timeout", "store_timeout", "max_duration"];
    let backup = Backup::of(gateway.location()).options(limits.map(|name| format!("{name}=365d")));
    backup.ping().wait().assert_ok();
    backup.run().assert_ok();
}

fn pipe(folder: &TempDir) -> String {
    let path = folder.path().join("pipe");
    let made = process::command("mkfifo").arg(&path).status().expect("mkfifo of coreutils");
    assert!(made.success());
    path.to_str().expect("UTF-8").into()
}

#[test]
fn a_file_that_gives_nothing_is_not_waited_for_longer_than_the_run_may_last() {
    let folder = TempDir::new().expect("a temporary directory");
    let option = format!("password_file={}", pipe(&folder));
    let begun = Instant::now();
    refused(
        &["username=root", &option, "max_duration=500ms"],
        &["`password_file`", "was not complete within"],
    );
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn a_signal_ends_the_wait_for_a_file_that_gives_nothing() {
    let folder = TempDir::new().expect("a temporary directory");
    let pipe = pipe(&folder);
    let option = format!("password_file={pipe}");
    for more in [&["-o", option.as_str()][..], &["--config", &pipe]] {
        for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
            let running = Backup::of("etcd://127.0.0.1:1").arguments(more).ping().start();
            // It waits for a writer, and this is one that never writes.
            let writer = fs::OpenOptions::new().write(true).open(&pipe).expect("it is opened");
            let begun = Instant::now();
            running.signal(signal);
            running.wait().assert_exit(code, &[]);
            assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
            drop(writer);
        }
    }
}

#[test]
fn a_file_without_an_end_is_not_read_to_it() {
    refused(&["username=root", "password_file=/dev/zero"], &["`/dev/zero` is longer than"]);
    let target = Target::new();
    let more = ["--config", "/dev/zero"];
    Backup::of("etcd://127.0.0.1:1")
        .arguments(more)
        .to(&target)
        .wait()
        .assert_failed(ErrorKind::InvalidConfig, &["config file `/dev/zero`", "is longer than"]);
}

#[test]
fn a_password_comes_from_its_file_as_it_stands_there() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.enable_authentication("hunter2");
    // The file is a pipe, too.
    let login = ["username=root", "password_file=/dev/stdin"];
    let backup = |password: &str| {
        let target = Target::new();
        let outcome = Backup::of(etcd.location()).options(login).to(&target);
        outcome.input(password).wait()
    };
    for password in ["hunter2", "hunter2\n", "\u{feff}hunter2\r\n"] {
        let outcome = backup(password);
        outcome.assert_ok();
        assert!(!outcome.says("begins or ends with a space"), "{outcome}");
    }
    for password in ["hunter2\n\n", "hunter2\r", " hunter2"] {
        let outcome = backup(password);
        outcome.assert_failed(ErrorKind::Unauthenticated, &["begins or ends with a space"]);
        assert!(!outcome.says("hunter2"), "{outcome}");
    }
}

#[test]
fn a_password_that_is_typed_in_place_of_its_file_is_not_shown() {
    let outcome = refused(&["username=root", "password_file=hunter2"], &["`password_file`"]);
    assert!(!outcome.says("hunter2"), "{outcome}");
}

#[test]
fn bad_values_are_errors_that_list_the_good_ones() {
    refused(&["transport=carrier-pigeon"], &["`transport`", "`gateway`"]);
    refused(&["username=root"], &["`password_file`"]);
    refused(&["password=hunter2"], &["`username`"]);
    refused(&["username=", "password=hunter2"], &["`username` is empty"]);
    refused(&["username=root", "password="], &["`password` is empty"]);
    refused(&["=x"], &["no name"]);
    refused(&["location=etcd://elsewhere"], &["argument"]);
}

#[test]
fn a_file_of_a_secret_that_cannot_be_used_is_named() {
    let folder = TempDir::new().expect("a temporary directory");
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let missing = folder.path().join("missing").to_str().expect("UTF-8").to_owned();
    let directory = folder.path().to_str().expect("UTF-8").to_owned();
    for (path, reason) in [
        (missing, "cannot be opened"),
        (directory, "cannot be read"),
        (file("empty", b""), "is empty"),
        (file("blank", b"\n"), "is empty"),
        (file("binary", b"\xff\xfe"), "cannot be read as text"),
        (file("large", &[b'x'; (1 << 20) + 1]), "is longer than"),
    ] {
        let option = format!("password_file={path}");
        refused(&["username=root", &option], &["`password_file`", &format!("`{path}`"), reason]);
    }
    let good = format!("password_file={}", file("good", b"hunter2\n"));
    let outcome = refused(&["username=root", "password=hunter3", &good], &["exclude each other"]);
    assert!(!outcome.says("hunter"), "{outcome}");
}

#[test]
fn a_bad_config_file_is_named_without_its_values() {
    let folder = TempDir::new().expect("a temporary directory");
    let file = folder.path().join("config.toml");
    let path = file.to_str().expect("UTF-8");
    let gateway = Gateway::start(Member::with(&database(2)));
    let target = Target::new();
    for (content, words) in [
        ("username = \"root\"\npassword = \"hunter2", &["line 2"][..]),
        ("password = [\"hunter2\"]", &["`password`", "array"]),
        ("[password]\nvalue = \"hunter2\"", &["`password`", "table"]),
        ("pasword = \"hunter2\"", &["did you mean `password`?"]),
        ("max_duration = 5", &["`max_duration`"]),
    ] {
        fs::write(&file, content).expect("written");
        let outcome =
            Backup::of(gateway.location()).arguments(["--config", path]).to(&target).wait();
        outcome.assert_failed(ErrorKind::InvalidConfig, words);
        assert!(!outcome.says("hunter2"), "{outcome}");
    }
    fs::remove_file(&file).expect("it was there");
    let outcome = Backup::of(gateway.location()).arguments(["--config", path]).to(&target).wait();
    outcome.assert_failed(ErrorKind::InvalidConfig, &[&format!("`{path}`")]);
    target.assert_nothing_left();
    assert!(!gateway.was_contacted());
}

#[test]
fn a_connector_that_is_not_there_is_named() {
    let target = Target::new();
    let outcome = Run::plakar_wasm(["backup", "no-such.wasm", "etcd://127.0.0.1:1", "--to"])
        .args([target.argument()])
        .wait();
    assert_ne!(outcome.code, 0);
    assert!(outcome.stderr.contains("`no-such.wasm`"), "{outcome}");
    target.assert_nothing_left();
}

#[test]
fn a_wrong_call_shows_the_right_one() {
    for arguments in
        [&["backup"][..], &["backup", "x.wasm", "etcd://h"], &["restore"], &["--frobnicate"]]
    {
        Run::plakar_wasm(arguments).wait().assert_failed(ErrorKind::InvalidConfig, &["Usage"]);
    }
}
