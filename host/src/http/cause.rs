//! The causes of an error.

use std::error::Error as StdError;
use std::io::{self, ErrorKind};
use std::iter::successors;

/// Iterates over an error and its causes. The `source` of an I/O error skips the error that
/// it was made of, and returns the cause of that one.
pub(super) fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
        None => error.source(),
    })
}

pub(super) fn find<'a, E: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a E> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

/// Returns the kind of the innermost I/O error: those around it only wrap it.
pub(super) fn io_kind(error: &(dyn StdError + 'static)) -> Option<ErrorKind> {
    chain(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).last().map(io::Error::kind)
}

pub(super) fn innermost(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

/// Returns whether the other side closed the connection.
pub(super) fn is_cut(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof
    )
}
