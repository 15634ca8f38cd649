//! Machines that give too little, or forbid something: one line says whose limit it is,
//! and nothing is aborted.

use host_tests::backup::Backup;
use host_tests::run::{Outcome, Run};
use host_tests::target::Target;
use host_tests::tools;
use plakar_connector::ErrorKind;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The exit code for a machine that gives too little.
const TOO_LITTLE: i32 = 11;

/// The exit code for a directory that cannot be written.
const STORE_FAILED: i32 = 10;

/// Fails unless this is the one line of a run that came to an orderly end.
#[track_caller]
fn assert_one_line(outcome: &Outcome, words: &[&str]) {
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert!(lines.len() == 1 && lines[0].starts_with("error: "), "{outcome}");
    assert!(words.iter().all(|word| lines[0].contains(word)), "{words:?}: {outcome}");
}

/// A run of a component that behaves well, under limits as `prlimit` takes them.
fn limited(target: &Target, limits: &[&str]) -> Run {
    let prlimit = limits.iter().copied().chain(["--"]);
    Backup::misbehaving("well").to(target).through("prlimit", prlimit)
}

#[test]
fn too_few_files_are_said_to_be_too_few() {
    for files in [5, 8, 10, 12, 16, 23] {
        let target = Target::new();
        let outcome = limited(&target, &[&format!("--nofile={files}")]).wait();
        assert_eq!(outcome.code, TOO_LITTLE, "{files}: {outcome}");
        if files >= 8 {
            assert_one_line(&outcome, &["24 are needed", "`ulimit -n`"]);
        }
        target.assert_nothing_left();
    }
    let target = Target::new();
    limited(&target, &["--nofile=24"]).wait().assert_ok();
    // A soft limit is what one may raise.
    let target = Target::new();
    limited(&target, &["--nofile=12:64"]).wait().assert_ok();
}

/// Root's threads are not counted, so that somebody else has to run out of them.
#[test]
fn too_few_threads_are_said_to_be_too_few() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let all = |mode| fs::Permissions::from_mode(mode);
    fs::set_permissions(folder.path(), all(0o777)).expect("it is ours");
    let copy = |from: PathBuf, name: &str| {
        let to = folder.path().join(name);
        fs::copy(from, &to).expect("it can be copied");
        fs::set_permissions(&to, all(0o755)).expect("it is ours");
        to
    };
    let program = copy(tools::plakar_wasm(), "plakar-wasm");
    let connector = copy(tools::misbehaving_connector(), "connector.wasm");
    let run = |threads: usize| {
        let to = folder.path().join(format!("backup-{threads}"));
        let limit = format!("--nproc={threads}");
        Run::of(host_tests::process::command("env"))
            .args(["-C", "/", "prlimit", &limit, "--"])
            .path(&program)
            .args(["backup"])
            .path(&connector)
            .args(["test://127.0.0.1", "--to"])
            .path(to)
            .env("HOME", "/nonexistent")
            .through("setpriv", ["--reuid=54321", "--regid=54321", "--clear-groups"])
            .wait()
    };
    for threads in [1, 2, 4, 7, 10] {
        let outcome = run(threads);
        assert_eq!(outcome.code, TOO_LITTLE, "{threads}: {outcome}");
        assert_one_line(&outcome, &["threads", "`ulimit -u`", "`TasksMax=`"]);
    }
    run(12).assert_ok();
}

#[test]
fn a_small_address_space_does_or_is_said_to_be_too_small() {
    for mib in [100, 300, 1000] {
        let target = Target::new();
        let outcome = limited(&target, &[&format!("--as={}", mib << 20)]).wait();
        assert_eq!(outcome.code, TOO_LITTLE, "{outcome}");
        assert_one_line(&outcome, &["address space", "`ulimit -v`"]);
        target.assert_nothing_left();
    }
    for mib in [1024_u64, 3000] {
        let target = Target::new();
        limited(&target, &[&format!("--as={}", mib << 20)]).wait().assert_ok();
    }
}

#[test]
fn a_small_stack_does_or_is_said_to_be_too_small() {
    for kib in [64, 512] {
        let target = Target::new();
        let outcome = limited(&target, &[&format!("--stack={}", kib << 10)]).wait();
        assert_eq!(outcome.code, TOO_LITTLE, "{outcome}");
        assert_one_line(&outcome, &["stack", "`ulimit -s`"]);
        target.assert_nothing_left();
    }
    // A soft limit is what one may raise.
    for limit in ["1048576", "65536:8388608"] {
        let target = Target::new();
        limited(&target, &[&format!("--stack={limit}")]).wait().assert_ok();
    }
}

#[test]
fn a_file_larger_than_allowed_ends_in_order() {
    let cache = tempfile::tempdir().expect("a temporary directory");
    let cache = cache.path().to_str().expect("UTF-8");
    let target = Target::new();
    let outcome = limited(&target, &["--fsize=500000"]).env("XDG_CACHE_HOME", cache).wait();
    outcome.assert_exit(STORE_FAILED, &["data", "`ulimit -f`"]);
    target.assert_nothing_left();
    // The cache's file is as large, and is no reason to fail.
    let target = Target::new();
    limited(&target, &["--fsize=500000"])
        .args(["-o", "bytes=1000"])
        .env("XDG_CACHE_HOME", cache)
        .wait()
        .assert_ok();
}

