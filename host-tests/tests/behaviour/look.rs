//! A look into a dump: what real members hold is found in it, and nothing else.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use host_tests::database::database;
use host_tests::etcd::{Etcd, Version};
use host_tests::gateway::{Gateway, Member};
use host_tests::plakar::Plakar;
use host_tests::process::command;
use host_tests::run::{Outcome, Run};
use host_tests::tools;
use plakar_connector::ErrorKind;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The exit code for a key that is not there.
const ABSENT: i32 = 12;

/// Dumps in files, where `wasmtime` may read them.
struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn argument(&self, name: &str) -> String {
        self.path(name).to_str().expect("temporary paths are UTF-8").to_owned()
    }

    fn put(&self, name: &str, bytes: &[u8]) -> String {
        fs::write(self.path(name), bytes).expect("the folder is ours");
        self.argument(name)
    }

    /// Stock `wasmtime`, which may read the folder.
    fn wasmtime(&self, arguments: &[&str]) -> Run {
        Run::wasmtime_with(["--dir", &self.argument("")], arguments)
    }

    /// What a run writes, byte for byte.
    fn output(&self, run: Run) -> (Outcome, Vec<u8>) {
        let path = self.path("output");
        let file = fs::File::create(&path).expect("the folder is ours");
        (run.output_to(file).wait(), fs::read(path).expect("it was written"))
    }
}

/// What `--json` writes, one value a line.
fn lines(run: Run) -> Vec<Value> {
    run.wait().assert_ok().events()
}

/// All that is there, by the member's own word, without the values' bytes.
fn held(etcd: &Etcd) -> (Vec<Value>, Vec<(String, Vec<u8>)>) {
    let all = json!({ "key": "AA==", "range_end": "AA==" });
    let response = etcd.post("/v3/kv/range", &all);
    let decode = |text: &Value| {
        let text = text.as_str().unwrap_or_default();
        BASE64.decode(text).expect("the gateway writes base64")
    };
    let number = |field: &Value| field.as_str().unwrap_or("0").parse::<i64>().expect("a number");
    let pairs = response["kvs"].as_array().expect("there are keys");
    let pair = |pair: &Value| {
        let name = String::from_utf8(decode(&pair["key"])).expect("names of these tests are text");
        let value = decode(&pair["value"]);
        let lease = number(&pair["lease"]);
        let line = json!({
            "key": name,
            "create_revision": number(&pair["create_revision"]),
            "mod_revision": number(&pair["mod_revision"]),
            "version": number(&pair["version"]),
            "lease": (lease != 0).then(|| format!("{lease:x}")),
            "size": value.len(),
        });
        (line, (name, value))
    };
    pairs.iter().map(pair).unzip()
}

/// A database full of holes: deletions, compactions, values of many pages, transactions.
fn fragment(etcd: &Etcd) {
    etcd.put_many("/registry/small", 1500, 200);
    etcd.put_many("/registry/large", 4, 700_000);
    for round in 0..3 {
        for index in 0..150 {
            etcd.put(&format!("/registry/hot/{}", index % 30), &format!("round {round}, {index}"));
        }
        for index in (round..1500).step_by(40) {
            etcd.delete(&format!("/registry/small/{index:08}"));
        }
        etcd.put_many("/registry/large", 2, 300_000 + round * 1000);
        etcd.compact(etcd.revision() - 20);
    }
    let lease = etcd.post("/v3/lease/grant", &json!({ "TTL": "3600" }));
    let put = json!({ "key": "L2xlYXNlZA==", "value": "eA==", "lease": lease["ID"] });
    etcd.post("/v3/kv/put", &put);
    etcd.put("/registry/empty", "");
    etcd.delete("/registry/hot/7");
}

#[test]
fn what_a_fragmented_member_holds_is_what_its_dump_holds() {
    let files = Files::new();
    for version in Version::ALL {
        let etcd = Etcd::start(version);
        fragment(&etcd);
        let (expected, values) = held(&etcd);
        let dump = etcd.save_snapshot();
        let file = files.put("dump", &dump);

        let reported = lines(files.wasmtime(&["keys", "--json", "--file", &file]));
        assert!(reported == expected, "{version}: {reported:?} is not {expected:?}");
        let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
        let ours = Run::in_our_sandbox(["keys", "/registry/hot/"]).input(dump.clone()).wait();
        let hot = names.iter().filter(|name| name.starts_with("/registry/hot/"));
        let hot: String = hot.map(|name| format!("{name}\n")).collect();
        assert_eq!(ours.assert_ok().stdout, hot, "{version}");

        for name in ["/registry/hot/8", "/registry/large/00000000", "/registry/empty", "/leased"] {
            let (_, value) = values.iter().find(|(key, _)| key == name).expect(name);
            let run = files.wasmtime(&["get", name, "--file", &file]);
            let (outcome, output) = files.output(run);
            outcome.assert_ok();
            assert!(output == *value, "{version}: {name} has {} bytes", output.len());
            let ours = Run::in_our_sandbox(["get", name]).input(dump.clone());
            let (outcome, output) = files.output(ours);
            outcome.assert_ok();
            assert!(output == *value, "{version}: {name} has {} bytes", output.len());
        }
        for name in ["/registry/hot/7", "/registry/small/00000001", "/registry/hot/"] {
            let outcome = files.wasmtime(&["get", name, "--file", &file]).wait();
            outcome.assert_exit(ABSENT, &[name, "does not exist at revision"]);
            assert_eq!(outcome.stdout, "", "{version}");
        }
    }
}

