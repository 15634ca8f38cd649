//! The commands of `RESTORE.md` run as printed.

use host_tests::database::database;
use host_tests::etcd::{Client, Etcd, Version, free_port};
use host_tests::gateway::{Answer, Gateway, Member, Stream};
use host_tests::process;
use host_tests::run::{Outcome, Run};
use host_tests::target::Target;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The first command block below a heading that holds this word.
pub(crate) fn block(guide: &str, heading: &str, word: &str) -> String {
    let (_, section) = guide
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("the guide has no `{heading}`:\n{guide}"));
    section
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(block, _)| block.to_owned()))
        .find(|block| block.contains(word))
        .unwrap_or_else(|| panic!("no block of `{heading}` says `{word}`:\n{guide}"))
}

/// A shell that finds the version's programs, the dump and the data directory.
fn shell(version: Version, script: &str, dump: &Path, data: &Path) -> Run {
    let programs = version.program("etcd");
    let folder = programs.parent().expect("a folder").display();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    Run::of(process::command("sh"))
        .args(["-c", script])
        .env("PATH", &path)
        .env("DUMP", dump.to_str().expect("UTF-8"))
        .env("DATA_DIR", data.to_str().expect("UTF-8"))
}

pub(crate) fn restore(version: Version, script: &str, dump: &Path, data: &Path) -> Outcome {
    shell(version, script, dump, data).wait()
}

fn backed_up(etcd: &Etcd) -> Target {
    let target = Target::new();
    Run::backup(&etcd.location(), &target.argument(), &[]).wait().assert_ok();
    target
}

fn folder() -> TempDir {
    TempDir::with_prefix("restored-").expect("the temporary directory can be written")
}

#[test]
fn one_member_comes_back_by_the_guide() {
    for version in Version::ALL {
        let etcd = Etcd::start(version);
        etcd.put_many("config", 100, 100);
        let target = backed_up(&etcd);
        let folder = folder();
        let script = block(&target.guide(), "## One member", "snapshot restore");
        assert!(!script.contains("skip-hash-check"));
        restore(version, &script, &target.dump(), &folder.path().join("data")).assert_ok();
        let restored = Etcd::start_on(version, folder);
        let revision = restored.revision();
        assert_eq!(restored.hash_kv(revision), etcd.hash_kv(revision), "etcd {version}");
    }
}

/// What etcd leaves of a failed restore, it would start from.
#[test]
fn a_damaged_dump_is_refused_by_the_guide_and_leaves_no_data() {
    for version in Version::ALL {
        let etcd = Etcd::start(version);
        etcd.put_many("config", 100, 100);
        let target = backed_up(&etcd);
        let mut dump = target.dump_bytes();
        let middle = dump.len() / 2;
        dump[middle] ^= 1;
        std::fs::write(target.dump(), dump).expect("it is ours");
        let folder = folder();
        let data = folder.path().join("data");
        let script = block(&target.guide(), "## One member", "snapshot restore");
        let outcome = restore(version, &script, &target.dump(), &data);
        assert_ne!(outcome.code, 0, "{outcome}");
        assert!(!data.exists(), "etcd {version} would start from what was left: {outcome}");
    }
}

#[test]
fn the_revision_is_raised_by_the_guide_for_kubernetes() {
    for version in [Version::V3_5_33, Version::V3_6_14, Version::V3_7_1] {
        let etcd = Etcd::start(version);
        etcd.put_many("registry", 100, 100);
        let target = backed_up(&etcd);
        let folder = folder();
        let script = block(&target.guide(), "## Under Kubernetes", "--bump-revision");
        restore(version, &script, &target.dump(), &folder.path().join("data")).assert_ok();
        let restored = Etcd::start_on(version, folder);
        assert!(restored.revision() > 1_000_000_000, "etcd {version}: {}", restored.revision());
        assert_eq!(restored.key_count(restored.revision()), 100);
    }
}

/// A real dump behind a member list of three, each with addresses of its own and
/// a name that no shell takes lightly.
#[test]
fn three_members_come_back_by_the_guide_and_agree() {
    let version = Version::V3_6_14;
    let etcd = Etcd::start(version);
    etcd.put_many("config", 100, 100);
    let saved = etcd.save_snapshot();
    let database = &saved[..saved.len() - 32];
    let names = ["node-1", "node 2", "it's $(touch pwned) \"3\""];
    let ports: Vec<(u16, u16)> = names.iter().map(|_| (free_port(), free_port())).collect();
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let list: Vec<_> = names
        .iter()
        .zip(&ports)
        .enumerate()
        .map(|(index, (name, (client, peer)))| {
            json!({
                "ID": (index + 1).to_string(), "name": name,
                "peerURLs": [url(*peer)], "clientURLs": [url(*client)],
            })
        })
        .collect();
    let member = Member::with(database)
        .numbered(2, 1)
        .snapshot(Answer::stream(Stream::of(database).body()))
        .on("/v3/cluster/member/list", Answer::json(200, &json!({
            "header": { "cluster_id": "7438200942389488494", "member_id": "2" }, "members": list,
        })));
    let gateway = Gateway::start(member);
    let target = Target::new();
    Run::backup(&gateway.location(), &target.argument(), &[]).wait().assert_ok();

    let guide = target.guide();
    let folder = folder();
    let mut running = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let data = folder.path().join(index.to_string());
        let heading = format!("### `{name}`");
        restore(version, &block(&guide, &heading, "snapshot restore"), &target.dump(), &data)
            .assert_ok();
        // As printed, but that the shell gives its process to etcd.
        let start = block(&guide, &heading, "etcd --data-dir").replace("\netcd ", "\nexec etcd ");
        running.push(shell(version, &start, &target.dump(), &data).start());
    }
    assert!(!Path::new("pwned").exists(), "a name was taken for a command");

    let clients: Vec<Client> =
        ports.iter().map(|(client, _)| Client::new(format!("127.0.0.1:{client}"))).collect();
    let started = Instant::now();
    while !clients.iter().all(|client| matches!(client.try_get("/health"), Ok((200, _)))) {
        assert!(started.elapsed() < Duration::from_secs(30), "the three do not serve: {running:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let revision = clients[0].revision();
    let expected = etcd.hash_kv(revision);
    for client in &clients {
        assert_eq!(Etcd::hash_kv_of(version, client, revision), expected);
    }

    // Now that there is a real cluster of three: a follower is asked, and the
    // guide tells of all.
    let target = Target::new();
    let endpoints: Vec<String> =
        ports.iter().map(|(client, _)| format!("127.0.0.1:{client}")).collect();
    let option = format!("endpoints={}", endpoints.join(","));
    Run::backup("etcd://", &target.argument(), &["-o", &option]).wait().assert_ok();
    let manifest = target.manifest();
    assert_eq!(manifest["member"]["role"], "follower");
    assert_eq!(manifest["members"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_guide_without_a_member_list_says_so() {
    let denied = Answer::refusal(
        host_tests::etcd::GatewayStyle::V2,
        403,
        7,
        "etcdserver: permission denied",
    );
    let gateway = Gateway::start(Member::with(&database(2)).on("/v3/cluster/member/list", denied));
    let target = Target::new();
    Run::backup(&gateway.location(), &target.argument(), &[]).wait().assert_ok();
    assert!(target.guide().contains("member list was not told"), "{}", target.guide());
}
