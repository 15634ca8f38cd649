//! A command that runs.

use super::Outcome;
use crate::process::{Process, Signal};
use rustix::process::getpriority_process;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The longest that any run may last; what lasts longer has hung.
const LIMIT: Duration = Duration::from_secs(120);

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
    /// Starts a command, which reads this input and writes to this file, or to a pipe.
    pub(super) fn start(mut command: Command, input: Vec<u8>, output: Option<File>) -> Running {
        let shown = format!("{:?}", command.get_args().skip(3).collect::<Vec<_>>());
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        command.stdout(output.map_or_else(Stdio::piped, Stdio::from));
        let started = Instant::now();
        let mut process = Process::start(command);
        let mut stdin = process.child().stdin.take().expect("it is a pipe");
        // A program need not read what it is given.
        std::thread::spawn(move || stdin.write_all(&input));
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