#[test]
fn what_changed_between_two_dumps_is_printed() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.put_many("/registry/small", 500, 100);
    etcd.put("/gone", "1");
    etcd.put("/written", "1");
    let files = Files::new();
    let old = etcd.save_snapshot();
    etcd.delete("/gone");
    etcd.put("/written", "2");
    etcd.put("/new", "3");
    etcd.put("/passing", "4");
    etcd.delete("/passing");
    let revision = etcd.revision();
    etcd.compact(revision);
    let (old, new) = (files.put("old", &old), files.put("new", &etcd.save_snapshot()));
    let outcome = files.wasmtime(&["diff", &old, &new]).wait();
    let expected = format!(
        "- /gone\n+ /new\n~ /written\n1 added, 1 changed, 1 removed from revision {} to \
            {revision}\n",
        revision - 5
    );
    assert_eq!(outcome.assert_ok().stdout, expected);
    let back = files.wasmtime(&["diff", "-", &old, "--json"]);
    let back = lines(back.input(fs::read(&new).expect("it was written")));
    let changes: Vec<&Value> = back.iter().map(|line| &line["change"]).collect();
    assert_eq!(json!(changes), json!(["added", "removed", "changed", null]));
    let counts = back.last().expect("a last line");
    assert_eq!([&counts["added"], &counts["changed"], &counts["removed"]], [1, 1, 1]);
}

#[test]
fn a_dump_from_the_store_is_looked_into_and_what_was_restored_is_verified() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.put("/registry/wanted", "it is in there");
    etcd.put_many("/registry/others", 300, 2000);
    let plakar = Plakar::new();
    plakar.backup(&etcd.location(), &[]).wait().assert_code(0);
    let snapshot = plakar.latest();
    let files = Files::new();
    let dump = format!("{}:/dump", snapshot.id);
    let (outcome, dump) = files.output(plakar.at_store(&["cat", &dump]));
    outcome.assert_code(0);
    let outcome = Run::wasmtime(["get", "/registry/wanted"]).input(dump.clone()).wait();
    assert_eq!(outcome.assert_ok().stdout, "it is in there");

    let target = snapshot.restore();
    let manifest = target.manifest();
    let shown = Run::wasmtime(["show", "--json"]).input(dump.clone()).wait();
    let shown: Value = serde_json::from_str(&shown.assert_ok().stdout).expect("JSON");
    assert_eq!(shown, manifest["database"]);
    let shown = Run::in_our_sandbox(["show"]).input(dump).wait();
    let keys = format!("keys             {}\n", manifest["database"]["keys"]);
    assert!(shown.assert_ok().stdout.contains(&keys), "{shown}");

    let verify = || {
        let folder = target.argument();
        Run::wasmtime_with(["--dir", &folder], ["verify", "--file", &folder]).wait()
    };
    assert!(verify().assert_ok().says("ok: "));
    let write = |manifest: &Value| {
        let path = target.path().join("manifest.json");
        fs::write(path, manifest.to_string()).expect("the folder is ours");
    };
    for (field, value) in [("keys", json!(1)), ("revision", json!(7)), ("members", json!([]))] {
        let mut other = manifest.clone();
        other["database"][field] = value;
        write(&other);
        verify().assert_failed(ErrorKind::Corrupt, &["verify", "`manifest.json`"]);
    }
    write(&manifest);
    verify().assert_ok();
    fs::remove_file(target.path().join("RESTORE.md")).expect("it was restored");
    verify().assert_failed(ErrorKind::Interrupted, &["verify", "`RESTORE.md`"]);
}

#[test]
fn a_bundle_is_looked_into_like_a_dump() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.put("/registry/wanted", "it is in there");
    let files = Files::new();
    let (outcome, bundle) = files.output(Run::wasmtime(["backup", "--bundle", &etcd.location()]));
    outcome.assert_ok();
    let outcome = Run::wasmtime(["get", "/registry/wanted"]).input(bundle).wait();
    assert_eq!(outcome.assert_ok().stdout, "it is in there");
}

