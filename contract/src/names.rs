//! Names that belong to the host, and suggestions for misspelt options.

use crate::Message;

/// The option that lists endpoints and takes precedence over the location.
pub const ENDPOINTS: &str = "endpoints";

/// The option that holds the location itself.
pub const LOCATION: &str = "location";

/// What the names of the host's TLS options begin with.
pub const TLS_PREFIX: &str = "tls_";

/// What the names of options that give the path of a file end with.
pub const FILE_SUFFIX: &str = "_file";

/// The header of a response in which a host may number the connection that it arrived
/// on; what a server sends under this name is not passed on. Two responses with
/// the same number came from the same server, unless there is a proxy in between.
pub const CONNECTION: &str = "plakar-connection";

/// The beginning of the text with which the host reports that a server does not agree on
/// HTTP/2 over TLS, which a request needed. HTTP/1.1 may still work.
pub const NO_HTTP2: &str = "tls: the server does not support HTTP/2";

/// The longest name of an option, and the longest word that is looked up among
/// known names: comparing two texts takes the product of their lengths.
pub const LONGEST: usize = 64;

/// Splits an option as it is typed after `-o`: its name, and its value if there is one.
/// A name alone means `true`, as in Plakar, so only a boolean can be given like that.
pub fn pair(option: &str) -> (&str, Option<&str>) {
    match option.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (option, None),
    }
}

/// The error of an option that needs a value and has none.
pub fn without_value(name: &str) -> Message {
    Message::new("it has no value")
        .at(format_args!("option `{name}`"))
        .remedy(format!("write `{name}=VALUE`"))
}

/// The known name that `name` was most probably meant to be, if there is a similar one: a name
/// that has all of its words, or that differs in a few letters.
fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    let known: Vec<&str> = known.into_iter().filter(|known| known.len() <= LONGEST).collect();
    let words: Vec<&str> = name.split('_').collect();
    // A single word, such as `timeout`, may be part of many names.
    let longer = known.iter().filter(|candidate| {
        words.len() > 1 && words.iter().all(|word| candidate.split('_').any(|own| own == *word))
    });
    let nearest = || {
        known
            .iter()
            .map(|candidate| (strsim::damerau_levenshtein(name, candidate), *candidate))
            // With more than a third of the letters wrong, it is another word.
            .filter(|(distance, candidate)| distance * 3 <= candidate.len().max(3))
            .min()
            .map(|(_, candidate)| candidate)
    };
    longer.min_by_key(|candidate| candidate.len()).copied().or_else(nearest)
}

/// The error of an unknown option, with the nearest name and all names. It shows only the part
/// of the typed name that could be a name: a secret may follow, as in `password:hunter2`.
pub fn unknown_option<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Message {
    let hint = match suggest(name, known.clone()) {
        Some(near) => format!("did you mean `{near}`? "),
        None => String::new(),
    };
    let list: Vec<String> = known.into_iter().map(|name| format!("`{name}`")).collect();
    let is_of_name = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let shown: String = name.chars().take(LONGEST).take_while(is_of_name).collect();
    let more = if shown.len() < name.len() { "…" } else { "" };
    Message::new(format!("unknown option `{shown}{more}`"))
        .remedy(format!("{hint}valid options are {}", list.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Host and component compare it, and may be of different versions.
    #[test]
    fn the_text_that_reports_a_missing_http2_does_not_change() {
        assert_eq!(NO_HTTP2, "tls: the server does not support HTTP/2");
    }

    #[test]
    fn a_misspelt_option_is_an_error_that_suggests_the_nearest_and_lists_all() {
        let message = unknown_option("conect_timeout", ["endpoints", "connect_timeout"]);
        assert_eq!(
            message.to_string(),
            "unknown option `conect_timeout`; did you mean `connect_timeout`? \
             valid options are `endpoints`, `connect_timeout`"
        );
    }

    #[test]
    fn a_name_that_lacks_a_word_gets_the_complete_one_suggested() {
        let known = ["tls_ca_file", "tls_cert_file", "tls_private_key_file", "connect_timeout"];
        assert_eq!(suggest("tls_key_file", known), Some("tls_private_key_file"));
        assert_eq!(suggest("tls_cart_file", known), Some("tls_cert_file"));
        assert_eq!(suggest("timeout", known), None);
    }

    #[test]
    fn an_unrelated_word_gets_no_suggestion() {
        assert_eq!(suggest("verbose", ["endpoints", "transport"]), None);
    }

    #[test]
    fn a_long_name_is_cut_and_not_compared() {
        let long = "a".repeat(1 << 20);
        assert_eq!(suggest(&long, [long.as_str()]), None);
        assert!(unknown_option(&format!("\x1b{long}"), ["endpoints"]).to_string().len() < 200);
        assert!(unknown_option("x\x1b[2J", ["endpoints"]).what().contains("`x…`"));
        assert!(unknown_option("password:hunter2", ["password"]).what().contains("`password…`"));
    }
}
