//! Checks in advance what this program needs of the machine, and sets the message in case
//! something runs out all the same.

use plakar_policy::Error;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::Write;
use std::sync::{Arc, Barrier};

/// Threads that a run may have at a time beside the main one: the report's, the signals',
/// the clock's, the network's, the compile cache's, and some that wait for disks and name
/// lookups.
const THREADS: usize = 10;

/// Twice the number of files that a run may have open at a time.
const FILES: u64 = 64;

/// With fewer it could not even report what is wrong.
const FEWEST_FILES: u64 = 24;

/// Address space: the component's memory, stacks of threads, the compiler and its cache.
const LEAST_ADDRESS_SPACE: u64 = 1 << 30;

/// Stack of the main thread, which compiles and runs the component.
const STACK: u64 = 8 << 20;

/// With less than this it may overflow, which aborts.
const LEAST_STACK: u64 = 1 << 20;

/// Sets up how this process may end. Must be called first.
pub(super) fn prepare() {
    // A core dump would contain passwords and keys, and a panic aborts.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no reason is given");
        let message = message.lines().next().unwrap_or_default();
        let place = panic.location().map(|at| format!(" ({}:{})", at.file(), at.line()));
        let _ = writeln!(
            std::io::stderr(),
            "error: this program cannot continue: {message}{}; if this machine is short of \
                threads, files or memory, check `TasksMax=`, `ulimit -u`, `-n` and `-v`",
            place.unwrap_or_default()
        );
        std::process::exit(i32::from(plakar_policy::Fault::COMPONENT_EXIT_CODE));
    }));
}

/// Checks that there is enough of everything for a run.
pub(super) fn check() -> Result<(), Error> {
    files()?;
    address_space()?;
    threads()
}

/// Checks that the main thread has enough stack; to be called before it uses much. The
/// kernel applies a raised limit at once.
pub(super) fn stack() -> Result<(), Error> {
    let Rlimit { current, maximum } = getrlimit(Resource::Stack);
    let Some(mut bytes) = current.filter(|bytes| *bytes < STACK) else { return Ok(()) };
    let more = maximum.map_or(STACK, |maximum| maximum.min(STACK));
    if setrlimit(Resource::Stack, Rlimit { current: Some(more), maximum }).is_ok() {
        bytes = more;
    }
    if bytes < LEAST_STACK {
        return Err(Error::machine(format!(
            "the stack is limited to {} KiB, and {} are needed",
            bytes >> 10,
            LEAST_STACK >> 10
        ))
        .remedy("raise `ulimit -s`, or `LimitSTACK=`"));
    }
    Ok(())
}

fn files() -> Result<(), Error> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(mut count) = current.filter(|count| *count < FILES) else { return Ok(()) };
    let more = maximum.map_or(FILES, |maximum| maximum.min(FILES));
    if setrlimit(Resource::Nofile, Rlimit { current: Some(more), maximum }).is_ok() {
        count = more;
    }
    if count < FEWEST_FILES {
        return Err(Error::machine(format!(
            "only {count} files may be open at the same time, and {FEWEST_FILES} are needed"
        ))
        .remedy("raise `ulimit -n`, or `LimitNOFILE=`"));
    }
    Ok(())
}

fn address_space() -> Result<(), Error> {
    match getrlimit(Resource::As).current {
        Some(bytes) if bytes < LEAST_ADDRESS_SPACE => Err(Error::machine(format!(
            "the address space is limited to {} MiB, and {} are needed",
            bytes >> 20,
            LEAST_ADDRESS_SPACE >> 20
        ))
        .remedy("raise `ulimit -v`, or `LimitAS=`")),
        _ => Ok(()),
    }
}

/// Checks that threads can be started, because libraries assume that they can.
fn threads() -> Result<(), Error> {
    let all_there = Arc::new(Barrier::new(THREADS + 1));
    let mut started = Vec::new();
    for _ in 0..THREADS {
        let wait = Arc::clone(&all_there);
        let builder = std::thread::Builder::new().stack_size(64 << 10);
        // Threads that have started wait for the others; the process ends with them.
        let thread = builder.spawn(move || _ = wait.wait()).map_err(|error| no_threads(&error))?;
        started.push(thread);
    }
    all_there.wait();
    for thread in started {
        let _ = thread.join();
    }
    Ok(())
}

/// Returns the error if a thread could not be started.
pub(super) fn no_threads(error: &std::io::Error) -> Error {
    Error::machine(format!("threads cannot be started ({error}), and {} are needed", THREADS + 1))
        .remedy("check `ulimit -u`, `TasksMax=`, and the process limit of the container")
}
