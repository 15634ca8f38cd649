//! Where the built products and the installed tools are.
//!
//! A test that lacks one of them fails and says which command provides it: a
//! test that is skipped in silence proves nothing.

use std::path::{Path, PathBuf};

/// The component under test.
pub fn connector() -> PathBuf {
    built("dist/connector.wasm")
}

/// The host under test.
pub fn plakar_wasm() -> PathBuf {
    built("dist/plakar-wasm")
}

/// The component that misbehaves by the value of its option `behaviour`.
pub fn misbehaving_connector() -> PathBuf {
    built("target/wasm32-wasip2/connector/misbehaving_connector.wasm")
}

/// The small connector of the examples.
pub fn hello_connector() -> PathBuf {
    built("target/wasm32-wasip2/connector/hello_connector.wasm")
}

/// The example of a program that uses the host as a library.
pub fn embed() -> PathBuf {
    built("target/release/examples/embed")
}

/// The example that runs a connector under Node, with the packages that it uses.
pub fn backup_under_node() -> PathBuf {
    let folder = repository().join("examples/javascript");
    existing(folder.join("node_modules/.of-lock-file"), "./just tools");
    folder.join("backup.mjs")
}

/// The stock command line that knows nothing of Plakar.
pub fn wasmtime() -> PathBuf {
    installed("wasmtime-48.0.8", "wasmtime")
}

/// A program of one etcd version: `etcd`, `etcdctl` or `etcdutl`.
pub fn etcd(version: &str, program: &str) -> PathBuf {
    installed(&format!("etcd-{version}"), program)
}

/// A program of Kubernetes: `kube-apiserver`, `kubeadm` or `kubectl`.
pub fn kubernetes(program: &str) -> PathBuf {
    installed("kubernetes-1.34.2", program)
}

/// The plakar that the package is for.
pub fn plakar() -> PathBuf {
    installed("plakar-1.1.4", "plakar")
}

/// The repository, for the files that are in it.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace member")
}

fn built(path: &str) -> PathBuf {
    existing(repository().join(path), "./just build")
}

fn installed(folder: &str, program: &str) -> PathBuf {
    existing(tools_root().join(folder).join("bin").join(program), "./just tools")
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
