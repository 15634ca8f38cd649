//! `plakar-wasm` and stock `wasmtime`, run as a user runs them, for no longer
//! than a test may last.

use crate::kubernetes::Node;
use crate::process::{Process, Signal, command};
use crate::tools;
use plakar_connector::ErrorKind;
use rustix::process::getpriority_process;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The longest that any run may last; what lasts longer has hung.
const LIMIT: Duration = Duration::from_secs(120);

/// A command before it runs.
#[derive(Debug)]
pub struct Run {
    command: Command,
    input: Vec<u8>,
    output: Option<File>,
}

impl Run {
    /// `plakar-wasm` with these arguments.
    pub fn plakar_wasm(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        let mut run = Run::of(command(tools::plakar_wasm()));
        run.command.args(arguments);
        run
    }

    /// `plakar-wasm backup` of the component that misbehaves in this way.
    pub fn misbehaving(behaviour: &str, to: &str, more: &[&str]) -> Run {
        let behaviour = format!("behaviour={behaviour}");
        Run::plakar_wasm(["backup"])
            .path(tools::misbehaving_connector())
            .args(["test://127.0.0.1:80", "--to", to, "-o", &behaviour])
            .args(more)
    }

    /// `plakar-wasm ping CONNECTOR LOCATION` with more arguments.
    pub fn ping(location: &str, more: &[&str]) -> Run {
        Run::plakar_wasm(["ping"]).path(tools::connector()).args([location]).args(more)
    }

    /// `wasmtime run -S http CONNECTOR` with these arguments for the component.
    pub fn wasmtime(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        Run::wasmtime_with([""; 0], arguments)
    }

    /// The same, with more of wasmtime's own flags.
    pub fn wasmtime_with(
        flags: impl IntoIterator<Item = impl AsRef<OsStr>>,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Run {
        let run = Run::of(command(tools::wasmtime())).args(["run", "-S", "http"]).args(flags);
        run.path(tools::connector()).args(arguments)
    }

    /// The example that backs up under Node.
    pub fn node(location: &str, to: &str) -> Run {
        let run = Run::of(command("node")).path(tools::backup_under_node());
        run.path(tools::connector()).args([location, to])
    }

    /// `plakar-wasm run CONNECTOR -- …`: the same command line in our sandbox.
    pub fn in_our_sandbox(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        Run::plakar_wasm(["run"]).path(tools::connector()).args(["--"]).args(arguments)
    }

    /// Any other command.
    pub fn of(command: Command) -> Run {
        Run { command, input: Vec::new(), output: None }
    }

    /// Adds arguments.
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        self.command.args(arguments);
        self
    }

    /// Adds a path as an argument.
    pub fn path(self, path: impl AsRef<OsStr>) -> Run {
        self.args([path])
    }

