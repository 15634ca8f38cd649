use super::*;
use crate::manifest::{DatabaseInfo, hex};
use crate::options::PROOF_MEMORY_MOST;
use crate::stored::no_observer;
use databases::{Database, key_value, revision};
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

const RAW: Style = Style { json: false, terminal: false };
const TERMINAL: Style = Style { json: false, terminal: true };
const JSON: Style = Style { json: true, terminal: false };

/// Dumps in files.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_string_lossy().into_owned()
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Source {
        std::fs::write(self.path(name), bytes).expect("the folder is ours");
        Source::Path(self.path(name))
    }
}

/// The output of a command, and its result.
fn look(look: &Look, style: Style) -> (Vec<u8>, Result<Outcome>) {
    let mut out = Vec::new();
    let outcome = look.run(style, &mut out);
    (out, outcome)
}

fn reported(what: &Look, style: Style) -> String {
    let (out, outcome) = look(what, style);
    assert_eq!(outcome, Ok(Outcome::Printed), "{what:?}");
    String::from_utf8(out).expect("text")
}

/// The value of each key, and the revision that wrote it.
type Model = BTreeMap<Vec<u8>, (u64, Vec<u8>)>;

/// A history of up to this number of transactions: the database, and the keys at its end.
fn life(random: &mut fastrand::Rng, transactions: u64) -> (Database, Model) {
    let mut database = Database::etcd();
    database.page_size = [512, 4096][random.usize(..2)];
    database.seed = Some(random.u64(..));
    let mut model = Model::new();
    for main in 2..2 + random.u64(..transactions) {
        for sub in 0..random.u64(1..4) {
            let mut name = format!("/registry/{}", random.usize(..30)).into_bytes();
            if random.u8(..4) == 0 {
                name.extend([random.u8(..3), 0xFF]);
            }
            if random.u8(..4) == 0 {
                let value = [&[10, name.len() as u8], name.as_slice()].concat();
                database.add("key", &revision(main, sub, true), &value);
                model.remove(&name);
                continue;
            }
            let most = [8, 8, 300, 30_000][random.usize(..4)];
            let value: Vec<u8> = (0..random.usize(..most)).map(|_| random.u8(..)).collect();
            database.add("key", &revision(main, sub, false), &key_value(&name, main, &value));
            model.insert(name, (main, value));
        }
    }
    (database, model)
}

#[test]
fn the_last_writes_decide_which_keys_exist_whatever_free_pages_hold() {
    let files = Files::new();
    for seed in 0..10 {
        let random = &mut fastrand::Rng::with_seed(seed);
        let (database, model) = life(random, 120);
        let source = files.put("dump", &database.dump());
        let listed = reported(&Look::Keys(Vec::new(), source.clone()), RAW);
        let expected: String = model.keys().map(|key| text::show_key(key) + "\n").collect();
        assert_eq!(listed, expected, "seed {seed}");

        let prefix = b"/registry/1";
        let json = reported(&Look::Keys(prefix.to_vec(), source.clone()), JSON);
        let mut lines = json.lines();
        for (key, (main, value)) in model.iter().filter(|(key, _)| key.starts_with(prefix)) {
            let line: serde_json::Value =
                serde_json::from_str(lines.next().expect("a line for each")).expect("JSON");
            assert_eq!(line["mod_revision"], *main, "seed {seed}");
            assert_eq!((&line["size"], &line["version"]), (&value.len().into(), &1.into()));
            match std::str::from_utf8(key) {
                Ok(key) => assert_eq!(line["key"], key),
                Err(_) => assert!(line["key_base64"].is_string() && line.get("key").is_none()),
            }
        }
        assert_eq!(lines.next(), None, "seed {seed}");

        for number in 0..30 {
            for end in [&[][..], &[0, 0xFF], &[1, 0xFF]] {
                let key = [format!("/registry/{number}").as_bytes(), end].concat();
                let (out, outcome) = look(&Look::Get(key.clone(), source.clone()), RAW);
                match (model.get(&key), outcome) {
                    (Some((_, value)), Ok(Outcome::Printed)) => {
                        assert_eq!(out, *value, "seed {seed}")
                    }
                    (None, Ok(Outcome::Absent(_))) => assert!(out.is_empty()),
                    (expected, outcome) => panic!("seed {seed}: {expected:?}: {outcome:?}"),
                }
            }
        }
    }
}

