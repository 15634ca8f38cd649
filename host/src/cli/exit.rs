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
        "the connector cannot be loaded, trapped, exceeded a limit or broke its contract; or \
            this machine provides too few threads or files or too little memory",
    ),
    (HUNG_UP, "the terminal was closed (SIGHUP); nothing was kept"),
    (INTERRUPTED, "interrupted (SIGINT); nothing was kept"),
    (TERMINATED, "terminated (SIGTERM); nothing was kept"),
];

/// Every exit code with its meaning, for the end of the help.
pub(crate) fn help() -> String {
    let mut rows = vec![(0, "success")];
    rows.extend(ErrorKind::ALL.map(|kind| (kind.exit_code(), kind.meaning())));
    rows.extend(OWN);
    rows.sort_by_key(|(code, _)| *code);
    let rows: Vec<String> =
        rows.iter().map(|(code, meaning)| format!("  {code:>3}  {meaning}")).collect();
    format!("Exit codes:\n{}", rows.join("\n"))
}
