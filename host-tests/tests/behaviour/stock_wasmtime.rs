//! The component without our host: a command line for stock `wasmtime`.

use host_tests::database::{database, dump};
use host_tests::etcd::{Etcd, Version, free_port};
use host_tests::gateway::{Gateway, Member, Response, Stream};
use host_tests::run::{Outcome, Run};
use plakar_connector::ErrorKind;
use std::fs::{self, OpenOptions};
use std::io::Read;
use tempfile::NamedTempFile;

/// `wasmtime run … > FILE`: what came of it, and what is in the file.
fn to_file(arguments: &[&str]) -> (Outcome, NamedTempFile) {
    let file = NamedTempFile::new().expect("a temporary file");
    let output = file.reopen().expect("it is there");
    (Run::wasmtime(arguments).output_to(output).wait(), file)
}

fn read(file: &NamedTempFile) -> Vec<u8> {
    fs::read(file.path()).expect("it is there")
}

fn verify(input: impl Into<Vec<u8>>) -> Outcome {
    Run::wasmtime(["verify"]).input(input).wait()
}

fn healthy(pages: usize) -> Gateway {
    Gateway::start(Member::with(&database(pages)))
}

fn bundle(pages: usize) -> Vec<u8> {
    let gateway = healthy(pages);
    let (outcome, file) = to_file(&["backup", "--bundle", &gateway.location()]);
    outcome.assert_ok();
    read(&file)
}

#[test]
fn a_backup_is_the_dump_byte_for_byte() {
    let gateway = healthy(200);
    let (outcome, file) = to_file(&["backup", &gateway.location()]);
    outcome.assert_ok();
    assert!(read(&file) == dump(&database(200)));
}

#[test]
fn a_backup_of_a_real_member_restores_to_the_same_data() {
    for version in Version::ALL {
        let etcd = Etcd::start(version);
        etcd.put_many("config", 200, 500);
        let (outcome, file) = to_file(&["backup", &etcd.location()]);
        outcome.assert_ok();
        let restored = Etcd::restore(version, file.path());
        let revision = restored.revision();
        assert_eq!(restored.hash_kv(revision), etcd.hash_kv(revision));
        assert_eq!(restored.full_range(revision), etcd.full_range(revision));
    }
}

#[test]
fn a_failed_backup_leaves_a_file_that_no_tool_restores() {
    let mut stream = Stream::of(&database(40));
    stream.digest()[0] ^= 1;
    let member = Member::with(&database(40)).snapshot(Response::stream(stream.body()));
    let gateway = Gateway::start(member);
    let (outcome, file) = to_file(&["backup", &gateway.location()]);
    outcome.assert_failed(
        ErrorKind::Corrupt,
        &[&format!("`{}`: snapshot: ", gateway.endpoint()), "SHA-256"],
    );
    let left = read(&file);
    assert_ne!(left.len() % 512, 32, "it looks like a whole dump");
    verify(left).assert_failed(ErrorKind::Interrupted, &[]);
}

#[test]
fn an_output_that_takes_no_more_is_not_a_success() {
    let gateway = healthy(40);
    let full = || OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    for bundle in [&["backup"][..], &["backup", "--bundle"]] {
        for run in [Run::wasmtime(bundle), Run::in_our_sandbox(bundle)] {
            let outcome = run.args([gateway.location()]).output_to(full()).wait();
            outcome.assert_failed(ErrorKind::Other, &["output"]);
        }
    }
}

/// Messages are for people; the exit code is the verdict.
#[test]
fn a_standard_error_that_cannot_be_written_changes_no_exit_code() {
    let gateway = healthy(40);
    let backup = ["backup", &gateway.location(), "-o", "transport=gateway"].map(str::to_owned);
    for (arguments, code) in [(&backup[..], 0), (&["frobnicate".to_owned()], 2)] {
        for run in [Run::wasmtime(arguments), Run::in_our_sandbox(arguments)] {
            let run = run.through("sh", ["-c", "exec \"$@\" 2> /dev/full", "sh"]);
            let outcome = run.output_to(tempfile::tempfile().expect("a file")).wait();
            assert_eq!(outcome.code, code, "{outcome}");
        }
    }
}

