//! A stand-in for the kubelet: it runs what lies in the folder of manifests.
//!
//! It does what operators rely on, with real programs in the place of images: a
//! pod whose manifest goes away is ended, one that ends is started again, missing
//! `hostPath` directories of type `DirectoryOrCreate` are made, and a volume stays
//! what it was when its container was started. While the kubelet is stopped, what
//! runs goes on and no manifest is looked at.

use super::Node;
use crate::process::{Process, Signal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a pod that ended stays down; the real one waits longer each time.
const BACK_OFF: Duration = Duration::from_secs(1);

/// How long a pod may take to end, as its specification has it by default.
const GRACE: Duration = Duration::from_secs(30);

/// A kubelet on a node. Dropped, it takes its pods with it.
pub(super) struct Kubelet {
    orders: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Kubelet {
    /// Starts it on a node. `images` is a folder with a folder for each image, by
    /// its name, in which `usr/local/bin` holds the programs.
    pub(super) fn start(node: Arc<Node>, images: PathBuf) -> Kubelet {
        let folder = node.folder().to_owned();
        let orders = folder.join("orders");
        let containers = folder.join("containers");
        let logs = folder.join("logs");
        for folder in [&orders, &containers, &logs] {
            std::fs::create_dir(folder).expect("it is ours");
        }
        let manifests = node.seen_from_outside("/etc/kubernetes/manifests");
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).expect("inotify");
        let changes = inotify::WatchFlags::CLOSE_WRITE
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::MOVED_FROM
            | inotify::WatchFlags::DELETE;
        for folder in [&manifests, &orders] {
            inotify::add_watch(&watch, folder, changes).expect("a folder can be watched");
        }
        let state = State {
            node,
            images,
            manifests,
            orders: orders.clone(),
            containers,
            logs,
            pods: BTreeMap::new(),
            active: true,
            replies: Vec::new(),
            started: 0,
        };
        let thread = std::thread::spawn(move || state.run(&watch));
        Kubelet { orders, thread: Some(thread) }
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        // It takes whole files only.
        let [written, order] = [".end", "end"].map(|name| self.orders.join(name));
        std::fs::write(&written, "end").expect("it is ours");
        std::fs::rename(written, order).expect("it is ours");
        // Its thread may have panicked, which was reported already.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct State {
    node: Arc<Node>,
    images: PathBuf,
    manifests: PathBuf,
    orders: PathBuf,
    containers: PathBuf,
    logs: PathBuf,
    /// By the name of the file.
    pods: BTreeMap<String, Pod>,
    active: bool,
    replies: Vec<File>,
    /// How many containers were ever started.
    started: u64,
}

struct Pod {
    manifest: String,
    /// Empty where the manifest cannot be read.
    spec: Value,
    container: Container,
}

enum Container {
    Running { process: Process, id: String },
    Down { since: Instant },
}

impl State {
    fn run(mut self, watch: &OwnedFd) {
        loop {
            match self.obey() {
                Order::GoOn => {}
                Order::End => return,
            }
            if self.active {
                self.compare_with_manifests();
            }
            self.look_after_pods();
            self.wait(watch);
        }
    }

    /// Does what `systemctl` asks for, which waits for a line in return.
    fn obey(&mut self) -> Order {
        for (name, order) in files(&self.orders) {
            let path = self.orders.join(&name);
            match order.trim() {
                "end" => return Order::End,
                "stop" => self.active = false,
                "start" | "restart" => self.active = true,
                _ => {}
            }
            std::fs::remove_file(&path).expect("it is ours");
            let reply = self.node.folder().join(format!("{name}.reply"));
            // A pipe that is opened like this waits for nobody, and keeps what was
            // written for as long as it is open.
            if let Ok(mut reply) = File::options().read(true).write(true).open(reply) {
                reply.write_all(b"done\n").expect("a pipe takes a line");
                self.replies.push(reply);
            }
        }
        Order::GoOn
    }

    fn compare_with_manifests(&mut self) {
        let manifests: BTreeMap<String, String> = files(&self.manifests).collect();
        let gone = |name: &String, pod: &Pod| manifests.get(name) != Some(&pod.manifest);
        let ending: Vec<Pod> =
            self.pods.extract_if(.., |name, pod| gone(name, pod)).map(|(_, pod)| pod).collect();
        for pod in &ending {
            if let Container::Running { process, .. } = &pod.container {
                process.signal(Signal::TERM);
            }
        }
        for pod in ending {
            if let Container::Running { mut process, id } = pod.container {
                process.wait(GRACE);
                drop(process);
                let _ = std::fs::remove_file(self.containers.join(id));
            }
        }
        for (name, manifest) in manifests {
            if !self.pods.contains_key(&name) {
                let spec = self.read(&name);
                let long_ago = Instant::now().checked_sub(BACK_OFF).expect("the machine is up");
                let container = Container::Down { since: long_ago };
                self.pods.insert(name, Pod { manifest, spec, container });
            }
        }
    }

    /// A manifest as JSON; null where it is not one.
    fn read(&self, name: &str) -> Value {
        let mut kubectl = self.node.command("kubectl");
        kubectl.args(["label", "--local", "-o", "json", "-f"]);
        kubectl.arg(format!("/etc/kubernetes/manifests/{name}")).arg("kubelet=stand-in");
        let output =
            kubectl.env("HOME", self.node.folder()).output().expect("`nsenter` can be run");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    fn look_after_pods(&mut self) {
        let State { node, images, containers, logs, pods, started, .. } = self;
        for pod in pods.values_mut().filter(|pod| !pod.spec.is_null()) {
            match &mut pod.container {
                Container::Running { process, id } => {
                    if process.wait(Duration::ZERO).is_some() {
                        let _ = std::fs::remove_file(containers.join(id));
                        pod.container = Container::Down { since: Instant::now() };
                    }
                }
                Container::Down { since } if since.elapsed() < BACK_OFF => {}
                Container::Down { .. } => {
                    let name = &pod.spec["spec"]["containers"][0]["name"];
                    let name = name.as_str().expect("a container has a name");
                    *started += 1;
                    let id = format!("{started:012x}");
                    let log = File::options().create(true).append(true).open(logs.join(name));
                    let process = start(node, images, &pod.spec, log.expect("it is ours"));
                    // What `crictl` reads.
                    let container = format!("{name} {}", process.pid());
                    std::fs::write(containers.join(&id), container).expect("it is ours");
                    pod.container = Container::Running { process, id };
                }
            }
        }
    }

    /// Waits for a changed file, for the end of a container or for the end of a
    /// pod's rest.
    fn wait(&self, watch: &OwnedFd) {
        let mut rest: Option<Duration> = None;
        let mut events = vec![PollFd::new(watch, PollFlags::IN)];
        for pod in self.pods.values().filter(|pod| !pod.spec.is_null()) {
            match &pod.container {
                Container::Running { process, .. } => {
                    events.push(PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN));
                }
                Container::Down { since } => {
                    let left = BACK_OFF.saturating_sub(since.elapsed());
                    rest = Some(rest.map_or(left, |rest| rest.min(left)));
                }
            }
        }
        let rest = rest.map(|rest| Timespec::try_from(rest).expect("no more than a back-off"));
        poll(&mut events, rest.as_ref()).expect("file descriptors can be polled");
        // Which file it was does not matter: all are looked at.
        let mut buffer = [const { std::mem::MaybeUninit::uninit() }; 4096];
        let mut reader = inotify::Reader::new(watch, &mut buffer);
        while reader.next().is_ok() {}
    }
}

enum Order {
    GoOn,
    End,
}

/// The names and contents of the files in a folder; except hidden ones.
fn files(folder: &Path) -> impl Iterator<Item = (String, String)> {
    let entries = std::fs::read_dir(folder).expect("the folder lasts").flatten();
    entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok().filter(|name| !name.starts_with('.'))?;
        Some((name, std::fs::read_to_string(entry.path()).ok()?))
    })
}

/// Starts the first container of a pod, with its volumes as they are now.
fn start(node: &Node, images: &Path, pod: &Value, log: File) -> Process {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let container = &pod["spec"]["containers"][0];
    let volumes = list(&pod["spec"]["volumes"]);
    let mut arguments = Vec::new();
    for mount in list(&container["volumeMounts"]) {
        let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]);
        let source = &volume.expect("what is mounted is a volume")["hostPath"];
        let kind = text(&source["type"]);
        arguments.extend([kind, text(&source["path"]), text(&mount["mountPath"])]);
    }
    arguments.push("run".into());
    let command = list(&container["command"]);
    let mut words = command.iter().map(text);
    let program = words.next().expect("a container has a command");
    let image = images.join(text(&container["image"])).join("usr/local/bin").join(program);
    let mut command = node.command("unshare");
    command
        .args(["--mount", "sh", "-c", include_str!("container.sh"), "container.sh"])
        .args(arguments)
        .arg(image)
        .args(words)
        .stderr(log);
    Process::start(command)
}
