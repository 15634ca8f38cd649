//! Components that misbehave: the host says so, and keeps nothing of theirs.

use host_tests::backup::{BackedUp, Backup};
use host_tests::database::database;
use host_tests::gateway::{Gateway, Member};
use host_tests::run::{Outcome, Run};
use host_tests::target::Target;
use host_tests::tools;
use plakar_connector::ErrorKind;
use std::net::TcpListener;
use std::time::Duration;

/// The exit code for a component that trapped, went over a limit or broke the
/// contract.
const MISBEHAVED: i32 = 11;

/// What a run may take at the most, whatever a component does: its 320 MiB, and
/// the host's own memory.
const MEMORY: u64 = 448 << 20;

/// Backs up a component that behaves like this; it has to fail, and to leave
/// nothing behind.
#[track_caller]
fn caught(behaviour: &str, options: &[&str], code: i32, words: &[&str]) -> Outcome {
    let BackedUp { outcome, target } = Backup::misbehaving(behaviour).arguments(options).run();
    outcome.assert_exit(code, words);
    target.assert_nothing_left();
    assert!(outcome.peak_memory < MEMORY, "{} bytes: {outcome}", outcome.peak_memory);
    outcome
}

#[test]
fn a_component_that_behaves_well_is_backed_up() {
    let target = Target::new();
    Backup::misbehaving("well").to(&target).wait().assert_ok();
    let read = |name| std::fs::read_to_string(target.path().join(name)).expect("it was backed up");
    assert_eq!(read("data"), "x".repeat(1_000_000));
    assert_eq!(read("report"), "1000000 bytes of /data are stored\n");
}

#[test]
fn a_trap_is_the_component_s_fault() {
    for behaviour in ["trap-in-next", "trap-in-read", "panic", "exit"] {
        caught(behaviour, &[], MISBEHAVED, &[]);
    }
}

#[test]
fn a_trap_while_facts_are_asked_for_keeps_nothing_unproven() {
    let BackedUp { outcome, target } = Backup::misbehaving("trap-in-facts").run();
    match outcome.code {
        0 => assert!(target.path().join("report").is_file(), "{outcome}"),
        code => {
            assert_eq!(code, MISBEHAVED, "{outcome}");
            target.assert_nothing_left();
        }
    }
}

#[test]
fn every_breach_of_the_contract_is_named() {
    for (behaviour, words) in [
        ("oversized-read", &["read"][..]),
        ("empty-read", &["read"]),
        ("await-nothing", &["acknowledgements"]),
        ("duplicate-id", &["2"]),
        ("duplicate-path", &["`/data`"]),
        ("unclean-path", &["`/../data`"]),
        ("short-of-its-size", &["1000000", "1000001"]),
        ("file-for-directory", &["`/in` is a file, and another record is inside it"]),
        ("late-directory", &["the directory `/in` comes after its content"]),
        ("setuid-mode", &["mode 0o4600"]),
        ("duplicate-fact", &["`stored-bytes` occurs twice"]),
    ] {
        let outcome = caught(behaviour, &[], MISBEHAVED, words);
        assert!(outcome.says("broke the contract"), "{behaviour}: {outcome}");
    }
}

#[test]
fn an_error_of_the_component_keeps_its_kind() {
    caught(
        "read-error",
        &[],
        ErrorKind::Corrupt.exit_code().into(),
        &["`/data`: failing as asked"],
    );
}

#[test]
fn a_component_that_takes_all_memory_is_stopped() {
    caught("hog-memory", &[], MISBEHAVED, &["memory"]);
}

/// What costs the component little can cost the host much.
#[test]
fn a_component_that_makes_the_host_take_memory_is_stopped() {
    for behaviour in ["hoard-requests", "hoard-fields", "hoard-bodies"] {
        caught(behaviour, &[], MISBEHAVED, &["trapped in `reader.read`"]);
    }
    caught("long-names", &["-q"], MISBEHAVED, &["pathnames", "25165824 bytes"]);
}