#[test]
fn a_bundle_holds_all_records() {
    let archive = bundle(40);
    let mut names = Vec::new();
    for entry in tar::Archive::new(archive.as_slice()).entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a path").to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("its content");
        match name.as_str() {
            "dump" => assert!(content == dump(&database(40))),
            "manifest.json" => {
                let manifest: serde_json::Value = serde_json::from_slice(&content).expect("JSON");
                assert_eq!(manifest["dump"]["bytes"], dump(&database(40)).len());
            }
            _ => assert!(!content.is_empty(), "{name}"),
        }
        names.push(name);
    }
    assert_eq!(names, ["dump", "manifest.json", "RESTORE.md"]);
}

#[test]
fn whole_dumps_and_bundles_are_verified() {
    verify(dump(&database(40))).assert_ok();
    verify(bundle(40)).assert_ok();
    Run::in_our_sandbox(["verify"]).input(dump(&database(40))).wait().assert_ok();
}

#[test]
fn a_dump_that_was_damaged_is_found_out() {
    let good = dump(&database(10));
    for at in [0, 17, 9000, good.len() - 40, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 4;
        verify(bad).assert_failed(ErrorKind::Corrupt, &["verify"]);
    }
}

#[test]
fn a_dump_that_was_cut_is_found_out() {
    let good = dump(&database(10));
    for length in [0, 1, 31, 32, 512, 4096, 4096 + 32, good.len() - 32, good.len() - 1] {
        let outcome = verify(&good[..length]);
        assert!([8, 9].contains(&outcome.code), "{length} bytes: {outcome}");
    }
    let longer = [good.as_slice(), b"x"].concat();
    assert!([8, 9].contains(&verify(longer).code));
}

#[test]
fn a_bundle_that_was_damaged_or_cut_is_found_out() {
    let good = bundle(10);
    let mut flipped = good.clone();
    flipped[512 + 9000] ^= 4;
    verify(flipped).assert_failed(ErrorKind::Corrupt, &["verify"]);
    // In the dump, behind the dump, behind the manifest.
    for length in [600, 20_000, 512 + 40_960 + 512, good.len() - 4096] {
        let outcome = verify(&good[..length]);
        assert!([8, 9].contains(&outcome.code), "{length} bytes: {outcome}");
    }
}

#[test]
fn a_bundle_whose_dump_is_another_one_is_found_out() {
    let (first, second) = (bundle(10), bundle(11));
    let entry = |archive: &[u8], wanted: &str| -> (tar::Header, Vec<u8>) {
        for entry in tar::Archive::new(archive).entries().expect("an archive") {
            let mut entry = entry.expect("an entry");
            if entry.path().expect("a path").as_os_str() == wanted {
                let mut content = Vec::new();
                entry.read_to_end(&mut content).expect("its content");
                return (entry.header().clone(), content);
            }
        }
        panic!("the bundle has no {wanted}");
    };
    let mut mixed = tar::Builder::new(Vec::new());
    for (archive, name) in [(&second, "dump"), (&first, "manifest.json"), (&first, "RESTORE.md")] {
        let (header, content) = entry(archive, name);
        mixed.append(&header, content.as_slice()).expect("written");
    }
    let mixed = mixed.into_inner().expect("written");
    verify(mixed).assert_failed(ErrorKind::Corrupt, &["`manifest.json`"]);
}

#[test]
fn the_exit_code_shows_the_kind() {
    let with = |path: &str, response| Gateway::start(Member::with(&database(2)).on(path, response));
    let snapshot = "/v3/maintenance/snapshot";
    let style = host_tests::etcd::GatewayStyle::V2;
    let cases = [
        (
            with(snapshot, Response::refusal(style, 400, 3, "etcdserver: user name is empty")),
            ErrorKind::Unauthenticated,
        ),
        (
            with(snapshot, Response::refusal(style, 403, 7, "etcdserver: permission denied")),
            ErrorKind::PermissionDenied,
        ),
        (
            with(snapshot, Response::new(404, "text/plain", "404 page not found\n")),
            ErrorKind::Unsupported,
        ),
        (
            with(snapshot, Response::stream(Stream::of(&database(2)).body()).then_cut()),
            ErrorKind::Interrupted,
        ),
        (with(snapshot, Response::stream([]).then_silence()), ErrorKind::TimedOut),
        (with(snapshot, Response::stream("{}")), ErrorKind::Corrupt),
        (with(snapshot, Response::new(418, "text/plain", "short and stout")), ErrorKind::Other),
    ];
    for (gateway, kind) in cases {
        let arguments = ["backup", &gateway.location(), "-o", "stall_timeout=1s"];
        let place = format!("`{}`: snapshot: ", gateway.endpoint());
        Run::wasmtime(arguments).wait().assert_failed(kind, &[&place]);
    }
    let nobody = format!("etcd://127.0.0.1:{}", free_port());
    Run::wasmtime(["backup", &nobody]).wait().assert_failed(ErrorKind::Unreachable, &["refused"]);
    Run::wasmtime(["ping", &nobody]).wait().assert_failed(ErrorKind::Unreachable, &["refused"]);
    Run::wasmtime(["ping", &healthy(2).location()]).wait().assert_ok();
}

