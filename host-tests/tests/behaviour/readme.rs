//! Every command of the README and of the operator's guide runs, as printed.
//!
//! The blocks of a page run in order and in one shell, in namespaces of their own,
//! which `world.sh` prepares, and `readme.sh` and `operators_guide.sh` furnish.

use host_tests::certs::{Authority, Leaf};
use host_tests::etcd::Version;
use host_tests::plakar::{PACKAGE_VERSION, Plakar};
use host_tests::process::command;
use host_tests::run::Run;
use host_tests::tools;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

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

/// Adds the text of every source file below a folder: string literals on one line, and `#` for
/// what is filled in.
fn add_sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("it can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            add_sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("it can be read");
            let mut lines = source.split("\\\n");
            text.push_str(lines.next().unwrap_or_default());
            lines.for_each(|line| text.push_str(line.trim_start()));
        }
    }
}

/// A source with `#` for each value that a format string fills in.
fn without_values(source: &str) -> String {
    let mut parts = source.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || "_.:?".contains(c);
        match part.split_once('}').filter(|(name, _)| name.chars().all(is_of_name)) {
            Some((_, rest)) => filled.extend(["#", rest]),
            None => filled.extend(["{", part]),
        }
    }
    filled
}

/// Those that plakar itself prints are not ours.
const OF_PLAKAR: [&str; 2] = ["failed to create an importer for", "failed to start plugin"];

#[test]
fn the_messages_that_the_guide_explains_are_those_of_the_programs() {
    let guide = fs::read_to_string(tools::repository().join("docs/operators-guide.md"));
    let guide = guide.expect("it is there");
    let (_, table) = guide.split_once("| what plakar says | what to do |").expect("the table");
    let mut sources = String::new();
    for folder in ["src", "contract/src", "host/src", "host/policy/src", "host/sink/src"] {
        add_sources(&tools::repository().join(folder), &mut sources);
    }
    let sources = without_values(&sources);
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut checked = 0;
    for message in rows.filter_map(|row| row.split(" | ").next()) {
        let message = message.trim_matches(['|', ' ', '`']);
        for piece in message.split(['…']).flat_map(|piece| piece.split(": ")) {
            // As the sources have it: what is a value here is filled in there.
            let words = piece.replace("/dump", "#");
            let words: Vec<&str> = words
                .split_whitespace()
                .map(|word| if word.starts_with(|c: char| c.is_ascii_digit()) { "#" } else { word })
                .collect();
            let words = words.join(" ");
            if words.len() > 4 && !OF_PLAKAR.contains(&words.as_str()) {
                assert!(sources.contains(&words), "no program says `{words}`");
                checked += 1;
            }
        }
    }
    assert!(checked >= 9, "{checked} texts were found");
}

/// Within a twentieth: compilers differ.
#[test]
fn the_component_has_the_size_that_the_pages_state() {
    let size = fs::metadata(tools::connector()).expect("it is built").len() / 1000;
    for page in ["README.md", "docs/performance.md"] {
        let text = fs::read_to_string(tools::repository().join(page)).expect(page);
        let (_, rest) = text.split_once("`connector.wasm` is ").expect(page);
        let (stated, _) = rest.split_once(" KB").expect(page);
        let stated: u64 = stated.parse().expect(page);
        assert!(stated.abs_diff(size) <= size / 20, "{page}: {stated} KB, and it has {size}");
    }
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
    let package = plakar.package(tools::repository(), PACKAGE_VERSION);
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
