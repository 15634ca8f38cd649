//! The alarms and errors in a member's status.
//!
//! etcd writes an alarm into its status as the text of a protobuf message, and that
//! text differs from version to version: the order of the fields, the blanks
//! between them, and zero, which is left out. So it is read as `name:value` pairs.
//! Nothing is dropped: a text that cannot be parsed is reported unchanged.

use super::messages::{Id, Status, mentions_corruption, names_member};
use crate::error::plain;
use std::fmt;

/// etcd's words for a member that knows no leader
/// (`server/etcdserver/errors/errors.go`).
const NO_LEADER: &str = "etcdserver: no leader";

/// What an alarm is about (`AlarmType` of `rpc.proto`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlarmType {
    /// The database is as large as its quota.
    Nospace,
    /// A member's data differs from the others'.
    Corrupt,
    /// An alarm that this connector does not know, by etcd's name.
    Other(String),
}

impl AlarmType {
    /// The alarm of this name or number.
    fn named(name: &str) -> Self {
        let upper = name.to_ascii_uppercase();
        match upper.strip_prefix("ALARM_").unwrap_or(&upper) {
            "NOSPACE" | "1" => AlarmType::Nospace,
            "CORRUPT" | "2" => AlarmType::Corrupt,
            _ => AlarmType::Other(plain(name)),
        }
    }

    /// The alarm of this number.
    pub fn numbered(number: i32) -> Self {
        Self::named(&number.to_string())
    }

    /// Whether it is this one. Any name that contains corruption counts as `Corrupt`.
    pub fn is(&self, alarm: &AlarmType) -> bool {
        self == alarm || (*alarm == AlarmType::Corrupt && mentions_corruption(self.name()))
    }

    /// Its name, as etcd writes it.
    pub fn name(&self) -> &str {
        match self {
            AlarmType::Nospace => "NOSPACE",
            AlarmType::Corrupt => "CORRUPT",
            AlarmType::Other(name) => name,
        }
    }
}

/// An active alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// The member that it is about; zero if etcd names none, because it is about the
    /// whole cluster.
    pub member_id: u64,
    /// What is wrong.
    pub alarm: AlarmType,
}

impl Alarm {
    /// Reads the text of an alarm; `None` if it is not one.
    fn read(text: &str) -> Option<Self> {
        let (mut member_id, mut alarm) = (None, None);
        let text: String = text
            .chars()
            .filter(|c| !"\"'`<>{}()[]".contains(*c))
            .map(|c| if ",;".contains(c) { ' ' } else { c })
            .collect();
        let text = text.replace([':', '='], " : ");
        let mut words = text.split_whitespace();
        while let Some(name) = words.next() {
            words.next().filter(|word| *word == ":")?;
            let value = words.next()?.trim_end_matches(['.', '!']);
            let known = match name.to_ascii_lowercase().replace('_', "").as_str() {
                "memberid" => member_id.replace(value).is_none(),
                "alarm" => alarm.replace(value).is_none(),
                _ => true,
            };
            if !known {
                return None;
            }
        }
        let member_id = member_id.map_or(Some(0), id)?;
        Some(Alarm { member_id, alarm: AlarmType::named(alarm?) })
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.alarm.name();
        match self.member_id {
            0 => write!(f, "the alarm {name} is on for the whole cluster"),
            id => write!(f, "the alarm {name} is on for member {}", Id(id)),
        }
    }
}

/// Reads an id, in decimal as etcd's fields have it, or in hexadecimal as its tools show it.
fn id(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok())
}

/// The alarms and errors that a status lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Troubles {
    /// The alarms.
    pub alarms: Vec<Alarm>,
    /// Other errors, as the member words them; not those that its role implies.
    pub others: Vec<String>,
}

impl Troubles {
    /// Reads a status.
    pub(crate) fn of(status: &Status) -> Self {
        let mut troubles = Self::default();
        for error in &status.errors {
            match Alarm::read(error) {
                Some(alarm) => troubles.add_alarm(alarm),
                None if reports_no_leader(error) => {}
                None => troubles.add_other(plain(error)),
            }
        }
        troubles
    }

    /// Adds those of another status; those that are known already are not repeated.
    pub(crate) fn add(&mut self, others: Self) {
        others.alarms.into_iter().for_each(|alarm| self.add_alarm(alarm));
        others.others.into_iter().for_each(|other| self.add_other(other));
    }

    /// Adds an alarm, unless it is known already.
    pub(crate) fn add_alarm(&mut self, alarm: Alarm) {
        if !self.alarms.contains(&alarm) {
            self.alarms.push(alarm);
        }
    }

    fn add_other(&mut self, other: String) {
        if !self.others.contains(&other) {
            self.others.push(other);
        }
    }

