//! The rest of the host's command line.

use crate::attempt::Attempt;
use host_tests::backup::Backup;
use host_tests::database::database;
use host_tests::etcd::free_port;
use host_tests::gateway::{Gateway, Member, Response, Stream};
use host_tests::process;
use host_tests::run::Run;
use host_tests::target::Target;
use host_tests::tools;
use plakar_connector::ErrorKind;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn healthy() -> Gateway {
    Gateway::start(Member::with(&database(2)))
}

#[test]
fn a_ping_reports_who_responds() {
    let gateway = healthy();
    let outcome = Backup::of(gateway.location()).ping().wait();
    outcome.assert_ok();
    assert!(outcome.stdout.contains(&gateway.endpoint()), "{outcome}");
}

#[test]
fn a_ping_fails_if_nothing_responds() {
    let endpoint = format!("127.0.0.1:{}", free_port());
    let outcome = Backup::of(format!("etcd://{endpoint}")).ping().wait();
    outcome
        .assert_failed(ErrorKind::Unreachable, &[&format!("`{endpoint}`"), "connection refused"]);
}

#[test]
fn a_forgotten_connector_is_named() {
    let location = "etcd://root:hunter2@node1?password=hunter2";
    for arguments in [
        &["ping", location][..],
        &["backup", location, "--to", "x"],
        &["backup", "-o", "endpoints=http://a:1", location, "--to", "x"],
    ] {
        let outcome = Run::plakar_wasm(arguments).wait();
        outcome.assert_failed(ErrorKind::InvalidConfig, &["the connector is missing before"]);
        assert!(!outcome.says("hunter2"), "{outcome}");
    }
    // Here it is the location that is missing.
    let arguments = ["backup", "x.wasm", "-o", "endpoints=http://a:1", "--to", "x"];
    Run::plakar_wasm(arguments).wait().assert_failed(ErrorKind::InvalidConfig, &["<LOCATION>"]);
}

/// What is not used is an error: it would look as if it had been checked.
#[test]
fn what_a_command_does_not_use_is_refused() {
    let connector = tools::connector();
    let connector = connector.to_str().expect("UTF-8");
    for (arguments, words) in [
        (&["inspect", connector, "-o", "frobnicate=1"][..], "without a location"),
        (&["inspect", connector, "--config", "missing.toml"], "without a location"),
        (&["run", "--json", connector, "--", "--help"], "`run` does not accept `--json`"),
        (&["man", "--json"], "`man` does not accept `--json`"),
        (&["man", "bakup"], "`backup`"),
        (&["ping", connector, "etcd://a", "-o", "connect_timeout"], "`connect_timeout=VALUE`"),
        (&["ping", connector, "etcd://a", "-o", "password_file"], "`password_file=VALUE`"),
        (&["completions", "--json", "bash"], "`completions` does not accept `--json`"),
        (&["run", connector, "--", "verify", "b1/dump"], "`verify` does not accept `b1/dump`"),
        (&["run", connector, "--", "keys", "--file", "a", "--file", "b"], "given twice"),
    ] {
        Run::plakar_wasm(arguments).wait().assert_failed(ErrorKind::InvalidConfig, &[words]);
    }
}

#[test]
fn json_lines_report_a_backup_from_start_to_end() {
    let gateway = healthy();
    let target = Target::new();
    let outcome = Backup::of(gateway.location()).arguments(["--json"]).to(&target).wait();
    outcome.assert_ok();
    let events = outcome.events();
    for event in &events {
        assert_eq!((&event["v"], &event["command"]), (&1.into(), &"backup".into()), "{event}");
    }
    let names: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(names.first(), Some(&"started"));
    assert_eq!(names.iter().filter(|name| **name == "outcome").count(), 1);
    let stored: Vec<&Value> = events
        .iter()
        .filter(|event| event["event"] == "stored")
        .map(|event| &event["pathname"])
        .collect();
    assert_eq!(stored, ["/", "/dump", "/manifest.json", "/RESTORE.md"]);

    let last = outcome.outcome();
    assert_eq!(last["event"], "outcome");
    assert_eq!((&last["ok"], &last["exit_code"]), (&true.into(), &0.into()));
    let manifest = target.manifest();
    assert_eq!(last["facts"]["sha256"], manifest["dump"]["sha256"]);
    assert_eq!(last["facts"]["bytes"], manifest["dump"]["bytes"].to_string());
    assert_eq!(last["facts"]["endpoint"], gateway.endpoint());
}

