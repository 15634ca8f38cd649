//! What commands cost: time, processor, memory.

use host_tests::process::{Pid, Process, Signal, command};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{PidfdFlags, kill_process, pidfd_open};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest that a command may take; what takes longer has hung.
const LIMIT: Duration = Duration::from_secs(600);

/// How often memory is looked at. The kernel keeps the peak, so that no more is
/// lost than what came in the last moment.
const LOOK: Duration = Duration::from_millis(5);

/// Linux counts processor time for programs in hundredths of a second.
const TICKS: f64 = 100.0;

/// A command with a small environment of its own: no proxy and no setting of the
/// user's is in the way.
pub(crate) fn clean(program: impl AsRef<OsStr>, home: &Path) -> Command {
    let mut command = command(program);
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", home)
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("TMPDIR", tempfile::env::temp_dir());
    command
}

/// What a command cost.
#[derive(Debug, Default)]
pub(crate) struct Cost {
    /// Seconds from start to end.
    pub(crate) wall: f64,
    /// Seconds of processor time, of its children as well.
    pub(crate) cpu: f64,
    /// Seconds of it that were those of children which it waited for.
    pub(crate) children_cpu: f64,
    /// The most memory that it held resident, in bytes.
    pub(crate) memory: u64,
    /// What it wrote to standard error.
    pub(crate) stderr: String,
}

impl Cost {
    /// The cost of doing this one after that.
    pub(crate) fn then(self, next: Cost) -> Cost {
        Cost {
            wall: self.wall + next.wall,
            cpu: self.cpu + next.cpu,
            children_cpu: self.children_cpu + next.children_cpu,
            memory: self.memory.max(next.memory),
            stderr: self.stderr + &next.stderr,
        }
    }
}

/// A command that runs; killed on drop.
pub(crate) struct Running {
    shown: String,
    child: Child,
    exit: OwnedFd,
    started: Instant,
    memory: u64,
    stderr: File,
}

impl Running {
    /// Starts a command. Its output goes nowhere but where the command says.
    pub(crate) fn start(mut command: Command, output: impl Into<Stdio>) -> Result<Running, String> {
        let shown = command
            .get_args()
            .skip(3)
            .map(|argument| argument.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ");
        let failed =
            |error: &dyn std::fmt::Display| format!("`{shown}` cannot be started: {error}");
        let stderr = tempfile::tempfile().map_err(|error| failed(&error))?;
        let writer = stderr.try_clone().map_err(|error| failed(&error))?;
        command.process_group(0).stdout(output).stderr(writer);
        let started = Instant::now();
        let child = command.spawn().map_err(|error| failed(&error))?;
        let exit = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())
            .map_err(|error| failed(&error))?;
        Ok(Running { shown, child, exit, started, memory: 0, stderr })
    }

    /// Its id.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The child, for the sake of its pipes.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// When it was started.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), String> {
        kill_process(self.pid(), signal).map_err(|error| format!("`{}`: {error}", self.shown))
    }

    /// Waits for its end, which has to be a success. `look` is called now and
    /// then before it.
    pub(crate) fn wait(mut self, look: &mut dyn FnMut(Pid)) -> Result<Cost, String> {
        let pid = self.pid();
        let pause = Timespec::try_from(LOOK).expect("it is short");
        loop {
            let mut ends = [PollFd::new(&self.exit, PollFlags::IN)];
            // A signal that ends this process is no failure of the command.
            let ended = retry_on_intr(|| poll(&mut ends, Some(&pause)));
            let ended = ended.map_err(|error| error.to_string())?;
            if ended > 0 {
                break;
            }
            self.memory = Process::peak_memory(pid).unwrap_or(0).max(self.memory);
            look(pid);
            if self.started.elapsed() > LIMIT {
                return Err(format!("`{}` still runs after {LIMIT:?}", self.shown));
            }
        }
        let wall = self.started.elapsed().as_secs_f64();
        // It is not reaped yet, and so its account is still there.
        let account = account(pid).unwrap_or_default();
        let status = self.child.wait().map_err(|error| error.to_string())?;
        let mut stderr = String::new();
        let read = self.stderr.rewind().and_then(|()| self.stderr.read_to_string(&mut stderr));
        read.map_err(|error| error.to_string())?;
        if status.success() {
            Ok(Cost {
                wall,
                cpu: account.iter().sum(),
                children_cpu: account[2..].iter().sum(),
                memory: self.memory,
                stderr,
            })
        } else {
            Err(format!("`{}` ended with {status}: {}", self.shown, stderr.trim()))
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it was reaped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its successful end.
pub(crate) fn run(command: Command) -> Result<Cost, String> {
    Running::start(command, Stdio::null())?.wait(&mut |_| {})
}

/// Writes what is still in memory to the disk, so that nobody pays for the one
/// before.
pub(crate) fn settle() -> Result<(), String> {
    run(command("sync")).map(drop)
}

/// Seconds of processor time that a process took, not counting children.
pub(crate) fn cpu(pid: Pid) -> Option<f64> {
    account(pid).map(|account| account[..2].iter().sum())
}

/// utime, stime, cutime and cstime (proc_pid_stat(5)), in seconds.
fn account(pid: Pid) -> Option<[f64; 4]> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    let mut next = || Some(ticks.next()?.ok()? / TICKS);
    Some([next()?, next()?, next()?, next()?])
}