#[test]
fn diff_prints_what_differs_between_two_dumps() {
    let files = Files::new();
    for seed in 0..60 {
        let random = &mut fastrand::Rng::with_seed(seed);
        let (mut database, before) = life(random, 40);
        let old = files.put("old", &database.dump());
        let mut after = before.clone();
        for main in 100..100 + random.u64(..9) {
            let name = format!("/registry/{}", random.usize(..40));
            if random.bool() {
                database.delete(main, &name);
                after.remove(name.as_bytes());
            } else {
                database.put(main, &name, b"later");
                after.insert(name.into_bytes(), (main, b"later".to_vec()));
            }
        }
        let new = files.put("new", &database.dump());
        let names = before.keys().chain(after.keys()).collect::<std::collections::BTreeSet<_>>();
        let signs = names.into_iter().filter_map(|name| {
            let sign = match (before.get(name), after.get(name)) {
                (None, _) => '+',
                (_, None) => '-',
                (a, b) if a != b => '~',
                _ => return None,
            };
            Some((sign, text::show_key(name)))
        });
        let expected: Vec<String> = signs.map(|(sign, name)| format!("{sign} {name}")).collect();
        let count = |sign: char| expected.iter().filter(|line| line.starts_with(sign)).count();
        let counts = format!(
            "{} added, {} changed, {} removed from revision ",
            count('+'),
            count('~'),
            count('-')
        );
        let text = reported(&Look::Diff(old.clone(), new.clone()), RAW);
        let (last, lines) = text.lines().collect::<Vec<_>>().split_last().map_or_else(
            || panic!("there is always a last line"),
            |(last, lines)| (last.to_string(), lines.join("\n")),
        );
        assert_eq!(lines, expected.join("\n"), "seed {seed}");
        assert!(last.starts_with(&counts), "seed {seed}: {last} for {counts}");
        let json = reported(&Look::Diff(old, new), JSON);
        let last: serde_json::Value =
            serde_json::from_str(json.lines().last().expect("a line")).expect("JSON");
        assert_eq!(last["added"], count('+'), "{json}");
        assert_eq!(json.lines().count(), expected.len() + 1);
    }
}

/// A page of one pair that etcd never wrote.
fn forged_page(id: u64, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut page = id.to_le_bytes().to_vec();
    page.extend([2, 0, 1, 0, 0, 0, 0, 0]);
    for number in [0, 16, key.len() as u32, value.len() as u32] {
        page.extend(number.to_le_bytes());
    }
    page.extend(key);
    page.extend(value);
    page
}

#[test]
fn a_value_that_looks_like_a_page_with_a_later_revision_changes_nothing() {
    let files = Files::new();
    for (main, is_tombstone) in [(2, false), (9, false), (9, true)] {
        let forged = |id| {
            let value = key_value(b"/registry/wanted", main, b"forged");
            forged_page(id, &revision(main, 0, is_tombstone), &value)
        };
        let mut database = Database::etcd();
        database.page_size = 512;
        database.put(2, "/registry/wanted", b"true");
        database.put(3, "/registry/other", &[7; 4000]);
        // The offset of a page within the large value, found in a first draft.
        let draft = database.bytes();
        let run = draft.windows(600).position(|bytes| bytes == [7; 600]).expect("it is there");
        let (page, begin) = (run.div_ceil(512), run.div_ceil(512) * 512 - run);
        let mut value = vec![7; 4000];
        let bytes = forged(page as u64);
        value[begin..begin + bytes.len()].copy_from_slice(&bytes);
        database.put(3, "/registry/other", &value);
        let dump = database.dump();
        assert_eq!(dump[page * 512..page * 512 + bytes.len()], bytes[..], "it lies on a page");

        let source = files.put("dump", &dump);
        assert_eq!(reported(&Look::Get(b"/registry/wanted".to_vec(), source.clone()), RAW), "true");
        let listed = reported(&Look::Keys(b"/registry/w".to_vec(), source), JSON);
        assert!(listed.contains("\"mod_revision\":2,") && listed.lines().count() == 1, "{listed}");
    }
}

