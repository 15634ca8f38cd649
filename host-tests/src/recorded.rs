//! Texts that real servers were seen to send, for the fakes: a text that nobody
//! sends proves nothing. A behaviour test compares them with what is sent today.

use crate::etcd::Version;

/// How a member's status writes an alarm, among its `errors`. Member 0 stands for the
/// whole cluster. Recorded from 3.4.23, 3.5.33, 3.6.14 and 3.7.1; from 3.7 on it is
/// the text of another library, whose blanks vary from build to build.
pub fn alarm(version: Version, member: u64, name: &str) -> String {
    match (version, member) {
        (Version::V3_4_23 | Version::V3_5_33 | Version::V3_6_14, 0) => format!("alarm:{name} "),
        (Version::V3_4_23 | Version::V3_5_33 | Version::V3_6_14, id) => {
            format!("memberID:{id} alarm:{name} ")
        }
        (Version::V3_7_1, 0) => format!("alarm:{name}"),
        (Version::V3_7_1, id) => format!("memberID:{id}  alarm:{name}"),
    }
}

/// What else a member's status lists, in every version.
pub const NO_LEADER: &str = "etcdserver: no leader";
