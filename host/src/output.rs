//! This process's standard output: whether it is open.

use rustix::fs::{FileType, Mode, OFlags, fcntl_getfl, fstat};

/// The reason if it is closed: a command with output cannot succeed then.
pub const CLOSED: &str = "standard output is closed, so the output is lost";

/// Returns whether this process was started without a standard output. Rust's runtime then
/// opens the null device in its place for reading and writing; a shell's `> /dev/null`
/// opens it for writing.
pub fn is_closed() -> bool {
    let out = rustix::stdio::stdout();
    let null = rustix::fs::open("/dev/null", OFlags::RDONLY, Mode::empty()).and_then(fstat);
    let (Ok(stat), Ok(null), Ok(flags)) = (fstat(out), null, fcntl_getfl(out)) else {
        return false;
    };
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && stat.st_rdev == null.st_rdev
        && flags.contains(OFlags::RDWR)
}