#[test]
fn memory_that_may_not_be_made_executable_is_named() {
    let target = Target::new();
    // prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN), as `MemoryDenyWriteExecute=` sets it.
    let script = "syscall(157, 65, 1, 0, 0, 0) == 0 or die \"prctl: $!\"; exec @ARGV";
    let outcome =
        Backup::misbehaving("well").to(&target).through("perl", ["-e", script, "--"]).wait();
    assert_eq!(outcome.code, TOO_LITTLE, "{outcome}");
    assert_one_line(&outcome, &["executable memory", "`MemoryDenyWriteExecute=`", "SELinux"]);
    target.assert_nothing_left();
}

/// The process holds passwords and keys.
#[test]
fn no_core_is_dumped() {
    let target = Target::new();
    let running = Backup::misbehaving("stall")
        .arguments(["--json"])
        .to(&target)
        .through("prlimit", ["--core=unlimited", "--"])
        .start();
    running.wait_for_event(|event| event["event"] == "record" && event["pathname"] == "/data");
    let limits = running.proc("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    let core: Vec<&str> = core.expect("it is listed").split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"]);
}

fn inspect(cache: &Path) -> Outcome {
    Run::plakar_wasm(["inspect", "-v"])
        .path(tools::misbehaving_connector())
        .env("XDG_CACHE_HOME", cache.to_str().expect("UTF-8"))
        .wait()
}

/// The files of compiled code.
fn compiled(cache: &Path) -> Vec<PathBuf> {
    let below = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
    let all = below(cache.join("plakar-wasm/modules"));
    let all = all.flat_map(|entry| below(entry.path())).map(|entry| entry.path());
    all.filter(|path| path.extension().is_none()).collect()
}

#[test]
fn what_a_killed_run_was_writing_to_the_cache_does_not_disturb_the_next() {
    let cache = tempfile::tempdir().expect("a temporary directory");
    inspect(cache.path()).assert_ok();
    let [file] = &compiled(cache.path())[..] else { panic!("one component, one file") };
    fs::remove_file(file).expect("it is there");
    let unfinished = file.with_extension("wip-atomic-write-mod");
    let partly = fs::File::create(&unfinished).expect("it can be written");
    // One that is being written now is left alone.
    inspect(cache.path()).assert_ok();
    assert!(unfinished.exists() && !file.exists());
    partly.set_modified(SystemTime::now() - Duration::from_secs(120)).expect("it is ours");
    inspect(cache.path()).assert_ok();
    assert!(!unfinished.exists() && file.exists());
}

/// Code that has changed on the disk would be run as it is.
#[test]
fn a_damaged_cache_is_compiled_again() {
    let cache = tempfile::tempdir().expect("a temporary directory");
    inspect(cache.path()).assert_ok();
    let [file] = &compiled(cache.path())[..] else { panic!("one component, one file") };
    let whole = fs::read(file).expect("it is there");
    for part in 1..20 {
        let mut damaged = whole.clone();
        damaged[whole.len() * part / 20] ^= 1;
        fs::write(file, &damaged).expect("it is ours");
        let outcome = inspect(cache.path());
        outcome.assert_ok();
        assert!(outcome.says("damaged"), "{outcome}");
        assert!(fs::read(file).expect("it is there again") != damaged);
    }
}

/// As by `sudo -E`: what root made there would be in the way of the directory's owner.
#[test]
fn root_leaves_no_cache_in_a_directory_of_another_user() {
    let cache = tempfile::tempdir().expect("a temporary directory");
    std::os::unix::fs::chown(cache.path(), Some(54321), None).expect("tests run as root");
    inspect(cache.path()).assert_ok();
    assert_eq!(fs::read_dir(cache.path()).expect("it is there").count(), 0);
}

#[test]
fn an_output_that_cannot_be_written_is_not_a_success() {
    let shell = |command: &str, to: &str| {
        let script = format!("\"$0\" {command} {to}");
        Run::of(host_tests::process::command("sh"))
            .args(["-c", &script])
            .path(tools::plakar_wasm())
            .path(tools::misbehaving_connector())
            .wait()
    };
    for command in [
        "inspect \"$1\"",
        "inspect --schema \"$1\"",
        "--json inspect \"$1\"",
        "completions bash",
        "man",
        "--help",
        "backup --help",
        "--version",
    ] {
        shell(command, "> /dev/full").assert_exit(1, &["standard output"]);
        // Without one Rust's runtime makes do with `/dev/null`.
        shell(command, ">&-").assert_exit(1, &["standard output is closed"]);
        shell(command, "> /dev/null").assert_ok();
    }
}

/// However short it is: a reader that gets nothing must not take it for a success.
#[test]
fn the_connectors_own_output_that_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let dump = folder.path().join("dump");
    let mut database = databases::Database::etcd();
    database.put(2, "/a", b"value");
    std::fs::write(&dump, database.dump()).expect("it can be written");
    let shell = |run: Run, redirected: &str| {
        let script = format!("exec \"$@\" < {} {redirected}", dump.display());
        run.through("sh", ["-c", &script, "sh"]).wait()
    };
    for command in ["--help", "--version", "verify", "show", "keys", "get /a"] {
        let arguments: Vec<&str> = command.split(' ').collect();
        let ours = || Run::in_our_sandbox(&arguments);
        for run in [ours(), Run::wasmtime(&arguments)] {
            shell(run, "> /dev/full").assert_failed(ErrorKind::Other, &["output"]);
        }
        shell(ours(), ">&-").assert_exit(STORE_FAILED, &["standard output is closed"]);
        shell(ours(), "> /dev/null").assert_ok();
    }
}