#[test]
fn a_component_that_never_comes_back_is_stopped_by_the_run_s_time() {
    for behaviour in ["spin", "stall"] {
        let BackedUp { outcome, target } =
            Backup::misbehaving(behaviour).option("max_duration=2s").run();
        assert!([MISBEHAVED, 4].contains(&outcome.code), "{behaviour}: {outcome}");
        assert!(outcome.says("max_duration"), "{behaviour}: {outcome}");
        assert!(outcome.elapsed < Duration::from_secs(20), "{behaviour}: {outcome}");
        target.assert_nothing_left();
    }
}

#[test]
fn a_call_that_must_not_wait_is_stopped_long_before_the_run_s_time() {
    let outcome = caught("spin-in-size", &[], MISBEHAVED, &[]);
    assert!(outcome.elapsed < Duration::from_secs(40), "{outcome}");
}

#[test]
fn a_flood_of_log_lines_is_held_back() {
    let BackedUp { outcome, .. } = Backup::misbehaving("flood-log").run();
    outcome.assert_ok();
    let lines = outcome.stderr.lines().count();
    assert!(lines > 1 && lines < 1000, "{lines} lines came through");
    assert!(outcome.peak_memory < MEMORY, "{} bytes", outcome.peak_memory);
}

#[test]
fn a_component_sees_no_file_and_no_variable() {
    let BackedUp { outcome, .. } = Backup::misbehaving("open-file").run();
    outcome.assert_ok();
    assert!(outcome.says("no file can be read"), "{outcome}");

    let target = Target::new();
    let outcome = Backup::misbehaving("read-variable")
        .arguments(["--json"])
        .to(&target)
        .env("HOME", "/secret")
        .wait();
    outcome.assert_ok();
    assert_eq!(outcome.outcome()["facts"]["home"], "unset");
}

/// What `reach=URL` found, with this location and these options.
fn reach(url: &str, location: &str, options: &[&str]) -> serde_json::Value {
    let target = Target::new();
    let behaviour = format!("behaviour=reach={url}");
    let outcome = Run::plakar_wasm(["backup", "--json"])
        .path(tools::misbehaving_connector())
        .args([location, "--to", &target.argument(), "-o", &behaviour])
        .args(options)
        .wait();
    outcome.assert_ok();
    outcome.outcome()["facts"].clone()
}

#[test]
fn what_was_typed_can_be_reached() {
    let granted = Gateway::start(Member::with(&database(2)));
    let url = format!("http://{}/health", granted.endpoint());
    let location = format!("test://{}", granted.endpoint());
    let facts = reach(&url, &location, &[]);
    assert!(facts["reached"].to_string().contains("200"), "{facts}");
    let endpoints = format!("endpoints={}", granted.endpoint());
    let facts = reach(&url, "test://", &["-o", &endpoints]);
    assert!(facts["reached"].to_string().contains("200"), "{facts}");
}

