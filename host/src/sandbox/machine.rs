//! Failures that are this machine's, and not the component's.

use plakar_policy::Error;
use rustix::io::Errno;

/// What the machine lacks or forbids, where that is why the engine failed.
pub(crate) fn shortage(error: &wasmtime::Error) -> Option<Error> {
    let errno = error.chain().find_map(|cause| {
        let io = cause.downcast_ref::<std::io::Error>().and_then(Errno::from_io_error);
        io.or_else(|| cause.downcast_ref::<Errno>().copied())
    })?;
    let message = match errno {
        Errno::ACCESS | Errno::PERM => {
            "this machine forbids making memory executable, which compiled code needs: look at \
             `MemoryDenyWriteExecute=` of the service, at SELinux (`execmem`), or at the \
             container's profile"
        }
        Errno::NOMEM => {
            "this machine gives no more memory or address space: look at `ulimit -v`, at \
             `MemoryMax=`, and at what else runs"
        }
        Errno::AGAIN => "threads or locked memory are used up: look at `ulimit -u` and `TasksMax=`",
        _ => return None,
    };
    Some(Error::machine(format!("{message} ({errno})")))
}