    /// Runs it on a node, with the node's environment.
    pub fn on(mut self, node: &Node) -> Run {
        let mut outer = node.command(self.command.get_program());
        outer.args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            outer.env(name, value.expect("a run takes no variable away"));
        }
        self.command = outer;
        self
    }

    /// Runs it where this text stands in the place of a file that there is.
    pub fn seeing(self, file: &str, text: &str) -> Run {
        self.in_namespace(
            r#"shown=$(mktemp) && printf %s "$2" > "$shown" && mount --bind "$shown" "$1" \
                && rm "$shown" && shift 2 && exec "$@""#,
            [file, text].map(OsStr::new),
        )
    }

    /// Runs it where this folder is also to be seen at a place that there is not,
    /// right below the root.
    pub fn seeing_folder(self, place: &str, folder: &Path) -> Run {
        self.in_namespace(
            r#"mount -t tmpfs tmpfs /mnt || exit
            for entry in /*; do
                if [ -L "$entry" ]; then cp -P "$entry" /mnt
                elif [ -d "$entry" ]; then mkdir "/mnt$entry" && mount --rbind "$entry" "/mnt$entry"
                fi || exit
            done
            mkdir "/mnt$1" && mount --bind "$2" "/mnt$1" && shift 2 && exec chroot /mnt "$@""#,
            [OsStr::new(place), folder.as_os_str()],
        )
    }

    /// Lets a shell's script, which gets two arguments of its own, set a mount
    /// namespace up for it.
    fn in_namespace(self, script: &str, arguments: [&OsStr; 2]) -> Run {
        let unshare = ["--map-root-user", "--mount", "sh", "-c", script, "sh"].map(OsStr::new);
        self.through("unshare", unshare.into_iter().chain(arguments))
    }

    /// Lets another program, which gets arguments of its own first, run it.
    pub fn through(
        mut self,
        program: &str,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Run {
        let mut outer = command(program);
        outer.args(arguments).arg(self.command.get_program()).args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            outer.env(name, value.expect("a run takes no variable away"));
        }
        self.command = outer;
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Run {
        self.command.env(name, value);
        self
    }

    /// What it reads on standard input; nothing otherwise.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Run {
        self.input = input.into();
        self
    }

    /// Sends standard output to a file, as the shell's `>` does.
    pub fn output_to(mut self, file: File) -> Run {
        self.output = Some(file);
        self
    }

    /// Runs it to its end.
    pub fn wait(self) -> Outcome {
        self.start().wait()
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        let shown = format!("{:?}", self.command.get_args().skip(3).collect::<Vec<_>>());
        self.command.stdin(Stdio::piped()).stderr(Stdio::piped());
        self.command.stdout(self.output.map_or_else(Stdio::piped, Stdio::from));
        let started = Instant::now();
        let mut process = Process::start(self.command);
        let mut stdin = process.child().stdin.take().expect("it is a pipe");
        // A program need not read what it is given.
        std::thread::spawn(move || stdin.write_all(&self.input));
        let (reported, lines) = mpsc::channel();
        let stdout = process.child().stdout.take();
        let stdout = std::thread::spawn(move || {
            stdout.map_or_else(String::new, |out| read_lines(out, &reported))
        });
        let stderr = process.child().stderr.take().expect("it is a pipe");
        let stderr = std::thread::spawn(move || read_all(stderr));
        let pid = process.pid();
        let memory = std::thread::spawn(move || {
            let mut peak = 0;
            while let Some(now) = Process::peak_memory(pid) {
                peak = now;
                std::thread::sleep(Duration::from_millis(5));
            }
            peak
        });
        Running { shown, process, started, lines, stdout, stderr, memory }
    }
}

/// A command that runs; killed on drop.
#[derive(Debug)]
pub struct Running {
    shown: String,
    process: Process,
    started: Instant,
    lines: mpsc::Receiver<String>,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
    memory: JoinHandle<u64>,
}

impl Running {
    /// Waits for a line of standard output that `wanted` takes, and returns it.
    /// The lines before it are taken as well.
    pub fn wait_for_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let left = LIMIT.saturating_sub(self.started.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) if wanted(&line) => return line,
                Ok(_) => {}
                Err(error) => panic!("{} did not say it: {error}", self.shown),
            }
        }
    }

    /// Waits for an event of `--json`.
    pub fn wait_for_event(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let event = |line: &str| serde_json::from_str(line).expect("`--json` writes JSON lines");
        event(&self.wait_for_line(|line| wanted(&event(line))))
    }

    /// By how much it gives way to others, more than this process does.
    pub fn niceness(&self) -> i32 {
        let of = |pid| getpriority_process(pid).expect("its priority can be read");
        of(Some(self.process.pid())) - of(None)
    }

    /// What `/proc` says of it in this file.
    pub fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.process.pid()))
            .expect("a process that runs is in /proc")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Outcome {
        let left = LIMIT.saturating_sub(self.started.elapsed());
        let Some(status) = self.process.wait(left) else {
            panic!("{} still runs after {LIMIT:?}", self.shown);
        };
        let elapsed = self.started.elapsed();
        let gone = self.process.group_is_gone();
        let text = |thread: JoinHandle<String>| thread.join().expect("a pipe can be read");
        Outcome {
            command: self.shown,
            code: status
                .code()
                .or_else(|| status.signal().map(|signal| 128 + signal))
                .unwrap_or(-1),
            stdout: text(self.stdout),
            stderr: text(self.stderr),
            elapsed,
            peak_memory: self.memory.join().expect("it only reads"),
            left_processes: !gone,
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    command: String,
    /// The exit code; 128 and the signal's number where one ended it.
    pub code: i32,
    /// Standard output, unless it went to a file.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// How long it took.
    pub elapsed: Duration,
    /// The most memory that was resident at a time, in bytes, as far as seen.
    pub peak_memory: u64,
    /// Whether something that it started still ran after its end.
    pub left_processes: bool,
}

impl Outcome {
    /// Fails unless it succeeded.
    #[track_caller]
    pub fn assert_ok(&self) -> &Outcome {
        assert_eq!(self.code, 0, "{self}");
        assert!(!self.left_processes, "processes were left: {self}");
        self
    }

    /// Fails unless it failed with this kind, and said each of these words.
    #[track_caller]
    pub fn assert_failed(&self, kind: ErrorKind, words: &[&str]) -> &Outcome {
        self.assert_exit(i32::from(kind.exit_code()), words)
    }

    /// Fails unless it ended with this exit code, and said each of these words.
    #[track_caller]
    pub fn assert_exit(&self, code: i32, words: &[&str]) -> &Outcome {
        assert_eq!(self.code, code, "{self}");
        assert!(!self.left_processes, "processes were left: {self}");
        for word in words {
            assert!(self.says(word), "it does not say `{word}`: {self}");
        }
        self
    }

    /// Whether this is to be read on either standard stream.
    pub fn says(&self, words: &str) -> bool {
        self.stdout.contains(words) || self.stderr.contains(words)
    }

    /// The events of `--json`.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        let event = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in `{line}`: {self}"))
        };
        self.stdout.lines().map(event).collect()
    }

    /// The last event of `--json`.
    #[track_caller]
    pub fn outcome(&self) -> Value {
        self.events().pop().unwrap_or_else(|| panic!("there are no events: {self}"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} ended with {} after {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.command, self.code, self.elapsed, self.stdout, self.stderr
        )
    }
}

fn read_lines(pipe: impl Read, reported: &mpsc::Sender<String>) -> String {
    let mut text = String::new();
    let mut pipe = BufReader::new(pipe);
    let mut bytes = Vec::new();
    while pipe.read_until(b'\n', &mut bytes).is_ok_and(|length| length > 0) {
        let line = String::from_utf8_lossy(&bytes).into_owned();
        text.push_str(&line);
        // Most tests wait for no line.
        let _ = reported.send(line.trim_end().into());
        bytes.clear();
    }
    text
}

fn read_all(mut pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = pipe.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
