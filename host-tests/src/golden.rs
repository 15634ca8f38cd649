//! Texts that people read, as files below `host-tests/golden`: a change of a text shows in
//! review as people will read it.

use crate::tools;
use std::fs;

/// Fails unless the file of this name holds this text. With `UPDATE_GOLDEN` in the
/// environment it writes the file instead.
#[track_caller]
pub fn assert_golden(name: &str, text: &str) {
    let path = tools::repository().join("host-tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).expect("the repository can be written");
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    let differing = golden.lines().zip(text.lines()).position(|(golden, text)| golden != text);
    let line = differing.unwrap_or_else(|| golden.lines().count().min(text.lines().count()));
    let shown = |text: &str| text.lines().nth(line).unwrap_or("(the end)").to_owned();
    assert!(
        golden == text,
        "`host-tests/golden/{name}`, line {}:\n- {}\n+ {}\nIf the new text is right: \
         UPDATE_GOLDEN=1 ./just host-tests --test behaviour golden",
        line + 1,
        shown(&golden),
        shown(text),
    );
}