#[test]
fn nothing_is_printed_of_a_dump_that_is_damaged_or_cut() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.put("/registry/wanted", "the value");
    let files = Files::new();
    let good = etcd.save_snapshot();
    let at = good.windows(9).position(|bytes| bytes == b"the value").expect("it is in there");
    let mut flipped = good.clone();
    flipped[at] ^= 1;
    let whole = files.put("whole", &good);
    for (bytes, kind) in
        [(flipped, ErrorKind::Corrupt), (good[..good.len() - 100].to_vec(), ErrorKind::Interrupted)]
    {
        let file = files.put("dump", &bytes);
        for arguments in [
            &["get", "/registry/wanted", "--file", &file][..],
            &["get", "/registry/absent", "--file", &file],
            &["keys", "--file", &file],
            &["show", "--file", &file],
            &["diff", &whole, &file],
            &["verify", "--file", &file],
        ] {
            let outcome = files.wasmtime(arguments).wait();
            outcome.assert_failed(kind, &[&format!("error: `{file}`: verify: "), "another backup"]);
            assert_eq!(outcome.stdout, "", "{outcome}");
        }
        let ours = Run::in_our_sandbox(["get", "/registry/wanted"]).input(bytes).wait();
        assert_eq!(ours.assert_failed(kind, &["verify"]).stdout, "", "{ours}");
    }
}

/// It holds every secret of the cluster, and bytes that act on the terminal.
#[test]
fn a_dump_is_not_written_to_a_terminal() {
    let gateway = Gateway::start(Member::with(&database(2)));
    let text = |path: &Path| path.to_str().expect("these paths are UTF-8").to_owned();
    let (wasmtime, plakar_wasm) = (text(&tools::wasmtime()), text(&tools::plakar_wasm()));
    let (connector, location) = (text(&tools::connector()), gateway.location());
    for line in [
        format!("'{wasmtime}' run -S http '{connector}' backup {location}"),
        format!("'{plakar_wasm}' run '{connector}' -- backup {location}"),
    ] {
        let shown = Run::of(command("script")).args(["-qec", &line, "/dev/null"]).wait();
        assert_eq!(shown.code, 2, "{shown}");
        assert!(shown.stdout.contains("standard output is a terminal"), "{shown}");
    }
    assert!(!gateway.was_contacted());
}

#[test]
fn a_terminal_gets_no_byte_that_acts_on_it_and_a_pipe_gets_them_all() {
    let etcd = Etcd::start(Version::V3_6_14);
    let (key, value) = ("/registry/\u{1b}[2J", "k8s\u{0}\u{1b}]0;owned\u{7}\n\u{202e}\\");
    etcd.put(key, value);
    let files = Files::new();
    let file = files.put("dump", &etcd.save_snapshot());
    let listed = files.wasmtime(&["keys", "--file", &file]).wait();
    assert_eq!(listed.assert_ok().stdout, "/registry/\\x1b[2J\n");

    // The key as it was listed.
    let key = "/registry/\\x1b[2J";
    let (outcome, piped) = files.output(files.wasmtime(&["get", key, "--file", &file]));
    outcome.assert_ok();
    assert_eq!(piped, value.as_bytes());
    let text = |path: &Path| path.to_str().expect("these paths are UTF-8").to_owned();
    let connector = text(&tools::connector());
    let wasmtime = text(&tools::wasmtime());
    let stock = format!(
        "'{wasmtime}' run -S http --dir '{}' '{connector}' get '{key}' --file '{file}'",
        files.argument("")
    );
    let plakar_wasm = text(&tools::plakar_wasm());
    let ours = format!("'{plakar_wasm}' run '{connector}' -- get '{key}' < '{file}'");
    for line in [stock, ours] {
        // It gives what it runs a terminal, and shows here what came there.
        let shown = Run::of(command("script")).args(["-qec", &line, "/dev/null"]).wait();
        let expected = "k8s\\x00\\x1b]0;owned\\x07\r\n\\xe2\\x80\\xae\\\\\r\n";
        assert_eq!(shown.assert_ok().stdout, expected);
    }
}

#[test]
fn a_file_is_read_only_where_the_host_grants_it() {
    let files = Files::new();
    let file = files.put("dump", b"");
    let arguments = ["show", "--file", &file];
    for run in [Run::wasmtime(arguments), Run::in_our_sandbox(arguments)] {
        run.wait().assert_failed(ErrorKind::InvalidConfig, &[&file, "--dir", "standard input"]);
    }
    let folder = files.argument("");
    let outcome = files.wasmtime(&["keys", "--file", &folder]).wait();
    outcome.assert_failed(ErrorKind::InvalidConfig, &["it is a directory"]);
}
