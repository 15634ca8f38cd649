//! The examples do what they show: two more hosts, and a second connector.

use host_tests::database::database;
use host_tests::etcd::{Etcd, Version, free_port};
use host_tests::gateway::{Gateway, Member, Response};
use host_tests::plakar::Plakar;
use host_tests::process::command;
use host_tests::run::Run;
use host_tests::target::Target;
use host_tests::tools;
use plakar_connector::ErrorKind;
use std::fs;
use tempfile::NamedTempFile;

#[test]
fn a_real_member_is_backed_up_under_node() {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.put_many("config", 200, 500);
    let target = Target::new();
    let outcome = Run::node(&etcd.location(), &target.argument()).wait();
    outcome.assert_ok();
    assert!(outcome.stdout.contains("transport: gateway"), "Node has no HTTP/2: {outcome}");
    target.assert_whole_backup();
    let restored = Etcd::restore(Version::V3_6_14, &target.path().join("dump"));
    let revision = restored.revision();
    assert_eq!(restored.hash_kv(revision), etcd.hash_kv(revision));
}

#[test]
fn a_backup_that_fails_under_node_has_the_exit_code_of_its_kind_and_leaves_nothing() {
    let nobody = format!("etcd://127.0.0.1:{}", free_port());
    for (location, options, kind) in [
        (nobody.as_str(), &[][..], ErrorKind::Unreachable),
        (&nobody, &["transport=pigeon"], ErrorKind::InvalidConfig),
        ("nope://127.0.0.1", &[], ErrorKind::InvalidConfig),
    ] {
        let target = Target::new();
        let outcome = Run::node(location, &target.argument()).args(options).wait();
        outcome.assert_failed(kind, &["error: "]);
        target.assert_nothing_left();
    }
}

#[test]
fn every_kind_of_error_is_in_the_example_for_node_and_in_the_page_about_json() {
    let read = |path| fs::read_to_string(tools::repository().join(path)).expect("it is there");
    let (example, page) = (read("examples/javascript/backup.mjs"), read("docs/json-events.md"));
    for kind in ErrorKind::ALL {
        let entry = format!("'{}': {}", kind.name(), kind.exit_code());
        assert!(example.contains(&entry), "examples/javascript/backup.mjs lacks `{entry}`");
        let name = format!("`{}`", kind.name());
        assert!(page.contains(&name), "docs/json-events.md lacks {name}");
    }
}

#[test]
fn a_program_of_ones_own_backs_up_into_a_directory() {
    let etcd = Etcd::start(Version::V3_6_14);
    let target = Target::new();
    let outcome = Run::of(command(tools::embed()))
        .path(tools::connector())
        .args([etcd.location(), target.argument()])
        .wait();
    outcome.assert_ok();
    assert!(outcome.says(&format!("it may reach http://{}", etcd.endpoint())), "{outcome}");
    target.assert_whole_backup();
}

const PAGES: [(&str, &str); 2] = [("/index.html", "<p>hello</p>"), ("/deep/er.txt", "below")];

/// A web server with two pages, and the list of them in a file.
fn site() -> (Gateway, NamedTempFile) {
    let member = PAGES.iter().fold(Member::with(&database(2)), |member, (path, text)| {
        member.on(path, Response::new(200, "text/html", *text))
    });
    let site = Gateway::start(member);
    let pages = PAGES.map(|(path, _)| format!("http://{}{path}", site.endpoint()));
    (site, list(&pages))
}

fn list(urls: &[String]) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), urls.join("\n") + "\n").expect("it is ours");
    file
}

fn option(urls: &NamedTempFile) -> String {
    format!("urls_file={}", urls.path().display())
}

fn assert_pages(site: &Gateway, target: &Target) {
    for (path, text) in PAGES {
        let file = target.path().join(site.endpoint()).join(path.trim_start_matches('/'));
        assert_eq!(fs::read_to_string(file).expect("it was backed up"), text, "{path}");
    }
}

fn hello(location: &str, urls: &NamedTempFile, target: &Target) -> Run {
    Run::plakar_wasm(["backup"]).path(tools::hello_connector()).args([
        location,
        "--to",
        &target.argument(),
        "-o",
        &option(urls),
    ])
}

#[test]
fn web_pages_are_backed_up_by_a_small_connector() {
    let ((site, urls), target) = (site(), Target::new());
    hello(&format!("web://{}", site.endpoint()), &urls, &target).wait().assert_ok();
    assert_pages(&site, &target);
}

#[test]
fn the_page_of_a_server_itself_becomes_a_file() {
    let page = Response::new(200, "text/html", "home");
    let site = Gateway::start(Member::with(&database(2)).on("/", page));
    let (urls, target) = (list(&[format!("http://{}/", site.endpoint())]), Target::new());
    hello(&format!("web://{}", site.endpoint()), &urls, &target).wait().assert_ok();
    let file = target.path().join(site.endpoint()).join("index.html");
    assert_eq!(fs::read_to_string(file).expect("it was backed up"), "home");
}

#[test]
fn web_pages_are_backed_up_through_plakar() {
    let ((site, urls), plakar) = (site(), Plakar::hello());
    let location = format!("web://{}", site.endpoint());
    plakar.backup(&location, &["-o", &option(&urls)]).wait().assert_code(0);
    let snapshot = plakar.latest();
    snapshot.check();
    assert_pages(&site, &snapshot.restore());
}

#[test]
fn a_page_that_is_missing_cut_or_elsewhere_fails_the_backup() {
    let cut = Response::new(200, "text/html", "half of it").announcing(1000).then_cut();
    let gone = Response::new(404, "text/html", "gone");
    let member = Member::with(&database(2)).on("/cut", cut).on("/gone", gone);
    let (site, (other, elsewhere)) = (Gateway::start(member), site());
    let location = format!("web://{}", site.endpoint());
    let page = |path: &str| list(&[format!("http://{}{path}", site.endpoint())]);
    for (urls, kind, words) in [
        (page("/gone"), ErrorKind::Other, "/gone`: status 404"),
        (page("/cut"), ErrorKind::Interrupted, "/cut` was cut short"),
        (elsewhere, ErrorKind::Other, "is not granted"),
        (list(&["ftp://x".into()]), ErrorKind::InvalidConfig, "option `urls`: `ftp://x`"),
        (list(&["http://a/../b".into()]), ErrorKind::InvalidConfig, "`http://a/../b`"),
        (list(&["http://a".into()]), ErrorKind::InvalidConfig, "`http://a` is not"),
        (
            list(&["http://a/".into(), "http://a/index.html".into()]),
            ErrorKind::InvalidConfig,
            "another line",
        ),
    ] {
        let target = Target::new();
        hello(&location, &urls, &target).wait().assert_failed(kind, &[words]);
        target.assert_nothing_left();
    }
    assert!(!other.was_contacted());
}
