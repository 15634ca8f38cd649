//! Durations, and the four time limits that host and component both use.

use crate::Message;
use crate::text::escaped;
use std::time::Duration;

/// The reserved time limits of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimits {
    /// Name resolution, connection and handshake, and the first response to a probe.
    pub connect: Duration,
    /// The longest time in which the server sends nothing during a response.
    pub stall: Duration,
    /// The longest time in which the store accepts no data.
    pub store: Duration,
    /// The whole run.
    pub max_duration: Duration,
}

/// One reserved time limit: its option name, its default as a user would type it,
/// and what it bounds.
pub struct Limit {
    /// The option's name.
    pub name: &'static str,
    /// The default, as a user would type it.
    pub default: &'static str,
    /// One line of help.
    pub help: &'static str,
}

/// Long enough for a name that resolves slowly, short enough to fail over.
pub const CONNECT: Limit = Limit {
    name: "connect_timeout",
    default: "5s",
    help: "longest wait for a connection, and for the response to a probe",
};
/// A loaded disk may pause for seconds; half a minute of silence is a fault.
pub const STALL: Limit = Limit {
    name: "stall_timeout",
    default: "30s",
    help: "longest time in which the server sends nothing during a response",
};
/// A store may flush for minutes; anything longer is a burden on the source.
pub const STORE: Limit = Limit {
    name: "store_timeout",
    default: "10m",
    help: "longest time in which the store accepts no data",
};
/// The longest time for which a source is kept open.
pub const MAX_DURATION: Limit =
    Limit { name: "max_duration", default: "1h", help: "longest duration of the whole run" };

/// All four, in the order in which they apply to a run.
pub const ALL: [&Limit; 4] = [&CONNECT, &STALL, &STORE, &MAX_DURATION];

impl TimeLimits {
    /// Reads the limits from a run's options; those not given have their defaults.
    pub fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Message> {
        let limit = |limit: &Limit| parse(limit.name, get(limit.name).unwrap_or(limit.default));
        Ok(Self {
            connect: limit(&CONNECT)?,
            stall: limit(&STALL)?,
            store: limit(&STORE)?,
            max_duration: limit(&MAX_DURATION)?,
        })
    }
}

/// The longest limit. Sums of limits are far from what a clock can count.
pub const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The longest text of a duration in bytes. `humantime` panics on sums at the very
/// end of what 64 bits can count, and those take more digits.
const LONGEST_TEXT: usize = 16;

/// Whether this consists of one or more numbers, each with one of the contract's units.
fn has_form(mut text: &str) -> bool {
    loop {
        let number = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let units = number.trim_start_matches(|c: char| c.is_ascii_lowercase());
        let unit = &number[..number.len() - units.len()];
        if number.len() == text.len() || !["ms", "s", "m", "h", "d"].contains(&unit) {
            return false;
        }
        if units.is_empty() {
            return true;
        }
        text = units;
    }
}

/// Reads the duration that was given for `option`: from one millisecond to
/// [`LONGEST`]. The error names the option and shows the right form.
pub fn parse(option: &str, text: &str) -> Result<Duration, Message> {
    let refuse = |what: String| {
        Message::new(what)
            .at(format_args!("option `{option}`"))
            .remedy("write a number and a unit, such as `500ms`, `30s` or `1h30m`")
    };
    let shown = escaped(text, 2 * LONGEST_TEXT);
    // A unit of `humantime` that is easily mistaken for another one.
    if text.contains('M') {
        return Err(refuse(format!("`{shown}` counts months, `m` is a minute")));
    }
    if text.len() > LONGEST_TEXT {
        return Err(refuse(format!("`{shown}` is too long; the longest duration is `365d`")));
    }
    if !has_form(text) {
        return Err(refuse(format!("`{shown}` is not a duration")));
    }
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err(refuse("zero is not a limit".into())),
        Ok(duration) if duration > LONGEST => {
            Err(Message::new(format!("`{shown}` is longer than a year"))
                .at(format_args!("option `{option}`"))
                .remedy("the longest duration is `365d`"))
        }
        Ok(duration) => Ok(duration),
        Err(_) => Err(refuse(format!("`{shown}` is not a duration"))),
    }
}

/// Writes a duration as [`parse`] reads it, such as `1h30m`, to the millisecond.
pub fn show(duration: Duration) -> String {
    const UNITS: [(&str, u128); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let mut left = duration.as_millis();
    if left == 0 {
        return "0s".into();
    }
    let mut text = String::new();
    for (unit, millis) in UNITS {
        if left >= millis {
            text += &format!("{}{unit}", left / millis);
            left %= millis;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_shown_as_it_is_typed() {
        for text in ["500ms", "30s", "1m30s", "10m", "1h", "1h30m", "1d1ms", "365d"] {
            assert_eq!(show(parse("x", text).expect(text)), text);
        }
        assert_eq!(show(Duration::ZERO), "0s");
        assert_eq!(show(Duration::from_secs(600)), "10m");
    }

    #[test]
    fn durations_add_up_their_units() {
        assert_eq!(parse("x", "1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("x", "500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("x", "1d1s"), Ok(Duration::from_secs(86_401)));
    }

    #[test]
    fn durations_that_only_other_programs_accept_are_refused() {
        for text in [
            " 5s", "5s ", "5 s", "1h 30m", "1.5h", "1hour", "2weeks", "5S", "5us", "s", "5s5",
            "5ms5",
        ] {
            assert!(parse("x", text).is_err(), "{text}");
        }
    }

    #[test]
    fn zero_negative_and_unitless_durations_are_refused() {
        for text in
            ["0s", "0", "-5s", "5", "", "soon", "5 parsecs", "1e9s", "99999999999999999999s"]
        {
            let error = parse("stall_timeout", text).expect_err(text).to_string();
            assert!(error.contains("`stall_timeout`") && error.contains("`30s`"), "{error}");
        }
    }

    #[test]
    fn durations_of_more_than_a_year_are_refused_without_a_panic() {
        for text in [
            "366d",
            "400d",
            "18446744073709551615s",
            "18446744073709551615s1000000000ns",
            "18446744073709551615s1000ms",
            "584542046090y 365d 5h 10m 15s 1000ms",
            &"9".repeat(1 << 20),
        ] {
            let error = parse("max_duration", text).expect_err(text).to_string();
            assert!(error.contains("`max_duration`") && error.contains("`365d`"), "{error}");
            assert!(error.len() < 300, "{error}");
        }
        assert_eq!(parse("x", "365d"), Ok(LONGEST));
    }

    #[test]
    fn a_month_is_not_read_as_a_minute() {
        let error = parse("max_duration", "1M").expect_err("refused").to_string();
        assert!(error.contains("months") && error.contains("`m` is a minute"), "{error}");
    }

    #[test]
    fn limits_that_are_not_given_have_their_defaults() {
        let limits =
            TimeLimits::read(|name| (name == "store_timeout").then_some("3m")).expect("limits");
        assert_eq!(limits.connect, Duration::from_secs(5));
        assert_eq!(limits.stall, Duration::from_secs(30));
        assert_eq!(limits.store, Duration::from_secs(180));
        assert_eq!(limits.max_duration, Duration::from_secs(3600));
    }
}
