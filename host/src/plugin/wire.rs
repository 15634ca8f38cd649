//! The connection to plakar: standard input and output, joined.

use plakar_policy::Error;
use rustix::io::dup;
use rustix::stdio::{dup2_stdout, stderr, stdin, stdout};
use tokio::io::{AsyncRead, AsyncWrite, join};
use tokio::net::unix::pipe::{Receiver, Sender};

/// How many bytes may wait in the pipe to plakar. With the usual 64 KiB both sides wake up
/// for each frame or two.
const PIPE_BYTES: usize = 1 << 20;

/// Takes the connection. From now on anything that writes to standard output writes to
/// standard error: one stray byte would end the connection.
pub(super) fn take() -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static, Error> {
    let refuse = |error: std::io::Error| {
        Error::invalid(format!("standard input and output are not connected to plakar ({error})"))
            .remedy("plakar starts this command itself, once the package is installed")
    };
    let input = dup(stdin()).map_err(|error| refuse(error.into()))?;
    let output = dup(stdout()).map_err(|error| refuse(error.into()))?;
    let input = Receiver::from_owned_fd(input).map_err(refuse)?;
    // A smaller pipe costs some speed; an unprivileged user's share of such memory may be
    // used up.
    let _ = rustix::pipe::fcntl_setpipe_size(&output, PIPE_BYTES);
    let output = Sender::from_owned_fd(output).map_err(refuse)?;
    dup2_stdout(stderr()).map_err(|error| refuse(error.into()))?;
    Ok(join(input, output))
}