#[test]
fn json_lines_report_a_failure_with_its_kind() {
    // More than the connector gathers before it hands out anything.
    let mut stream = Stream::of(&database(1000));
    stream.digest()[0] ^= 1;
    let member = Member::with(&database(1000)).snapshot(Response::stream(stream.body()));
    let gateway = Gateway::start(member);
    let target = Target::new();
    let outcome = Backup::of(gateway.location()).arguments(["--json"]).to(&target).wait();
    outcome.assert_failed(ErrorKind::Corrupt, &[]);
    let last = outcome.outcome();
    assert_eq!((&last["ok"], &last["kind"]), (&false.into(), &"corrupt".into()));
    assert_eq!(last["exit_code"], ErrorKind::Corrupt.exit_code());
    assert!(last["message"].as_str().is_some_and(|message| message.contains("SHA-256")), "{last}");
    assert_eq!(last["facts"]["endpoint"], gateway.endpoint());
    assert_eq!(last["facts"]["sha256"], Value::Null, "nothing was proven");
}

#[test]
fn json_lines_report_bad_input_too() {
    let target = Target::new();
    let outcome = Backup::of("etcd://").arguments(["--json"]).to(&target).wait();
    outcome.assert_failed(ErrorKind::InvalidConfig, &[]);
    assert_eq!(outcome.outcome()["kind"], "invalid-config");
}

#[test]
fn quiet_says_nothing_where_all_is_well() {
    let gateway = healthy();
    let target = Target::new();
    let outcome = Backup::of(gateway.location()).arguments(["-q"]).to(&target).wait();
    outcome.assert_ok();
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
}

#[test]
fn quiet_still_says_what_went_wrong() {
    let target = Target::new();
    let location = format!("etcd://127.0.0.1:{}", free_port());
    let outcome = Backup::of(location).arguments(["-q"]).to(&target).wait();
    outcome.assert_failed(ErrorKind::Unreachable, &["connection refused"]);
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
}

#[test]
fn a_summary_shows_what_was_proven() {
    let attempt = Attempt::of(Member::with(&database(2)), &[]);
    attempt.assert_backed_up(&database(2));
    let manifest = attempt.target.manifest();
    let sha256 = manifest["dump"]["sha256"].as_str().expect("a digest");
    assert!(attempt.outcome.stdout.contains(sha256), "{}", attempt.outcome);
    // No terminal is there to be redrawn.
    assert!(!attempt.outcome.says("\u{1b}") && !attempt.outcome.says("\r"), "{}", attempt.outcome);
}

#[test]
fn options_come_from_a_file_and_typed_ones_take_precedence() {
    let gateway = healthy();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("config.toml");
    let path = file.to_str().expect("UTF-8");
    fs::write(&file, format!("endpoints = \"{}\"\nmax_duration = \"90s\"\n", gateway.endpoint()))
        .expect("written");
    let target = Target::new();
    let backup = Backup::of("etcd://").arguments(["--config", path]).option("max_duration=30s");
    backup.to(&target).wait().assert_ok();
    let requests = gateway.requests();
    let budget =
        requests.iter().find_map(|request| request.header("grpc-timeout")).expect("a limit");
    let millis: u64 = budget.trim_end_matches('m').parse().expect("milliseconds");
    assert!(millis <= 30_000, "{budget}");
}

