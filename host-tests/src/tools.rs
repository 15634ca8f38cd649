//! Where the built products and the installed tools are.
//!
//! A test that lacks one of them fails and says which command provides it: a
//! test that is skipped in silence proves nothing.

use std::path::{Path, PathBuf};

/// The component under test.
pub fn connector() -> PathBuf {
    built("dist/connector.wasm", "build")
}

/// The host under test.
pub fn plakar_wasm() -> PathBuf {
    built("dist/plakar-wasm", "build")
}

/// The component that misbehaves by the value of its option `behaviour`.
pub fn misbehaving_connector() -> PathBuf {
    built("target/wasm32-wasip2/connector/misbehaving_connector.wasm", "test-guests")
}

/// The small connector of the examples.
pub fn hello_connector() -> PathBuf {
    built("target/wasm32-wasip2/connector/hello_connector.wasm", "test-guests")
}

/// The example of a program that uses the host as a library.
pub fn embed() -> PathBuf {
    built("target/release/examples/embed", "test-guests")
}

/// The example that runs a connector under Node, with the packages that it uses.
pub fn backup_under_node() -> PathBuf {
    let folder = repository().join("examples/javascript");
    existing(folder.join("node_modules/.of-lock-file"), "tools/node-packages");
    folder.join("backup.mjs")
}

/// The stock command line that knows nothing of Plakar.
pub fn wasmtime() -> PathBuf {
    installed("wasmtime", version("wasmtime"), "wasmtime")
}

/// A program of one etcd version: `etcd`, `etcdctl` or `etcdutl`.
pub fn etcd(version: &str, program: &str) -> PathBuf {
    installed("etcd", version, program)
}

/// A program of Kubernetes: `kube-apiserver`, `kubeadm` or `kubectl`.
pub fn kubernetes(program: &str) -> PathBuf {
    installed("kubernetes", version("kubernetes"), program)
}

/// The plakar that the package is for.
pub fn plakar() -> PathBuf {
    installed("plakar", version("plakar"), "plakar")
}

/// The only version of a tool that `tools/versions` lists.
pub fn version(tool: &str) -> &'static str {
    let mut versions = versions(tool);
    let version = versions.next().unwrap_or_else(|| panic!("`tools/versions` has no {tool}"));
    assert_eq!(versions.next(), None, "`tools/versions` has several versions of {tool}");
    version
}

/// The versions of a tool that `tools/versions` lists, the oldest first.
fn versions(tool: &str) -> impl Iterator<Item = &'static str> {
    include_str!("../../tools/versions")
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(move |(name, _)| *name == tool)
        .map(|(_, version)| version)
}

/// The repository, for the files that are in it.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace member")
}

fn built(path: &str, recipe: &str) -> PathBuf {
    existing(repository().join(path), &format!("./just {recipe}"))
}

fn installed(tool: &str, version: &str, program: &str) -> PathBuf {
    let folder = tools_root().join(format!("{tool}-{version}"));
    existing(folder.join("bin").join(program), "./just tools")
}

fn tools_root() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    match (variable("PLAKAR_ETCD_TOOLS"), variable("XDG_CACHE_HOME"), variable("HOME")) {
        (Some(tools), ..) => tools.into(),
        (None, Some(cache), _) => Path::new(&cache).join("plakar-etcd"),
        (None, None, Some(home)) => Path::new(&home).join(".cache/plakar-etcd"),
        (None, None, None) => {
            panic!("set `PLAKAR_ETCD_TOOLS` or `HOME`: the tools are found by it")
        }
    }
}

fn existing(path: PathBuf, provider: &str) -> PathBuf {
    assert!(path.is_file(), "`{}` is missing: run `{provider}`", path.display());
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::Version;

    #[test]
    fn the_versions_of_etcd_under_test_are_those_that_are_installed() {
        let tested = Version::ALL.map(Version::name);
        assert_eq!(versions("etcd").collect::<Vec<_>>(), tested);
        assert_eq!(tested.last(), Some(&Version::NEWEST.name()));
    }

    #[test]
    fn the_wasmtime_of_the_host_is_the_stock_one() {
        let manifest = std::fs::read_to_string(repository().join("host/Cargo.toml"));
        let manifest = manifest.expect("it is in the repository");
        for crate_name in ["wasmtime", "wasmtime-wasi", "wasmtime-wasi-http"] {
            let wanted = format!("{crate_name} = {{ version = \"{}\"", version("wasmtime"));
            assert!(manifest.contains(&wanted), "host/Cargo.toml lacks `{wanted}`");
        }
    }
}
