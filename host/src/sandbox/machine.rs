//! Failures that are this machine's, and not the component's.

use plakar_policy::Error;
use rustix::io::Errno;

/// Returns what the machine lacks or forbids, if that is why the engine failed.
pub(crate) fn shortage(error: &wasmtime::Error) -> Option<Error> {
    let errno = error.chain().find_map(|cause| {
        let io = cause.downcast_ref::<std::io::Error>().and_then(Errno::from_io_error);
        io.or_else(|| cause.downcast_ref::<Errno>().copied())
    })?;
    let (what, remedy) = match errno {
        Errno::ACCESS | Errno::PERM => (
            "this machine forbids executable memory, which compiled code needs",
            "check `MemoryDenyWriteExecute=` of the service, SELinux (`execmem`), or the \
                container's profile",
        ),
        Errno::NOMEM => (
            "this machine provides no more memory or address space",
            "check `ulimit -v`, `MemoryMax=`, and what else is running",
        ),
        Errno::AGAIN => (
            "the limit of threads or locked memory is reached",
            "check `ulimit -u` and `TasksMax=`",
        ),
        _ => return None,
    };
    Some(Error::machine(format!("{what} ({errno})")).remedy(remedy))
}
