//! Names that belong to the host, and what a misspelt option meant.

/// The option that names hosts and goes before the location.
pub const ENDPOINTS: &str = "endpoints";

/// The option that holds the location itself.
pub const LOCATION: &str = "location";

/// What the names of the host's TLS options begin with.
pub const TLS_PREFIX: &str = "tls_";

/// What the names of options that give the path of a file end with.
pub const FILE_SUFFIX: &str = "_file";

/// The header of a response in which a host may number the connection that it came
/// over; what a server sends under this name is not passed on. Two answers with
/// one number came from one server, as far as no proxy stands between.
pub const CONNECTION: &str = "plakar-connection";

/// How the text begins by which the host reports that a server agrees on no HTTP/2
/// over TLS, where a request needed it.
pub const NO_HTTP2: &str = "tls: the server takes no HTTP/2";

/// The known name that `name` was most probably meant to be, if one is near.
pub fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        // A third of the letters wrong is another word.
        .filter(|(distance, candidate)| distance * 3 <= candidate.len().max(3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// The sentence for an option that nobody knows: the near name, then all names.
pub fn unknown_option<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let hint = match suggest(name, known.clone()) {
        Some(near) => format!("did you mean `{near}`? "),
        None => String::new(),
    };
    let list: Vec<String> = known.into_iter().map(|name| format!("`{name}`")).collect();
    format!("unknown option `{name}`; {hint}valid options are {}", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_option_is_told_the_near_one_and_all_of_them() {
        let message = unknown_option("conect_timeout", ["endpoints", "connect_timeout"]);
        assert_eq!(
            message,
            "unknown option `conect_timeout`; did you mean `connect_timeout`? \
             valid options are `endpoints`, `connect_timeout`"
        );
    }

    #[test]
    fn a_wholly_other_word_gets_no_suggestion() {
        assert_eq!(suggest("verbose", ["endpoints", "transport"]), None);
    }
}
