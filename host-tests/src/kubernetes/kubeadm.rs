//! Control planes that the real kubeadm sets up: its certificates, its manifests and
//! its order of joining. Real are etcd and the API servers as well.
//!
//! What is not: the kubelet and containerd, for which there are stand-ins, and the
//! controller manager and the scheduler, whose pods do nothing.

use super::client::lists;
use super::kubelet::Kubelet;
use super::{Lists, Network, Node};
use crate::etcd::Version;
use crate::process::{Pid, Signal};
use crate::run::Run;
use crate::tools;
use rustix::process::kill_process;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest wait for something to come up; the machine may be busy.
const READY: Duration = Duration::from_secs(90);

/// Where the images come from, as far as the manifests say.
const IMAGES: &str = "images.test";

/// The key of the certificates that kubeadm hands on.
const CERTIFICATE_KEY: &str = "291666d8a17f6ecc96211c3712fe3badac3f814de7aa72e87d61acd856e6ceb4";

/// The name under which the API is reached, on every node.
const API: &str = "api.test";

/// A cluster, and the network that it is on. All of it ends with this value.
pub struct Kubeadm {
    version: Version,
    /// In the order in which they came.
    pub control_planes: Vec<ControlPlane>,
    network: Network,
    images: TempDir,
}

impl Kubeadm {
    /// A network without nodes, for a cluster with this version of etcd.
    pub fn new(version: Version) -> Kubeadm {
        let images = TempDir::with_prefix("images-").expect("a temporary directory");
        let programs = |image: &str| {
            let folder = images.path().join(image).join("usr/local/bin");
            fs::create_dir_all(&folder).expect("it is ours");
            folder
        };
        let etcd = programs(&format!("{IMAGES}/etcd:{}-0", version.name()));
        for name in ["etcd", "etcdctl", "etcdutl"] {
            symlink(version.program(name), etcd.join(name)).expect("it is ours");
        }
        let name = "kube-apiserver";
        let kubernetes = format!("v{}", tools::version("kubernetes"));
        let server = programs(&format!("{IMAGES}/{name}:{kubernetes}")).join(name);
        symlink(tools::kubernetes(name), server).expect("it is ours");
        for name in ["kube-controller-manager", "kube-scheduler"] {
            let idle = programs(&format!("{IMAGES}/{name}:{kubernetes}")).join(name);
            fs::write(&idle, "#!/bin/sh\nexec tail -f /dev/null\n").expect("it is ours");
            fs::set_permissions(&idle, PermissionsExt::from_mode(0o755)).expect("it is ours");
        }
        Kubeadm { version, control_planes: Vec::new(), network: Network::new(), images }
    }

    /// A cluster of control planes with these names and addresses.
    pub fn start(version: Version, nodes: &[(&str, &str)]) -> Kubeadm {
        let mut cluster = Kubeadm::new(version);
        for (index, (name, address)) in nodes.iter().enumerate() {
            cluster.add(name, address);
            match index {
                0 => cluster.control_planes[0].init(),
                _ => cluster.join(index),
            }
        }
        cluster
    }

    /// Adds a machine that nothing was done with; returns its number.
    pub fn add(&mut self, name: &str, address: &str) -> usize {
        let node = Arc::new(self.network.node(name, address));
        let programs = node.programs();
        for name in ["kubeadm", "kubectl"] {
            symlink(tools::kubernetes(name), programs.join(name)).expect("it is ours");
        }
        for (name, script) in [
            ("crictl", include_str!("stand-ins/crictl")),
            ("ctr", include_str!("stand-ins/ctr")),
            ("systemctl", include_str!("stand-ins/systemctl")),
        ] {
            fs::write(programs.join(name), script).expect("it is ours");
            fs::set_permissions(programs.join(name), PermissionsExt::from_mode(0o755))
                .expect("it is ours");
        }
        symlink(self.images.path(), node.folder().join("images")).expect("it is ours");
        let kubelet = Kubelet::start(node.clone(), self.images.path().to_owned());
        let machine = ControlPlane { _kubelet: kubelet, node, version: self.version };
        let first = self.control_planes.first().unwrap_or(&machine).node.address.clone();
        machine.point_api_at(&first);
        self.control_planes.push(machine);
        self.control_planes.len() - 1
    }

