//! Every exit code, and the table of them in the help.

use plakar_connector::ErrorKind;
use plakar_policy::Fault;

/// Exit codes of a run that a signal ended, as shells number them.
pub(crate) const HUNG_UP: u8 = 129;
/// See [`HUNG_UP`].
pub(crate) const INTERRUPTED: u8 = 130;
/// See [`HUNG_UP`].
pub(crate) const TERMINATED: u8 = 143;

/// The codes that are this program's own. Those from 1 to 9 are the contract's.
const OWN: [(u8, &str); 5] = [
    (Fault::STORE_EXIT_CODE, "the target directory could not be written"),
    (
        Fault::COMPONENT_EXIT_CODE,
        "the connector cannot be loaded, trapped, exceeded a limit or broke its contract; or this machine provides too few threads or files or too little memory",
    ),
    (HUNG_UP, "the terminal was closed (SIGHUP); nothing was kept"),
    (INTERRUPTED, "interrupted (SIGINT); nothing was kept"),
    (TERMINATED, "terminated (SIGTERM); nothing was kept"),
];

/// What a kind of failure means, for the help.
fn meaning(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidConfig => "wrong arguments, options or location; nothing was contacted",
        ErrorKind::Unreachable => "no connection could be made",
        ErrorKind::TimedOut => "a time limit was exceeded",
        ErrorKind::Unauthenticated => "credentials are missing or wrong",
        ErrorKind::PermissionDenied => "the credentials are valid but not sufficient",
        ErrorKind::Unsupported => "not supported by the server, the connector or this host",
        ErrorKind::Interrupted => "the content ended early",
        ErrorKind::Corrupt => "the content is complete but wrong",
        ErrorKind::Other => "any other failure",
    }
}

/// Every exit code with its meaning, for the end of the help.
pub(crate) fn help() -> String {
    let mut rows = vec![(0, "it worked")];
    rows.extend(ErrorKind::ALL.map(|kind| (kind.exit_code(), meaning(kind))));
    rows.extend(OWN);
    rows.sort_by_key(|(code, _)| *code);
    let rows: Vec<String> =
        rows.iter().map(|(code, meaning)| format!("  {code:>3}  {meaning}")).collect();
    format!("Exit codes:\n{}", rows.join("\n"))
}