    /// Whether this alarm is active for this member. For corruption, a text that names
    /// the member is enough, even if it cannot be read as an alarm.
    pub(crate) fn concerns(&self, alarm: AlarmType, member_id: u64) -> bool {
        let reported =
            |other: &String| mentions_corruption(other) && names_member(other, member_id);
        let is_told = alarm == AlarmType::Corrupt && self.others.iter().any(reported);
        let is_on = |on: &Alarm| on.member_id == member_id && on.alarm.is(&alarm);
        member_id != 0 && (is_told || self.alarms.iter().any(is_on))
    }
}

/// Whether an entry only says that the member has no leader.
pub(crate) fn reports_no_leader(error: &str) -> bool {
    error.trim() == NO_LEADER
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What real members wrote for an alarm of member 7 and for one of the whole cluster, by
    /// version (the same for NOSPACE). From 3.7 on the blanks depend on the build of etcd.
    pub(crate) const RECORDED: [(&str, &str, &str); 6] = [
        ("3.4.23", "memberID:7 alarm:CORRUPT ", "alarm:CORRUPT "),
        ("3.5.33", "memberID:7 alarm:CORRUPT ", "alarm:CORRUPT "),
        ("3.6.14", "memberID:7 alarm:CORRUPT ", "alarm:CORRUPT "),
        ("3.7.1", "memberID:7  alarm:CORRUPT", "alarm:CORRUPT"),
        ("3.7.3", "memberID:7 alarm:CORRUPT", "alarm:CORRUPT"),
        ("3.8.0-alpha.0", "memberID:7  alarm:CORRUPT", "alarm:CORRUPT"),
    ];

    fn troubles(errors: &[&str]) -> Troubles {
        let errors = errors.iter().map(|error| error.to_string()).collect();
        Troubles::of(&Status { errors, ..Status::default() })
    }

    fn corrupt(member_id: u64) -> Alarm {
        Alarm { member_id, alarm: AlarmType::Corrupt }
    }

    #[test]
    fn the_texts_of_every_version_are_read() {
        for (version, own, cluster_wide) in RECORDED {
            let read = troubles(&[own, cluster_wide, "etcdserver: no leader"]);
            assert_eq!(read.alarms, [corrupt(7), corrupt(0)], "{version}");
            assert!(read.others.is_empty(), "{version}");
            assert!(read.concerns(AlarmType::Corrupt, 7) && !read.concerns(AlarmType::Corrupt, 8));
            assert!(!read.concerns(AlarmType::Corrupt, 0), "it names nobody");
            assert!(!read.concerns(AlarmType::Nospace, 7));
        }
    }

    #[test]
    fn order_blanks_and_case_make_no_difference() {
        for text in [
            "alarm:CORRUPT memberID:7",
            "  alarm:CORRUPT\tmemberID:7  ",
            "memberID: 7\nalarm: CORRUPT\n",
            "memberID:7, alarm:CORRUPT",
            "memberID:7 alarm:2",
            "memberid:7 alarm:corrupt",
            "member_id:7 alarm:CORRUPT since:5",
            "memberID:7 alarm:\"CORRUPT\"",
            "{\"memberID\": \"7\", \"alarm\": \"CORRUPT\"}",
            "<memberID:7 alarm:CORRUPT>",
            "memberID=7 alarm=CORRUPT",
            "memberID:0x7 alarm:ALARM_CORRUPT.",
            "memberID:7\u{a0}alarm : CORRUPT",
        ] {
            assert_eq!(troubles(&[text]).alarms, [corrupt(7)], "{text:?}");
        }
    }

    #[test]
    fn an_unknown_alarm_keeps_its_name() {
        let read = troubles(&["memberID:7 alarm:READONLY", "alarm:9"]);
        let names: Vec<&str> = read.alarms.iter().map(|alarm| alarm.alarm.name()).collect();
        assert_eq!(names, ["READONLY", "9"]);
        assert_eq!(read.alarms[0].to_string(), "the alarm READONLY is on for member 7");
        assert_eq!(read.alarms[1].to_string(), "the alarm 9 is on for the whole cluster");
        assert_eq!(troubles(&["alarm:1 memberID:255"]).alarms[0].alarm.name(), "NOSPACE");
    }

    #[test]
    fn a_text_that_cannot_be_read_is_kept_unchanged() {
        for text in [
            "etcdserver: corrupt cluster",
            "memberID:x alarm:CORRUPT",
            "memberID:7",
            "memberID:7 memberID:8 alarm:CORRUPT",
            "alarm:CORRUPT alarm:NOSPACE",
            "alarm:",
            "disk is slow",
            "",
        ] {
            let read = troubles(&[text]);
            assert_eq!((read.alarms, read.others), (vec![], vec![text.to_string()]), "{text:?}");
        }
        assert_eq!(troubles(&["a\u{1b}[31m\u{202e}b"]).others, ["a [31m b"]);
    }

    #[test]
    fn an_id_in_hexadecimal_is_read_as_one() {
        let read = troubles(&["memberID:8e9e05c52164694d alarm:CORRUPT"]);
        assert_eq!(read.alarms, [corrupt(0x8e9e_05c5_2164_694d)]);
    }

    /// No backup is better than one of a member that is reported as corrupt.
    #[test]
    fn corruption_concerns_a_member_whose_id_is_in_the_same_text() {
        for text in
            ["raised: memberID:255 alarm:CORRUPT", "corruption found at ff", "CORRUPT(0xff)"]
        {
            let read = troubles(&[text]);
            assert_eq!(read.others, [text]);
            assert!(read.concerns(AlarmType::Corrupt, 255), "{text}");
            assert!(!read.concerns(AlarmType::Corrupt, 25), "{text}");
            assert!(!read.concerns(AlarmType::Nospace, 255), "{text}");
        }
        let later = troubles(&["memberID:255 alarm:CORRUPT_INDEX"]);
        assert_eq!(later.alarms[0].alarm.name(), "CORRUPT_INDEX");
        assert!(later.concerns(AlarmType::Corrupt, 255), "a name that is not known yet");
        assert!(!later.concerns(AlarmType::Corrupt, 7));
        assert!(!troubles(&["disk of ff is slow"]).concerns(AlarmType::Corrupt, 255));
        assert!(!troubles(&["corruption found"]).concerns(AlarmType::Corrupt, 0));
    }

    #[test]
    fn nothing_is_reported_twice() {
        let mut all = troubles(&["alarm:CORRUPT", "alarm:CORRUPT ", "odd", "odd"]);
        all.add(troubles(&["alarm:CORRUPT", "memberID:7 alarm:CORRUPT", "odd", "odder"]));
        assert_eq!(all.alarms, [corrupt(0), corrupt(7)]);
        assert_eq!(all.others, ["odd", "odder"]);
    }

    fn one_of<'a>(of: &'a str, random: &mut fastrand::Rng) -> &'a str {
        let of: Vec<&str> = of.split('|').collect();
        of[random.usize(..of.len())]
    }

    /// A text that mixes parts of alarms and other parts.
    fn any_text(random: &mut fastrand::Rng) -> String {
        let parts = "memberID|member_id|alarm|:|:|:| | |,|\n|7|0|-1|18446744073709551616|CORRUPT|\
                     corrupt|NOSPACE|READONLY|\"|{|é|\u{1b}[31m|\u{202e}|memberID:7 |alarm:CORRUPT |\
                     etcdserver: no leader";
        (0..random.usize(..8)).map(|_| one_of(parts, random)).collect()
    }

    #[test]
    fn every_error_of_a_status_is_an_alarm_or_reported_unchanged() {
        let mut kinds = [0, 0, 0];
        for seed in 0..1000 {
            let random = &mut fastrand::Rng::with_seed(seed);
            let texts: Vec<String> = (0..10).map(|_| any_text(random)).collect();
            let all = troubles(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            for text in &texts {
                let Troubles { alarms, others } = troubles(&[text]);
                let kind = match (&alarms[..], &others[..]) {
                    ([alarm], []) if all.alarms.contains(alarm) => 0,
                    ([], [other]) if *other == plain(text) && all.others.contains(other) => 1,
                    ([], []) if text.trim() == NO_LEADER => 2,
                    _ => panic!("seed {seed}: {text:?} is lost: {alarms:?}, {others:?}, {all:?}"),
                };
                kinds[kind] += 1;
            }
        }
        assert!(kinds.iter().all(|times| *times > 50), "{kinds:?}");
    }

    #[test]
    fn an_alarm_is_read_in_any_order_case_and_spacing() {
        for seed in 0..1000 {
            let random = &mut fastrand::Rng::with_seed(seed);
            let member_id = random.u64(..) >> random.u32(..64);
            let member = format!("memberID:{}{member_id}", one_of(" |", random));
            let alarm = format!("alarm:{}{}", one_of(" |", random), one_of("CORRUPT|2", random));
            let mut pairs = vec![member, alarm];
            if random.bool() {
                pairs.push("since:yesterday".into());
            }
            if member_id == 0 && random.bool() {
                pairs.remove(0);
            }
            random.shuffle(&mut pairs);
            let mut text = pairs.join(one_of("  |,|\n|\t; ", random));
            match random.u8(..3) {
                0 => text.make_ascii_lowercase(),
                1 => text.make_ascii_uppercase(),
                _ => {}
            }
            let read = troubles(&[&text]);
            assert_eq!(read.alarms, [corrupt(member_id)], "seed {seed}: {text:?}");
        }
    }
}