    /// `kubeadm join` of a machine, through the API wherever that is at present.
    #[track_caller]
    pub fn join(&self, index: usize) {
        let [machine, serving] = [&self.control_planes[index], self.serving()];
        let known = fs::read(serving.node.seen_from_outside("/etc/kubernetes/admin.conf"));
        let discovery = machine.node.folder().join("discovery.conf");
        fs::write(&discovery, known.expect("kubeadm wrote it")).expect("it is ours");
        serving.register(&machine.node);
        machine.kubeadm(
            "join --skip-phases=preflight,kubelet-start,kubelet-wait-bootstrap,wait-control-plane",
            &[json!({
                "apiVersion": "kubeadm.k8s.io/v1beta4",
                "kind": "JoinConfiguration",
                "nodeRegistration": machine.registration(),
                "discovery": { "file": { "kubeConfigPath": discovery } },
                "controlPlane": {
                    "localAPIEndpoint": { "advertiseAddress": machine.node.address },
                    "certificateKey": CERTIFICATE_KEY,
                },
            })],
        );
        machine.wait_until_ready();
        machine.report_pods();
    }

    /// A control plane whose API server is the one that all are pointed at.
    fn serving(&self) -> &ControlPlane {
        let hosts = fs::read_to_string(self.control_planes[0].node.seen_from_outside("/etc/hosts"));
        let hosts = hosts.expect("every node has one");
        let address = hosts.lines().find_map(|line| line.strip_suffix(API)).expect("it is there");
        let serving =
            self.control_planes.iter().find(|machine| machine.node.address == address.trim());
        serving.expect("the API is on a node")
    }
}

/// A machine for a control plane.
pub struct ControlPlane {
    // Dropped first: it takes its pods with it.
    _kubelet: Kubelet,
    /// Where it runs.
    pub node: Arc<Node>,
    version: Version,
}

impl ControlPlane {
    /// `kubeadm init`, and what it needs for others to join.
    #[track_caller]
    pub fn init(&self) {
        let configuration = self.configuration();
        for phase in ["certs all", "kubeconfig all", "etcd local", "control-plane all"] {
            self.kubeadm(&format!("init phase {phase}"), &configuration);
        }
        self.wait_until_ready();
        self.kubeadm("init phase upload-config all", &configuration);
        self.kubeadm("init phase upload-certs --upload-certs", &configuration);
        self.register(&self.node);
        self.kubeadm("init phase mark-control-plane", &configuration);
        self.kubeadm("init phase bootstrap-token", &configuration);
        self.report_pods();
    }

    /// What `kubeadm init` has against this machine, if this is to be ignored.
    pub fn objections(&self, ignored: &str) -> String {
        let words = format!("init phase preflight --ignore-preflight-errors={ignored}");
        self.kubeadm_run(&words, &self.configuration()).wait().stderr
    }

    fn configuration(&self) -> [Value; 2] {
        [
            json!({
                "apiVersion": "kubeadm.k8s.io/v1beta4",
                "kind": "InitConfiguration",
                "nodeRegistration": self.registration(),
                "localAPIEndpoint": { "advertiseAddress": self.node.address },
                "certificateKey": CERTIFICATE_KEY,
            }),
            json!({
                "apiVersion": "kubeadm.k8s.io/v1beta4",
                "kind": "ClusterConfiguration",
                "kubernetesVersion": format!("v{}", tools::version("kubernetes")),
                "controlPlaneEndpoint": format!("{API}:6443"),
                "imageRepository": IMAGES,
                "etcd": { "local": { "imageTag": format!("{}-0", self.version.name()) } },
            }),
        ]
    }

    /// Where `/etc/hosts` says that the API is.
    pub fn point_api_at(&self, address: &str) {
        let hosts = format!("127.0.0.1 localhost\n{address} {API}\n");
        fs::write(self.node.seen_from_outside("/etc/hosts"), hosts).expect("it is its own");
    }

    /// `kubectl` with these arguments, at this node's own API server.
    pub fn kubectl(&self, arguments: &[&str]) -> Run {
        let home = self.node.folder().to_str().expect("temporary paths are UTF-8");
        Run::of(self.node.command("kubectl"))
            .args(["--kubeconfig", "/etc/kubernetes/admin.conf"])
            .args(["--server", &format!("https://{}:6443", self.node.address)])
            .args(arguments)
            // It keeps a cache there.
            .env("HOME", home)
    }

