//! Processes that cannot outlive the tests, not even where the tests are killed.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    PidfdFlags, kill_process, kill_process_group, pidfd_open, test_kill_process_group,
};
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{LazyLock, Mutex, mpsc};
use std::time::Duration;

pub use rustix::process::{Pid, Signal};

/// A command for `program` that the kernel kills once this process is gone.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A process started from [`command`], killed and reaped on drop.
#[derive(Debug)]
pub struct Process {
    child: Child,
    exit: OwnedFd,
}

impl Process {
    /// Starts it, as the leader of a process group of its own.
    pub fn start(mut command: Command) -> Process {
        command.process_group(0);
        let child = on_the_lasting_thread(command);
        let exit = pidfd_open(pid_of(&child), PidfdFlags::empty()).expect("a child not yet reaped");
        Process { child, exit }
    }

    /// The process's id, which is its group's as well.
    pub fn pid(&self) -> Pid {
        pid_of(&self.child)
    }

    /// The child, for the sake of its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends a signal to it, and to nothing else.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a child not yet reaped takes signals");
    }

    /// Waits for its end, no longer than `limit`; `None` if it still runs.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let limit = Timespec::try_from(limit).expect("a limit of a human scale");
        let mut ends = [PollFd::new(&self.exit, PollFlags::IN)];
        match poll(&mut ends, Some(&limit)).expect("a pidfd can be polled") {
            0 => None,
            _ => Some(self.child.wait().expect("an ended child can be reaped")),
        }
    }

    /// Whether anything of its process group still runs.
    pub fn group_is_gone(&self) -> bool {
        test_kill_process_group(self.pid()).is_err()
    }

    /// The most memory it held resident so far, in bytes; `None` once it ended.
    pub fn peak_memory(pid: Pid) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    }
}

/// What becomes readable at its end.
impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.exit.as_fd()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // It leads a group of its own, so nothing else is in there.
            let _ = kill_process_group(self.pid(), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

type Order = (Command, mpsc::Sender<std::io::Result<Child>>);

/// The death signal comes with the end of the *thread* that started a process,
/// and a test's thread may end before a process it shares with others.
fn on_the_lasting_thread(command: Command) -> Child {
    static ORDERS: LazyLock<Mutex<mpsc::Sender<Order>>> = LazyLock::new(|| {
        let (orders, queue) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in queue {
                // The thread that sent the order waits for this.
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let what = format!("{:?}", command.get_args().nth(3).unwrap_or_default());
    let (reply, started) = mpsc::channel();
    ORDERS.lock().expect("no holder panics").send((command, reply)).expect("the thread lasts");
    match started.recv().expect("the thread responds") {
        Ok(child) => child,
        Err(error) => panic!("{what} cannot be started through `setpriv` of util-linux: {error}"),
    }
}
