//! The guide for each kind of cluster, compared with a reviewed one:
//! `UPDATE_GOLDEN=1 cargo test --lib restore` writes these files again.

use super::members::Reported;
use super::*;
use std::path::Path;

fn known() -> Known<'static> {
    Known {
        endpoint: "node1:2379",
        created_at: "2026-05-04T03:00:00Z",
        revision: "501".into(),
        keys: Some(212),
        version: "3.6.14",
        bytes: 20_615_200,
        sha256: "f2e4e49df1396f490f4a04aa5b328c053a2146656060f453b7ba24d562cbd82f",
        members: None,
        alarms: Vec::new(),
        auth: Some(false),
        quota: Some(DEFAULT_QUOTA),
        proof: proof("proven", None),
        warnings: &[],
    }
}

fn member(id: u64, name: &str, peer: &str, client: &str) -> Reported {
    let urls = |text: &str| text.split(' ').filter(|u| !u.is_empty()).map(String::from).collect();
    Reported {
        id,
        name: name.into(),
        is_learner: false,
        peer_urls: urls(peer),
        client_urls: urls(client),
    }
}

/// The three members of a cluster, each with its host.
fn three(names: [&str; 3], hosts: [&str; 3], scheme: &str) -> Option<Vec<Reported>> {
    let member = |(index, (name, host)): (usize, (&str, &str))| {
        let url = |port| format!("{scheme}://{host}:{port}");
        member(0xa0 + index as u64, name, &url(2380), &url(2379))
    };
    Some(names.into_iter().zip(hosts).enumerate().map(member).collect())
}

fn kubeadm() -> Known<'static> {
    let members = three(["cp1", "cp2", "cp3"], ["10.0.0.11", "10.0.0.12", "10.0.0.13"], "https");
    Known { endpoint: "10.0.0.12:2379", members, auth: None, ..known() }
}

fn odd() -> Known<'static> {
    let url = |host: &str, port: u16| format!("http://{host}:{port}");
    let plain = |id, name: &str| {
        let host = format!("10.0.0.{id}");
        member(id, name, &url(&host, 2380), &url(&host, 2379))
    };
    let members = vec![
        plain(1, "default"),
        plain(2, "default"),
        plain(3, "m9=http://10.6.6.6:2380,m2"),
        plain(4, "$(touch pwned) `id` | \u{202e}\n```\n# evil"),
        Reported { is_learner: true, ..plain(5, "learns") },
        Reported { client_urls: Vec::new(), ..plain(6, "") },
        member(7, "elsewhere", "http://10.0.0.7:2380,x=http://10.6.6.6:2380", ""),
        member(8, "copy", "http://10.0.0.1:2380", ""),
        // The name that the first one would get.
        plain(9, "member-1"),
        // A reserved word of the shell.
        plain(10, "esac"),
    ];
    Known { version: "3.4.23`$(id)`", members: Some(members), quota: None, ..known() }
}

/// The blocks of a page, in order.
fn blocks(page: &str) -> Vec<&str> {
    page.split("```sh\n")
        .skip(1)
        .map(|rest| rest.split_once("\n```\n").expect("a block ends").0)
        .collect()
}

#[track_caller]
fn assert_golden(name: &str, known: &Known) {
    let page = known.guide();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/restore/golden/{name}.md"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &page).expect("the folder can be written");
    }
    let golden = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(page == golden, "`{name}` differs from {}:\n{page}", file.display());
    assert_sound(&page);
}

/// Fails unless the page consists of plain lines and a shell can parse its blocks.
#[track_caller]
fn assert_sound(page: &str) {
    assert!(!page.contains("\n\n\n"), "an empty line too many:\n{page}");
    assert!(page.ends_with('\n') && !page.contains(" \n"), "{page}");
    for block in blocks(page) {
        let output = std::process::Command::new("sh").args(["-nc", block]).output();
        let output = output.expect("there is a shell");
        assert!(output.status.success(), "{output:?}\n{block}");
    }
}

#[test]
fn one_plain_member() {
    let members = Some(vec![member(1, "m1", "http://10.0.0.1:2380", "http://10.0.0.1:2379")]);
    assert_golden("one-plain-member", &Known { members, ..known() });
}

#[test]
fn three_members_with_names_and_tls() {
    let hosts = ["m1.example", "m2.example", "m3.example"];
    let members = three(["m1", "m2", "m3"], hosts, "https");
    let known = Known { endpoint: "m2.example:2379", members, auth: Some(true), ..known() };
    assert_golden("three-members-dns-tls", &known);
}

#[test]
fn the_control_planes_of_kubeadm() {
    assert_golden("kubeadm", &kubeadm());
}

#[test]
fn odd_names_and_a_learner() {
    assert_golden("odd-names-and-a-learner", &odd());
}

#[test]
fn a_refused_member_list() {
    assert_golden(
        "refused-member-list",
        &Known { version: "", quota: None, keys: None, ..known() },
    );
}

#[test]
fn a_large_database_with_alarms() {
    let alarms = vec![(0, "CORRUPT".into()), (0xa1, "NOSPACE".into()), (1, "N`EW\n#".into())];
    let hosts = ["fd00::1", "fd00::2", "fd00::3"].map(|ip| format!("[{ip}]"));
    let members = three(["m1", "m2", "m3"], [&hosts[0], &hosts[1], &hosts[2]], "http");
    let (bytes, quota) = (2_758_430_752, Some(8 << 30));
    let known = Known { version: "3.4.23", members, alarms, bytes, quota, ..known() };
    assert_golden("large-with-alarms-on-3.4", &known);
}