#[test]
fn a_damaged_or_cut_dump_gives_an_error_and_nothing_else() {
    let files = Files::new();
    let mut database = Database::etcd();
    database.put(2, "/a", b"the value");
    let good = database.dump();
    let value = good.windows(9).position(|bytes| bytes == b"the value").expect("it is there");
    let mut bad: Vec<Vec<u8>> = [0, value, good.len() - 1]
        .map(|at| {
            let mut bad = good.clone();
            bad[at] ^= 1;
            bad
        })
        .into();
    bad.extend([good[..good.len() - 1].to_vec(), good[..good.len() - 32].to_vec(), Vec::new()]);
    let whole = files.put("whole", &good);
    for bytes in bad {
        let source = files.put("dump", &bytes);
        for what in [
            Look::Get(b"/a".to_vec(), source.clone()),
            Look::Get(b"/b".to_vec(), source.clone()),
            Look::Keys(Vec::new(), source.clone()),
            Look::Show(source.clone()),
            Look::Diff(source.clone(), whole.clone()),
            Look::Diff(whole.clone(), source.clone()),
        ] {
            for style in [RAW, TERMINAL, JSON] {
                let (out, outcome) = look(&what, style);
                let error = outcome.expect_err("it is damaged");
                assert!(
                    [ErrorKind::Corrupt, ErrorKind::Interrupted].contains(&error.kind),
                    "{error}"
                );
                // The message names the file, not the member: that may be gone when this is read.
                let text = error.to_string();
                assert!(text.starts_with(&format!("`{}`: verify: ", files.path("dump"))), "{text}");
                assert!(text.contains("another backup") && !text.contains("member"), "{text}");
                assert!(out.is_empty(), "{what:?}");
            }
        }
    }
}

#[test]
fn a_value_is_raw_on_a_pipe_and_escaped_on_a_terminal() {
    let files = Files::new();
    let mut database = Database::etcd();
    let value = b"k8s\x00\x1b[2J\n\xff\\";
    database.put(2, "/a", value);
    database.put(3, "/b", b"text\x1b");
    let source = files.put("dump", &database.dump());
    let get = |key: &[u8]| Look::Get(key.to_vec(), source.clone());
    assert_eq!(look(&get(b"/a"), RAW).0, value);
    assert_eq!(reported(&get(b"/a"), TERMINAL), "k8s\\x00\\x1b[2J\n\\xff\\\\\n");
    let json = reported(&get(b"/a"), JSON);
    let expected = "{\"key\":\"/a\",\"create_revision\":2,\"mod_revision\":2,\"version\":1,\
                    \"lease\":null,\"size\":11,\"value_base64\":\"azhzABtbMkoK/1w=\"}\n";
    assert_eq!(json, expected);
    assert!(reported(&get(b"/b"), JSON).contains("\"value\":\"text\\u001b\"}"));
}

#[test]
fn a_missing_key_and_a_deleted_key_are_different_errors() {
    let files = Files::new();
    let mut database = Database::etcd();
    database.put(2, "/gone", b"1");
    database.put(3, "/there", b"2");
    database.delete(4, "/gone");
    let source = files.put("dump", &database.dump());
    let absent = |key: &str| match look(&Look::Get(key.into(), source.clone()), RAW) {
        (out, Ok(Outcome::Absent(why))) => {
            assert!(out.is_empty());
            why
        }
        (_, outcome) => panic!("{key}: {outcome:?}"),
    };
    assert_eq!(absent("/gone"), "`/gone` does not exist at revision 4: it was deleted at 4");
    assert_eq!(absent("/the\n"), "`/the\\x0a` does not exist at revision 4");
    // A prefix of a key is not a key.
    absent("/ther");
    absent("");
}

#[test]
fn show_prints_text_or_the_fields_of_the_manifest() {
    let files = Files::new();
    let mut database = Database::etcd();
    database.pages = 100;
    for main in 2..9 {
        database.put(main, "/a", b"value");
    }
    database.delete(9, "/b");
    database.compact(5, false);
    database.add("lease", &[7; 8], &[8, 1]);
    database.add("auth", b"authEnabled", &[1]);
    database.add("authUsers", b"root", b"");
    database.add("alarm", &[8, 0x8e, 1, 16, 1], b"");
    let member = br#"{"id":2,"name":"a\u001b[2J","peerURLs":["http://n2:2380"],"isLearner":true}"#;
    database.add("members", b"0000000000000002", member);
    let source = files.put("dump", &database.dump());
    let text = reported(&Look::Show(source.clone()), RAW);
    for line in [
        "revision         9",
        "compacted at     5, not finished",
        "keys             1",
        "revisions        8 stored, 1 of them deletions",
        "leases           1",
        "authentication   on, 1 user, 0 roles",
        "raft index       5",
        "raft term        2",
        "storage version  3.6.0",
        "page size        4096 bytes",
        "alarm            NOSPACE of member 8e",
        "member           1 node1, peers at http://127.0.0.1:2380, clients at \
            http://127.0.0.1:2379",
        "member           2 a [2J, learner, peers at http://n2:2380",
    ] {
        assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    }
    assert!(text.contains("bytes, which a defragmentation would release\n"), "{text}");
    let keyspace = source.read(PROOF_MEMORY_MOST, no_observer()).expect("a database");
    let expected = serde_json::to_value(DatabaseInfo::of(&keyspace)).expect("JSON");
    let json = reported(&Look::Show(source), JSON);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).expect("JSON"), expected);
}

