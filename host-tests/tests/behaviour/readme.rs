//! Every command of the README runs, as printed.
//!
//! The blocks run in order and in one shell, in namespaces of their own, which
//! `readme.sh` furnishes.

use host_tests::certs::{Authority, Leaf};
use host_tests::etcd::Version;
use host_tests::plakar::Plakar;
use host_tests::process::command;
use host_tests::run::{Outcome, Run};
use host_tests::tools;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What the README calls the package.
const VERSION: &str = "v0.1.0";

#[test]
fn every_command_of_the_readme_runs() {
    let readme = fs::read_to_string(tools::repository().join("README.md")).expect("the README");
    let blocks: Vec<&str> = readme
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(block, _)| block))
        // The recipes are what builds and runs this.
        .filter(|block| !block.contains("./just "))
        .collect();
    assert!(blocks.len() >= 6, "the README has {} blocks", blocks.len());

    let outcome = run(&blocks.join("\n"));
    assert_eq!(outcome.code, 0, "a command of the README fails: {outcome}");
    assert!(outcome.stdout.contains("the end of the README"), "{outcome}");
}

/// Runs a script where `node1` and `node2` are members, and the programs and files
/// that the README names are at hand.
fn run(script: &str) -> Outcome {
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
    ] {
        let name = program.file_name().expect("a program has a name").to_owned();
        symlink(&program, programs.join(name)).expect("a link can be made");
    }
    symlink(tools::connector(), world.join("connector.wasm")).expect("a link can be made");
    let package = plakar.package(tools::repository(), VERSION);
    fs::create_dir(world.join("dist")).expect("the folder is ours");
    let name = package.file_name().expect("a package has a name");
    fs::rename(&package, world.join("dist").join(name)).expect("both folders are ours");
    fs::write(world.join("etcd-password"), "a password\n").expect("the folder is ours");
    let script = [include_str!("readme.sh"), script, "\necho the end of the README\n"].concat();
    fs::write(world.join("script"), script).expect("the folder is ours");

    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    Run::of(command("unshare"))
        .args(["-n", "--pid", "--fork", "--kill-child", "--mount-proc", "bash"])
        .path(world.join("script"))
        .seeing("/etc/hosts", "127.0.0.1 localhost node1\n127.0.0.2 node2\n")
        .env("PATH", &path)
        .env("WORLD", text(&world))
        .env("PKI", text(&pki(&world)))
        .env("PLAKAR_PASSPHRASE", "a passphrase")
        .wait()
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