#[test]
fn text_of_the_cluster_is_not_in_a_block_and_does_not_end_a_line() {
    let page = odd().guide();
    assert!(!page.contains("\n# evil") && !page.contains('\u{202e}'));
    for block in blocks(&page) {
        assert!(!block.contains("10.6.6.6") && !block.contains("pwned"), "{block}");
    }
}

#[test]
fn every_member_is_either_printed_or_named_as_left_out() {
    let page = odd().guide();
    for id in 1..=10_u64 {
        let voter = page.contains(&format!("http://10.0.0.{id}:2380` |"));
        let left_out = page
            .lines()
            .any(|l| l.starts_with("- Left out: ") && l.contains(&format!("member `{id:x}`")));
        assert!(voter != left_out, "member {id}: {voter} {left_out}\n{page}");
    }
}

#[test]
fn the_page_grows_only_linearly_with_the_members() {
    let page = |size: u64| {
        let url = |id, port| format!("https://a-name-of-some-length-{id}.example:{port}");
        let list =
            (0..size).map(|id| member(id + 1, &format!("m{id}"), &url(id, 2380), &url(id, 2379)));
        Known { members: Some(list.collect()), ..known() }.guide().len()
    };
    let (one, more) = (page(32) - page(16), page(64) - page(32));
    assert!(more < 2 * one + 1000, "16 members more take {one} bytes, 32 more {more}");
    // A member list of this length is a mistake, or worse.
    assert!(page(20_000) < page(16));
}

#[test]
fn the_kubeadm_steps_are_there_only_if_they_can_apply() {
    let has_them = |members| {
        let page = Known { members, ..known() }.guide();
        page.contains("### Kubernetes static pods")
    };
    let names = ["cp1", "cp2", "cp3"];
    assert!(has_them(None));
    assert!(has_them(kubeadm().members));
    assert!(has_them(three(names, ["[fd00::1]", "[fd00::2]", "[fd00::3]"], "https")));
    assert!(!has_them(three(names, ["10.0.0.1", "10.0.0.2", "10.0.0.3"], "http")));
    assert!(!has_them(three(names, ["m1", "m2", "m3"], "https")));
    assert!(!has_them(three(names, ["127.0.0.1", "127.0.0.2", "127.0.0.3"], "https")));
}

#[test]
fn the_quota_is_the_reported_one_or_leaves_room() {
    const GIB: u64 = 1 << 30;
    for (dump, reported, expected) in [
        (20 << 20, None, None),
        (20 << 20, Some(2 * GIB), None),
        (20 << 20, Some(8 * GIB), Some(8 * GIB)),
        // A quota of a few megabytes that is full: the default leaves room.
        (8 << 20, Some(8 << 20), None),
        (1700 << 20, Some(2 * GIB), Some(2 * GIB)),
        (1700 << 20, None, Some(4 * GIB)),
        (2 * GIB, Some(2 * GIB), Some(4 * GIB)),
        (3 * GIB, Some(8 * GIB), Some(8 * GIB)),
    ] {
        assert_eq!(quota(dump, reported), expected, "{dump} {reported:?}");
    }
}

#[test]
fn text_as_code_stays_code() {
    for (text, shown) in [
        ("node1:2379", "`node1:2379`"),
        ("a`b|c", "`a?b?c`"),
        ("\u{202e}ü\n\u{7f}", "`????`"),
        ("", "``"),
    ] {
        assert_eq!(code(text), shown);
    }
    assert_eq!(code(&"x".repeat(1000)).len(), 205);
}

#[test]
fn the_guide_says_how_far_the_dump_was_compared() {
    for (outcome, reason, words) in [
        ("proven", None, "A majority of the voting members held the same keys."),
        ("self-consistent", None, "no other member was compared"),
        ("unproven", Some("`m1` was `silent`"), "is unknown: `?m1? was ?silent?`."),
        ("off", None, "It was not compared"),
    ] {
        let guide = Known { proof: proof(outcome, reason), ..known() }.guide();
        assert!(guide.lines().any(|line| line.contains(words)), "{outcome}: {guide}");
    }
}

/// A block that cannot go on says what to do, and ends with a failure.
#[test]
fn the_first_blocks_say_what_is_missing() {
    let hosts = ["m1.example", "m2.example", "m3.example"];
    let members = three(["m1", "m2", "m3"], hosts, "https");
    let guide = Known { members, ..known() }.guide();
    let blocks: Vec<&str> = guide
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(block, _)| block))
        .collect();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let run = |name: &str, blocks: &[&str]| {
        let output = std::process::Command::new("sh")
            .args(["-c", &blocks.concat()])
            .env("NAME", name)
            .env_remove("DUMP")
            .current_dir(folder.path())
            .output()
            .expect("`sh` can be run");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(run("m2", &blocks[..1]), (true, String::new()));
    for (name, blocks, words) in [
        ("vm", &blocks[..1], "set NAME to m1 or m2 or m3 and run this block again"),
        ("m2", &blocks[1..2], "run the block of section 1 in this shell first"),
        ("m2", &blocks[..2], "there is no file ./dump"),
    ] {
        let (succeeded, text) = run(name, blocks);
        assert!(!succeeded && text.contains(words), "{words}: {text}");
    }
}
