//! Backups through the real plakar, with the package installed as users do.
//!
//! | module | what it is about |
//! | --- | --- |
//! | [`round_trip`] | what was backed up comes back |
//! | [`store`] | what the store holds: ciphertext, little that is new, each cluster for itself |
//! | [`failures`] | whatever goes wrong fails the backup where plakar alone would keep it |
//! | [`processes`] | signals, and who is left |
//! | [`commands`] | the rest of plakar's command line |
//! | [`package`] | the package, its schema and its documentation |

mod commands;
mod failures;
mod package;
mod processes;
mod round_trip;
mod store;

use crate::attempt::MORE_THAN_BUFFERS_HOLD;
use host_tests::etcd::{Etcd, Version};
use host_tests::plakar::{Plakar, Plugin};
use host_tests::run::Running;

/// A member with more data than pipes and sockets hold.
fn filled() -> Etcd {
    let etcd = Etcd::start(Version::V3_6_14);
    etcd.fill(MORE_THAN_BUFFERS_HOLD);
    etcd
}

/// Starts a backup and stops the plugin in the middle of the dump: the member's
/// snapshot stays open until it goes on.
fn stopped_in_the_middle(plakar: &Plakar, etcd: &Etcd, options: &[&str]) -> (Running, Plugin) {
    let running = plakar.backup(&etcd.location(), options).start();
    let plugin = plakar.stop_plugin_after(4 << 20);
    assert!(plugin.bytes_written() < MORE_THAN_BUFFERS_HOLD as u64 / 2, "it was stopped too late");
    assert_eq!(etcd.snapshots_ended(), 0, "the member has sent everything already");
    (running, plugin)
}