/// The user may read every key, which a status and a member list take for enough.
#[test]
fn a_ping_says_no_where_a_backup_would_be_refused() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.enable_authentication("hunter2");
    for (user, kind) in [("reader", Some(ErrorKind::PermissionDenied)), ("backup", None)] {
        let username = format!("username={user}");
        let ping = Run::wasmtime_with(
            ["--env", "ETCD_PASSWORD=hunter2"],
            ["ping", &etcd.location(), "-o", &username, "--password-env", "ETCD_PASSWORD"],
        )
        .wait();
        match kind {
            Some(kind) => drop(ping.assert_failed(kind, &["role `root`"])),
            None => drop(ping.assert_ok()),
        }
    }
}

#[test]
fn bad_input_is_refused_before_anything_is_contacted() {
    let gateway = healthy(2);
    let location = gateway.location();
    for (arguments, words) in [
        (&[][..], "--help"),
        (&["restore", &location], "`restore`"),
        (&["backup"], "location"),
        (&["backup", "127.0.0.1"], "`etcd://HOST:PORT`"),
        (&["backup", &location, "-o", "stal_timeout=1s"], "did you mean `stall_timeout`?"),
        (&["backup", &location, "-o", "stall_timeout=1"], "`30s`"),
        (&["backup", &location, "--frobnicate"], "--help"),
        (&["verify", "dump"], "--help"),
    ] {
        Run::wasmtime(arguments).wait().assert_failed(ErrorKind::InvalidConfig, &[words]);
    }
    // What only a host of the contract can do, and where to get it.
    for option in ["tls_ca=x", "password_file=x"] {
        let arguments = ["backup", &location, "-o", option];
        Run::wasmtime(arguments).wait().assert_failed(ErrorKind::Unsupported, &["`plakar-wasm`"]);
    }
    assert!(!gateway.was_contacted());
    let secret = "etcd://root:hunter2@127.0.0.1";
    let outcome = Run::wasmtime(["backup", secret]).wait();
    outcome.assert_failed(ErrorKind::InvalidConfig, &["credentials"]);
    assert!(!outcome.says("hunter2"), "{outcome}");
}

#[test]
fn help_and_version_are_printed() {
    let outcome = Run::wasmtime(["--help"]).wait();
    outcome.assert_ok();
    for words in ["backup", "verify", "--password-stdin", "Exit codes", "etcd+https://"] {
        assert!(outcome.stdout.contains(words), "the help lacks `{words}`");
    }
    let outcome = Run::wasmtime(["--version"]).wait();
    outcome.assert_ok();
    assert!(outcome.stdout.starts_with("plakar-etcd "), "{outcome}");
}

#[test]
fn a_password_comes_from_standard_input_or_from_a_named_variable() {
    const PASSWORD: &str = "correct horse";
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.enable_authentication(PASSWORD);
    let location = etcd.location();
    let login = ["backup", &location, "-o", "username=backup"];
    for password in [format!("{PASSWORD}\n"), PASSWORD.into()] {
        let run = Run::wasmtime(login).args(["--password-stdin"]).input(password);
        run.output_to(OpenOptions::new().write(true).open("/dev/null").expect("it is there"))
            .wait()
            .assert_ok();
    }
    let run = Run::wasmtime_with(["--env", "ETCD_PASSWORD"], login)
        .args(["--password-env", "ETCD_PASSWORD"]);
    let null = OpenOptions::new().write(true).open("/dev/null").expect("it is there");
    run.env("ETCD_PASSWORD", PASSWORD).output_to(null).wait().assert_ok();

    Run::wasmtime(login)
        .args(["--password-stdin"])
        .input("wrong\n")
        .wait()
        .assert_failed(ErrorKind::Unauthenticated, &["password is wrong"]);
    Run::wasmtime(login)
        .args(["--password-env", "UNSET_HERE"])
        .wait()
        .assert_failed(ErrorKind::InvalidConfig, &["UNSET_HERE"]);
}
