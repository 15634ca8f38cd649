//! Which version of the contract a component exports.

/// The interface that every connector exports, without its version.
const IMPORTER: &str = "plakar:connector/importer@";

/// The version of the contract that this host uses; patches change comments only.
const CONTRACT: &str = "0.2.0";
const COMPATIBLE: &str = "0.2.";

/// Refuses a component that exports the contract only in versions that this host does not
/// use.
pub fn check_exports<'a>(exports: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let versions: Vec<&str> = exports.filter_map(|name| name.strip_prefix(IMPORTER)).collect();
    match versions.iter().any(|version| version.starts_with(COMPATIBLE)) {
        true => Ok(()),
        false if versions.is_empty() => Err(format!(
            "it does not export `{IMPORTER}{CONTRACT}`: it is a component, but not a connector"
        )),
        false => Err(format!(
            "it exports version {} of the contract, and this host uses {CONTRACT}",
            versions.join(" and ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supported_version_is_found_at_any_position() {
        let importer = |version: &str| format!("{IMPORTER}{version}");
        let checked = |versions: &[&str]| {
            let names: Vec<String> = versions.iter().map(|v| importer(v)).collect();
            check_exports(
                ["wasi:cli/run@0.2.0"].into_iter().chain(names.iter().map(String::as_str)),
            )
        };
        for versions in [&["0.2.0"][..], &["0.2.7"], &["0.1.0", "0.2.0"], &["0.2.0", "0.3.0"]] {
            assert_eq!(checked(versions), Ok(()), "{versions:?}");
        }
        assert!(checked(&["0.3.0", "0.1.0"]).expect_err("foreign").contains("0.3.0 and 0.1.0"));
        assert!(checked(&[]).expect_err("none").contains("not a connector"));
    }
}