#[test]
fn a_config_file_with_a_secret_that_others_can_read_is_warned_of() {
    let gateway = healthy();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("config.toml");
    let path = file.to_str().expect("UTF-8");
    fs::write(&file, "username = \"root\"\npassword = \"hunter2\"\n").expect("written");
    for (mode, warned) in [(0o644, true), (0o600, false)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("it is ours");
        let outcome = Backup::of(gateway.location()).arguments(["--config", path]).ping().wait();
        assert_eq!(outcome.stderr.contains("chmod 600"), warned, "{outcome}");
        assert!(!outcome.says("hunter2"), "{outcome}");
    }
}

#[test]
fn inspect_shows_what_the_connector_is_and_would_be_granted() {
    let outcome = Run::plakar_wasm(["inspect"])
        .path(tools::connector())
        .args(["etcd://", "-o", "endpoints=node1,[::1]:1"])
        .wait();
    outcome.assert_ok();
    for words in
        ["etcd+https://", "port 2379", "password", "secret", "http://node1:2379", "http://[::1]:1"]
    {
        assert!(outcome.stdout.contains(words), "it does not show `{words}`: {outcome}");
    }
}

/// Whatever it imports but WASI, no host but ours could give it.
#[test]
fn the_connector_imports_wasi_and_nothing_else() {
    let outcome = Run::plakar_wasm(["inspect", "--json"]).path(tools::connector()).wait();
    outcome.assert_ok();
    let shown = outcome.outcome();
    assert_eq!((&shown["name"], &shown["type"]), (&"etcd".into(), &"etcd".into()));
    let names = |list: &Value| -> Vec<String> {
        let list = list.as_array().expect("a list");
        list.iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
    };
    let imports = names(&shown["imports"]);
    assert!(
        !imports.is_empty() && imports.iter().all(|name| name.starts_with("wasi:")),
        "{imports:?}"
    );
    let exports = names(&shown["exports"]);
    assert!(
        exports.iter().any(|name| name.starts_with("plakar:connector/importer@0.2.")),
        "{exports:?}"
    );
    assert!(exports.iter().any(|name| name.starts_with("wasi:cli/run@0.2.")), "{exports:?}");
    let options = shown["options"].as_array().expect("a list");
    let secret: Vec<&Value> = options
        .iter()
        .filter(|option| option["secret"] == true)
        .map(|option| &option["name"])
        .collect();
    assert_eq!(secret, ["password"]);
    assert_eq!(shown["grant"], Value::Null);
}

#[test]
fn the_help_lists_every_exit_code() {
    for command in [&["--help"][..], &["backup", "--help"], &["ping", "--help"]] {
        let outcome = Run::plakar_wasm(command).wait();
        outcome.assert_ok();
        for code in (0..=11).chain([130, 143]) {
            let listed =
                outcome.stdout.lines().any(|l| l.trim_start().starts_with(&format!("{code}  ")));
            assert!(listed, "{code} is not listed: {outcome}");
        }
    }
    Run::plakar_wasm(["--version"]).wait().assert_ok();
}

#[test]
fn completions_are_scripts_that_their_shell_takes() {
    for shell in ["bash", "zsh", "fish"] {
        let outcome = Run::plakar_wasm(["completions", shell]).wait();
        outcome.assert_ok();
        for word in ["backup", "inspect", "--config"] {
            assert!(outcome.stdout.contains(word.trim_start_matches('-')), "{shell}: no {word}");
        }
        if shell == "bash" {
            let check = Run::of(process::command("bash")).args(["-n", "/dev/stdin"]);
            check.input(outcome.stdout).wait().assert_ok();
        }
    }
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    for page in [&["man"][..], &["man", "backup"], &["man", "ping"], &["man", "run"]] {
        let outcome = Run::plakar_wasm(page).wait();
        outcome.assert_ok();
        assert!(outcome.stdout.contains(".TH plakar-wasm"), "{outcome}");
    }
    Run::plakar_wasm(["man", "nonsense"])
        .wait()
        .assert_failed(ErrorKind::InvalidConfig, &["`nonsense`"]);
}