#[test]
fn a_lack_of_memory_is_reported_as_an_error() {
    let files = Files::new();
    let mut database = Database::etcd();
    database.put(2, "/large", &[7; 3 << 20]);
    for main in 3..2000 {
        database.put(main, &format!("/{main:0500}"), b"");
    }
    let source = files.put("dump", &database.dump());
    let read = |memory| names::Listed::read(&source, memory, b"", true);
    let error = read(1 << 20).err().expect("it does not fit");
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.to_string().contains("memory"), "{error}");
    // All keys except the large value, the only one that cannot be printed.
    let (_, listed) = read(3 << 20).expect("the names fit");
    let details = listed.keys.iter().filter(|key| listed.detail(key).is_some());
    assert_eq!((listed.keys.len(), details.count()), (1998, 1997));
}

/// A backup's files, as `plakar restore` leaves them.
fn directory(files: &Files, database: &Database) -> (Source, std::path::PathBuf) {
    let dump = database.dump();
    files.put("dump", &dump);
    let digest = hex(&dump[dump.len() - 32..]);
    files.put("RESTORE.md", format!("sha256 {digest}").as_bytes());
    let keyspace =
        files.put("dump", &dump).read(PROOF_MEMORY_MOST, no_observer()).expect("a database");
    let manifest = serde_json::json!({
        "version": 1,
        "dump": { "bytes": dump.len(), "sha256": digest },
        "database": DatabaseInfo::of(&keyspace),
    });
    files.put("manifest.json", manifest.to_string().as_bytes());
    (Source::Path(files.path("")), files.0.path().to_path_buf())
}

#[test]
fn a_directory_is_verified_against_its_manifest() {
    let refused = |source: &Source, kind: ErrorKind, words: &str| {
        let error = source.verify().expect_err(words);
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    let mut database = Database::etcd();
    database.put(2, "/a", b"value");
    let files = Files::new();
    let (source, path) = directory(&files, &database);
    let text = source.verify().expect("it is whole");
    assert!(text.starts_with("ok: ") && text.contains("revision 2, 1 keys"), "{text}");

    let manifest = std::fs::read_to_string(path.join("manifest.json")).expect("it is there");
    for (reported, other) in [
        ("\"keys\":1", "\"keys\":2"),
        ("\"hash_kv\":", "\"hash_kv\":1"),
        ("\"database\":", "\"database\":7,\"was\":"),
    ] {
        files.put("manifest.json", manifest.replace(reported, other).as_bytes());
        refused(&source, ErrorKind::Corrupt, "`manifest.json`");
    }
    directory(&files, &database);
    for guide in [&b""[..], b"the guide of another backup"] {
        files.put("RESTORE.md", guide);
        refused(&source, ErrorKind::Corrupt, "`RESTORE.md` is not the one of this dump");
    }
    directory(&files, &database);
    files.put("manifest.json", b"{");
    refused(&source, ErrorKind::Interrupted, "`manifest.json`");
    for name in ["dump", "manifest.json", "RESTORE.md"] {
        directory(&files, &database);
        std::fs::remove_file(path.join(name)).expect("it was there");
        refused(&source, ErrorKind::Interrupted, &format!("it has no `{name}`"));
    }
    directory(&files, &database);
    database.put(3, "/b", b"another");
    files.put("dump", &database.dump());
    refused(&source, ErrorKind::Corrupt, "`manifest.json`");
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_remedy() {
    let files = Files::new();
    for (path, words) in [(files.path("missing"), "--dir"), (files.path(""), "it is a directory")] {
        let (_, outcome) = look(&Look::Show(Source::Path(path.clone())), RAW);
        let error = outcome.expect_err("nothing is there");
        assert_eq!(error.kind, ErrorKind::InvalidConfig);
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains(&path), "{error}");
    }
    let missing = Source::Path(Path::new("missing").display().to_string());
    assert!(missing.verify().is_err_and(|error| error.to_string().contains("`missing`")));
}

#[test]
fn an_output_that_accepts_nothing_is_an_error() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let files = Files::new();
    let mut database = Database::etcd();
    database.put(2, "/a", b"value");
    let source = files.put("dump", &database.dump());
    for what in [
        Look::Show(source.clone()),
        Look::Keys(Vec::new(), source.clone()),
        Look::Get(b"/a".to_vec(), source.clone()),
        Look::Diff(source.clone(), source),
    ] {
        let error = what.run(RAW, &mut Full).expect_err("nobody takes it");
        assert!(error.to_string().contains("output"), "{error}");
    }
}
