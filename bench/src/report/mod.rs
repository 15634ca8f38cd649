//! What is made of the results: a table, a JSON file, plots.

mod markdown;
mod plots;
mod svg;

use crate::arguments::Arguments;
use crate::figures::Figure;
use crate::machine::Machine;
use crate::results::Results;
use serde_json::json;
use std::path::Path;

/// Writes everything into a directory, and returns the table.
pub(crate) fn write(
    arguments: &Arguments,
    machine: &Machine,
    results: &Results,
    figures: &[Figure],
) -> Result<String, String> {
    let file = |name: &str, text: &str| {
        let path = arguments.out.join(name);
        std::fs::write(&path, text).map_err(|error| format!("`{}`: {error}", path.display()))
    };
    make(&arguments.out)?;
    let failures: Vec<_> =
        results.failures.iter().map(|(row, error)| json!({ "row": row, "error": error })).collect();
    let json = json!({
        "v": 1,
        "machine": machine.json(),
        "results": results.json(),
        "figures": figures.iter().map(Figure::json).collect::<Vec<_>>(),
        "failures": failures,
    });
    let json = serde_json::to_string_pretty(&json).map_err(|error| error.to_string())?;
    file("results.json", &(json + "\n"))?;
    let plots = plots::all(results, arguments.main_size());
    for (name, svg) in &plots {
        file(name, svg)?;
    }
    let names: Vec<&str> = plots.iter().map(|(name, _)| *name).collect();
    let table = markdown::table(arguments, machine, results, figures, &names);
    file("README.md", &table)?;
    Ok(table)
}

fn make(directory: &Path) -> Result<(), String> {
    std::fs::create_dir_all(directory)
        .map_err(|error| format!("`{}`: {error}", directory.display()))
}