/// The connector's own command line, in our sandbox.
mod run {
    use super::*;

    fn misbehaving(arguments: &[&str]) -> Run {
        Run::plakar_wasm(["run"]).path(tools::misbehaving_connector()).args(["--"]).args(arguments)
    }

    #[test]
    fn arguments_and_streams_go_through() {
        let outcome = misbehaving(&["arguments", "-o", "--json", "a b"]).wait();
        outcome.assert_ok();
        assert_eq!(outcome.stdout, "arguments -o --json a b\n");
        let outcome = misbehaving(&["copy"]).input("in and out\n").wait();
        outcome.assert_ok();
        assert_eq!(outcome.stdout, "in and out\n");
    }

    #[test]
    fn the_exit_code_is_the_component_s() {
        for code in [0, 1, 2, 7, 42] {
            assert_eq!(misbehaving(&["exit", &code.to_string()]).wait().code, code);
        }
        misbehaving(&["trap"]).wait().assert_exit(11, &[]);
    }

    #[test]
    fn only_variables_passed_by_name_are_seen() {
        let outcome = misbehaving(&["variables"]).env("SEEN", "no").wait();
        outcome.assert_ok();
        assert_eq!(outcome.stdout, "");
        let run = Run::plakar_wasm(["run", "--env", "SEEN"]).path(tools::misbehaving_connector());
        let outcome = run.args(["--", "variables"]).env("SEEN", "yes").wait();
        outcome.assert_ok();
        assert_eq!(outcome.stdout, "SEEN=yes\n");
        let run =
            Run::plakar_wasm(["run", "--env", "UNSET_HERE"]).path(tools::misbehaving_connector());
        run.args(["--", "variables"])
            .wait()
            .assert_failed(ErrorKind::InvalidConfig, &["`UNSET_HERE`"]);
    }

    #[test]
    fn only_the_locations_among_the_arguments_are_granted() {
        let granted = healthy();
        let other = healthy();
        let url = format!("http://{}/health", granted.endpoint());
        let location = format!("test://{}", granted.endpoint());
        let outcome = misbehaving(&["reach", &url, &location]).wait();
        assert!(outcome.stdout.starts_with("200 with"), "{outcome}");
        let url = format!("http://{}/health", other.endpoint());
        for location in [location.as_str(), "-o", "test://127.0.0.1:1"] {
            let outcome = misbehaving(&["reach", &url, location]).wait();
            assert!(outcome.stdout.starts_with("not reached"), "{outcome}");
        }
        assert!(!other.was_contacted());
    }

    /// The host's own limits are those typed, in place of its defaults.
    #[test]
    fn the_time_limits_among_the_arguments_hold_for_the_host_too() {
        let gateway = Gateway::start(Member::with(&database(2)).on("/health", Response::nothing()));
        let url = format!("http://{}/health", gateway.endpoint());
        let location = format!("test://{}", gateway.endpoint());
        let limit = ["-o", "max_duration=1h", "-o", "max_duration=2s"];
        let begun = std::time::Instant::now();
        let arguments = [&["reach", &url, &location][..], &limit].concat();
        let outcome = misbehaving(&arguments).wait();
        assert!(outcome.stdout.starts_with("not reached"), "{outcome}");
        assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{outcome}");
    }

    #[test]
    fn the_connector_s_backup_goes_to_standard_output() {
        let database = database(40);
        let gateway = Gateway::start(Member::with(&database));
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let output = file.reopen().expect("it is there");
        Run::in_our_sandbox(["backup", &gateway.location()]).output_to(output).wait().assert_ok();
        assert!(fs::read(file.path()).expect("written") == host_tests::database::dump(&database));
    }
}
