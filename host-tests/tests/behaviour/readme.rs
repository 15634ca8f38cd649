//! Every command of the README and of the operator's guide runs, as printed.
//!
//! The blocks of a page run in order and in one shell, in namespaces of their own,
//! which `world.sh` prepares, and `readme.sh` and `operators_guide.sh` furnish.

use host_tests::certs::{Authority, Leaf};
use host_tests::etcd::Version;
use host_tests::plakar::Plakar;
use host_tests::process::command;
use host_tests::run::Run;
use host_tests::tools;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What the pages call the package.
const VERSION: &str = "v0.1.0";

#[test]
fn every_command_of_the_readme_runs() {
    // The recipes are what builds and runs this.
    let blocks = blocks("README.md", |block| !block.contains("./just "));
    assert!(blocks.len() >= 6, "the README has {} blocks", blocks.len());
    let hosts = "127.0.0.1 localhost node1\n127.0.0.2 node2\n";
    run(include_str!("readme.sh"), hosts, &blocks.join("\n"));
}

#[test]
fn every_command_of_the_operators_guide_runs() {
    let blocks = blocks("docs/operators-guide.md", |_| true);
    assert!(blocks.len() >= 8, "the guide has {} blocks", blocks.len());
    let script: Vec<String> = blocks
        .into_iter()
        // Which snapshot is known only once there is one.
        .map(|block| {
            if block.contains("$SNAPSHOT") {
                format!(
                    "SNAPSHOT=$(snapshot)\n{block}\n[ \
            -s ./etcd-snapshot/dump ]\n"
                )
            } else {
                block
            }
        })
        .collect();
    let hosts = "127.0.0.1 localhost node1\n127.0.0.2 node2\n127.0.0.3 node3\n";
    run(include_str!("operators_guide.sh"), hosts, &script.join("\n"));
}

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    let mut links = 0;
    for page in [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "RELEASING.md",
        "SECURITY.md",
        "docs/README.md",
        "docs/architecture.md",
        "docs/json-events.md",
        "docs/manifest.md",
        "docs/operators-guide.md",
        "docs/performance.md",
        "docs/style.md",
        "examples/hello-connector/README.md",
        "examples/javascript/README.md",
    ] {
        let text = fs::read_to_string(tools::repository().join(page)).expect(page);
        let folder = Path::new(page).parent().expect("a page is in a folder");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            links += 1;
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { Path::new(page).into() } else { folder.join(path) };
            let target = tools::repository().join(target);
            assert!(target.exists(), "{page}: `{link}` leads nowhere");
            let text = || fs::read_to_string(&target).expect("a page is text");
            let is_there = || headings(&text()).iter().any(|known| known == heading);
            assert!(heading.is_empty() || is_there(), "{page}: `{link}` has no such heading");
        }
    }
    assert!(links > 40, "there are {links} links");
}

/// The headings of a page as links name them.
fn headings(text: &str) -> Vec<String> {
    let name = |heading: &str| {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        heading.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
    };
    text.lines()
        .filter_map(|line| {
            line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#'))
        })
        .map(name)
        .collect()
}

/// The blocks of a page for which the filter holds.
fn blocks(page: &str, filter: impl Fn(&str) -> bool) -> Vec<String> {
    let text = fs::read_to_string(tools::repository().join(page)).expect(page);
    text.split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(block, _)| block.to_owned()))
        .filter(|block| filter(block))
        .collect()
}

/// Runs a script to its end in the world that another one makes, where these hosts
/// are known, and the programs and files that the pages name are at hand.
fn run(world_script: &str, hosts: &str, script: &str) {
    let plakar = Plakar::bare();
    let world = plakar.home().join("world");
    let programs = world.join("bin");
    fs::create_dir_all(&programs).expect("the folder is ours");
    let etcd = Version::V3_6_14;
    for program in [
        tools::plakar(),
        tools::plakar_wasm(),
        tools::wasmtime(),
        etcd.program("etcd"),
        etcd.program("etcdctl"),
        etcd.program("etcdutl"),
    ] {
        let name = program.file_name().expect("a program has a name").to_owned();
        symlink(&program, programs.join(name)).expect("a link can be made");
    }
    symlink(tools::connector(), world.join("connector.wasm")).expect("a link can be made");
    let package = plakar.package(tools::repository(), VERSION);
    let name = package.file_name().expect("a package has a name");
    fs::create_dir(world.join("dist")).expect("the folder is ours");
    fs::copy(&package, world.join("dist").join(name)).expect("both folders are ours");
    fs::rename(&package, world.join(name)).expect("both folders are ours");
    fs::write(world.join("etcd-password"), "a password\n").expect("the folder is ours");
    let script =
        [include_str!("world.sh"), world_script, script, "\necho the end of the page\n"].concat();
    fs::write(world.join("script"), script).expect("the folder is ours");

    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let outcome = Run::of(command("unshare"))
        .args(["-n", "--pid", "--fork", "--kill-child", "--mount-proc", "bash"])
        .path(world.join("script"))
        .seeing("/etc/hosts", hosts)
        .env("PATH", &path)
        .env("WORLD", text(&world))
        .env("PKI", text(&pki(&world)))
        .env("PLAKAR_PASSPHRASE", "a passphrase")
        .wait();
    assert_eq!(outcome.code, 0, "a command of the page fails: {outcome}");
    assert!(outcome.stdout.contains("the end of the page"), "{outcome}");
}

/// The files that kubeadm would have made.
fn pki(world: &Path) -> PathBuf {
    let authority = Authority::new();
    let folder = world.join("pki");
    fs::create_dir(&folder).expect("the folder is ours");
    let copy = |file: String, name: &str| {
        fs::copy(file, folder.join(name)).expect("it was written");
    };
    copy(authority.file(), "ca.crt");
    for (name, leaf) in [
        ("server", Leaf::server(&["node2", "127.0.0.2"])),
        ("healthcheck-client", Leaf::client(Some("kube-etcd-healthcheck-client"))),
    ] {
        let identity = authority.issue(leaf);
        copy(identity.cert, &format!("{name}.crt"));
        copy(identity.key, &format!("{name}.key"));
    }
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}