    /// What this node's API server returns for a path.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        let outcome = self.kubectl(&["get", "--raw", path]).wait();
        outcome.assert_ok();
        serde_json::from_str(&outcome.stdout).expect("the API is JSON")
    }

    /// All that this node's API server stores, as it was at this revision of etcd.
    pub fn lists_at(&self, revision: u64) -> Lists {
        lists(|path| self.get(path), Some(revision))
    }

    /// `etcdctl` with these words, at this node's own member as its health checks ask it.
    pub fn etcdctl(&self, words: &str) -> Run {
        const PKI: &str = "/etc/kubernetes/pki/etcd";
        Run::of(self.node.command(self.version.program("etcdctl")))
            .args(["--endpoints", "https://127.0.0.1:2379"])
            .args(["--cacert", &format!("{PKI}/ca.crt")])
            .args(["--cert", &format!("{PKI}/healthcheck-client.crt")])
            .args(["--key", &format!("{PKI}/healthcheck-client.key")])
            .args(words.split(' '))
    }

    /// The process of a pod, if it runs.
    pub fn pod(&self, name: &str) -> Option<Pid> {
        let containers = fs::read_dir(self.node.folder().join("containers"));
        let containers = containers.expect("the kubelet made it").flatten();
        let texts = containers.filter_map(|container| fs::read_to_string(container.path()).ok());
        let found = |text: String| text.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        texts.filter_map(found).find_map(Pid::from_raw)
    }

    /// Kills a pod, as the kernel does when memory is short.
    pub fn kill(&self, pod: &str) {
        let process = self.pod(pod).expect("it runs");
        kill_process(process, Signal::KILL).expect("it runs");
    }

    /// Waits until this node's API server serves.
    #[track_caller]
    pub fn wait_until_ready(&self) {
        self.eventually("serve the API", || {
            self.kubectl(&["get", "--raw", "/readyz"]).wait().code == 0
        });
    }

    /// Waits for something to become true; panics where it never does.
    #[track_caller]
    pub fn eventually(&self, what: &str, look: impl Fn() -> bool) {
        let started = Instant::now();
        while !look() {
            if started.elapsed() > READY {
                let logs = [self.log("etcd"), self.log("kube-apiserver")].join("\n---\n");
                panic!("`{}` does not {what} within {READY:?}:\n{logs}", self.node.name);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The last lines that a pod logged.
    pub fn log(&self, pod: &str) -> String {
        let log = fs::read(self.node.folder().join("logs").join(pod)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    /// What the kubelet would report of this or another node.
    fn register(&self, node: &Node) {
        let labels = json!({ "kubernetes.io/hostname": node.name });
        let object = json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": { "name": node.name, "labels": labels },
        });
        self.create(&object.to_string());
    }

    /// What the kubelet would report of its static pods.
    pub fn report_pods(&self) {
        const PODS: &str = "cd /etc/kubernetes/manifests && for manifest in *.yaml; do \
            kubectl label --local -o json -f $manifest kubelet=stand-in | tr -d '\\n'; echo; done";
        let outcome = self.node.run(PODS).wait();
        outcome.assert_ok();
        for line in outcome.stdout.lines() {
            let mut pod: Value = serde_json::from_str(line).expect("a manifest");
            let name = pod["metadata"]["name"].as_str().expect("a pod has a name");
            pod["metadata"]["name"] = format!("{name}-{}", self.node.name).into();
            pod["metadata"]["annotations"]["kubernetes.io/config.mirror"] = "stand-in".into();
            pod["spec"]["nodeName"] = self.node.name.as_str().into();
            self.create(&pod.to_string());
        }
    }

    /// Creates the objects of these YAML documents.
    #[track_caller]
    pub fn create(&self, objects: &str) {
        self.kubectl(&["create", "-f", "-"]).input(objects).wait().assert_ok();
    }

    fn registration(&self) -> Value {
        json!({
            "name": self.node.name, "criSocket": "unix:///run/containerd/containerd.sock",
        })
    }

    /// `kubeadm` with these words and this configuration, which has to succeed.
    #[track_caller]
    fn kubeadm(&self, words: &str, configuration: &[Value]) {
        self.kubeadm_run(words, configuration).wait().assert_ok();
    }

    fn kubeadm_run(&self, words: &str, configuration: &[Value]) -> Run {
        let file: PathBuf = self.node.folder().join("kubeadm.yaml");
        let documents: Vec<String> = configuration.iter().map(Value::to_string).collect();
        fs::write(&file, documents.join("\n---\n")).expect("it is ours");
        let run = Run::of(self.node.command("kubeadm")).args(words.split(' '));
        run.args([Path::new("--config"), &file])
    }
}
