//! The package, its schema and its documentation.

use host_tests::etcd::{Etcd, Version};
use host_tests::plakar::{PACKAGE_VERSION, Plakar, manifest};
use host_tests::run::Run;
use host_tests::tools;
use serde_json::Value;

fn description() -> Value {
    let outcome = Run::plakar_wasm(["inspect", "--json"]).path(tools::connector()).wait();
    outcome.assert_ok();
    outcome.outcome()
}

fn schema() -> String {
    let outcome = Run::plakar_wasm(["inspect", "--schema"]).path(tools::connector()).wait();
    outcome.assert_ok();
    outcome.stdout.clone()
}

#[test]
fn a_package_is_added_listed_upgraded_and_removed() {
    let etcd = Etcd::start(Version::V3_6_14);
    let plakar = Plakar::new();
    let listed = || plakar.run(&["pkg", "list"]).wait().stdout;
    assert!(listed().contains(&format!("etcd@{PACKAGE_VERSION}")), "{}", listed());

    let newer = plakar.package(tools::repository(), "v999.0.0");
    let newer = newer.to_str().expect("UTF-8");
    assert_ne!(plakar.run(&["pkg", "add", newer]).wait().code, 0, "a package was replaced");
    plakar.run(&["pkg", "add", "-u", newer]).wait().assert_code(0);
    assert!(listed().contains("etcd@v999.0.0"), "{}", listed());
    plakar.backup(&etcd.location(), &[]).wait().assert_code(0);

    plakar.run(&["pkg", "rm", "etcd"]).wait().assert_code(0);
    assert_eq!(listed(), "");
    let outcome = plakar.backup(&etcd.location(), &[]).wait();
    assert_ne!(outcome.code, 0, "{outcome}");
}

#[test]
fn the_schema_in_the_package_is_that_of_the_connector() {
    let committed = std::fs::read_to_string(tools::repository().join("packaging/schema.json"));
    let committed = committed.expect("it is in the repository");
    assert_eq!(committed, schema(), "run `./just schema`");
}

#[test]
fn the_manifest_names_the_protocols_of_the_connector() {
    let manifest = manifest();
    let (_, rest) = manifest.split_once("protocols:\n").expect("it names protocols");
    let named: Vec<&str> =
        rest.lines().map_while(|line| line.trim_start().strip_prefix("- ")).collect();
    let description = description();
    let protocols = description["protocols"].as_array().expect("a list");
    let described: Vec<&str> = protocols.iter().filter_map(|p| p["name"].as_str()).collect();
    assert_eq!(named, described);
}

/// Each option is a row of the table, with its default and its help, and each exit
/// code of `plakar-wasm --help` a row of another.
#[test]
fn the_operators_guide_lists_every_option_and_exit_code() {
    let guide = tools::repository().join("docs/operators-guide.md");
    let guide = std::fs::read_to_string(guide).expect("it is in the repository");
    let schema: Value = serde_json::from_str(&schema()).expect("it is JSON");
    let options = schema["properties"].as_object().expect("there are options");
    assert!(options.contains_key("password_file") && options.contains_key("tls_ca"));
    for (name, option) in options.iter().filter(|(name, _)| *name != "location") {
        let help = option["description"].as_str().expect("every option has help");
        let default = option["default"].as_str().map_or("| |".into(), |d| format!("| `{d}` |"));
        let row = format!("| `{name}` {default} {help} |\n");
        assert!(guide.contains(&row), "the table of options has no row\n{row}");
    }
    let help = Run::plakar_wasm(["--help"]).wait();
    let (_, codes) = help.stdout.split_once("Exit codes:\n").expect("the help lists exit codes");
    let codes: Vec<&str> =
        codes.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(codes.len() > 12, "{codes:?}");
    let (_, rows) = guide.split_once("| code | meaning |").expect("the guide has a table of them");
    for code in codes {
        let is_listed = rows.lines().take(20).any(|row| {
            row.split(" | ")
                .next()
                .is_some_and(|cell| cell.split([' ', ',', '|']).any(|c| c == code))
        });
        assert!(is_listed, "the guide does not list exit code {code}");
    }
}