#[test]
fn nothing_else_can_be_reached() {
    let granted = Gateway::start(Member::with(&database(2)));
    let other = Gateway::start(Member::with(&database(2)));
    let port = granted.endpoint().split_once(':').expect("HOST:PORT").1.to_owned();
    let location = format!("test://{}", granted.endpoint());
    for url in [
        // Another port, another name or family of the same machine, another scheme.
        format!("http://{}/", other.endpoint()),
        format!("http://localhost:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://127.0.0.2:{port}/"),
        format!("http://127.1:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("https://{}/", granted.endpoint()),
        // What is left out is not what was granted.
        "http://127.0.0.1/".to_owned(),
        // The authority is what comes after the `@`.
        format!("http://{}@{}/", granted.endpoint(), other.endpoint()),
        format!("http://user:hunter2@{}/", granted.endpoint()),
    ] {
        let facts = reach(&url, &location, &[]);
        assert!(facts["not-reached"].is_string(), "{url} was reached: {facts}");
    }
    assert!(!other.was_contacted() && !granted.was_contacted());
}

/// The component sets no limit on the wait for a response: otherwise `max_duration` ends it.
#[test]
fn a_peer_that_vanished_is_found_out_over_http2() {
    let frozen = TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = frozen.local_addr().expect("an address");
    let options = ["-o", "stall_timeout=1s", "-o", "max_duration=40s"];
    let facts = reach(&format!("grpc://{place}/"), &format!("test://{place}"), &options);
    assert!(facts["not-reached"].to_string().contains("HttpResponseTimeout"), "{facts}");
}

/// `endpoints` takes precedence over the location, which then is not contacted.
#[test]
fn endpoints_take_the_place_of_the_location_in_the_grant() {
    let named = Gateway::start(Member::with(&database(2)));
    let endpoint = Gateway::start(Member::with(&database(2)));
    let url = format!("http://{}/health", named.endpoint());
    let location = format!("test://{}", named.endpoint());
    let facts = reach(&url, &location, &["-o", &format!("endpoints={}", endpoint.endpoint())]);
    assert!(facts["not-reached"].is_string(), "{facts}");
    assert!(!named.was_contacted());
}

#[test]
fn a_refused_request_is_logged_with_the_grant() {
    let BackedUp { outcome, .. } = Backup::misbehaving("reach=http://127.0.0.1:1/").run();
    outcome.assert_ok();
    assert!(outcome.stderr.contains("`http://127.0.0.1:1`"), "{outcome}");
    assert!(outcome.stderr.contains("granted: http://127.0.0.1:80"), "{outcome}");
}

#[test]
fn what_is_not_a_component_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let core_module = b"\0asm\x01\0\0\0".as_slice();
    for (name, bytes) in [("text", b"hello".as_slice()), ("empty", b""), ("core", core_module)] {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).expect("written");
        let target = Target::new();
        let outcome = Run::plakar_wasm(["backup"])
            .path(&file)
            .args(["test://127.0.0.1", "--to", &target.argument()])
            .wait();
        outcome.assert_exit(MISBEHAVED, &[&format!("`{}`", file.display())]);
        target.assert_nothing_left();
    }
}

/// A component in which nested loops all carry the same locals, each through each.
fn dear_to_compile() -> Vec<u8> {
    const LOOPS: usize = 300;
    const LOCALS: usize = 3000;
    let locals = (0..LOCALS).flat_map(|local| {
        let local = leb128(local);
        // local.get, i32.const 1, i32.add, local.set
        [&[0x20], &local[..], &[0x41, 1, 0x6a, 0x21], &local].concat()
    });
    let body: Vec<u8> = [1]
        .into_iter()
        .chain(leb128(LOCALS))
        .chain([0x7f])
        .chain([0x03, 0x40].repeat(LOOPS).into_iter().chain(locals))
        // local.get 0, br_if 0, end
        .chain([0x20, 0, 0x0d, 0, 0x0b].repeat(LOOPS))
        .chain([0x0b])
        .collect();
    let code = [vec![1], leb128(body.len()), body].concat();
    let section = |id, bytes: &[u8]| [&[id], &leb128(bytes.len())[..], bytes].concat();
    let sections = [section(1, &[1, 0x60, 0, 0]), section(3, &[1, 0]), section(10, &code)];
    let module = [b"\0asm\x01\0\0\0".to_vec(), sections.concat()].concat();
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, &module)].concat()
}

/// A number as WebAssembly writes it.
fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

#[test]
fn a_component_that_is_too_dear_to_compile_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("dear.wasm");
    std::fs::write(&file, dear_to_compile()).expect("it is ours");
    // Within the address space, so that a host without the bound does no harm here.
    let outcome = Run::plakar_wasm(["inspect"])
        .path(&file)
        .through("prlimit", [&format!("--as={}", 4_u64 << 30), "--"].map(AsRef::<str>::as_ref))
        .wait();
    outcome.assert_exit(MISBEHAVED, &["`", "compiling needs more than 1024 MiB"]);
    assert!(outcome.peak_memory < 3 << 29, "{} bytes: {outcome}", outcome.peak_memory);
}
