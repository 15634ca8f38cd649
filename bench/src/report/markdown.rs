//! The tables, fit for a terminal as well.

use crate::arguments::Arguments;
use crate::figures::Figure;
use crate::machine::Machine;
use crate::puts;
use crate::results::{Quantity, Results};
use crate::rows::{LABELS, WINDOW};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

/// The whole report. `plots` lie beside it.
pub(super) fn table(
    arguments: &Arguments,
    machine: &Machine,
    results: &Results,
    figures: &[Figure],
    plots: &[&str],
) -> String {
    let main = arguments.main_size();
    let mut text = format!(
        "# Measurements\n\n\
         Made by `./just bench`; do not edit.{}\n\n\
         Each cell is the median of a row's timed runs, with the smallest and the largest value. The rows \
         of a table ran in turn, round after round, after one round to warm up, which is not timed and in \
         which the bytes on the wire are counted. Real etcd, one member, which waits for its disk (fsync) \
         as in production, and its clients, on the loopback interface of one machine:\n\n{}",
        explained(&arguments.out),
        machine.markdown(),
    );
    let mut section = |title: &str, note: &str, prefix: &str, size: u64, plots_here: &[&str]| {
        let grid = grid(results, prefix, size);
        if grid.len() > 1 {
            let _ = write!(text, "\n## {title}\n\n{note}{}", aligned(&grid));
            for plot in plots_here.iter().filter(|plot| plots.contains(plot)) {
                let _ = write!(text, "\n![{title}]({plot})\n");
            }
        }
    };
    for &size in arguments.sizes.iter().rev() {
        let plots: &[&str] = if size == main { &["save.svg", "sizes.svg"] } else { &[] };
        let title = format!("Save to a file, {size} MB");
        section(&title, "", "save/", size, plots);
    }
    let title = format!("Save to a file over TLS with client certificates, {main} MB");
    section(&title, "", "mtls/", main, &["mtls.svg"]);
    let title = format!("Into an encrypted Kloset store, {main} MB");
    let note = "Wall, CPU and memory are those of the first backup; the memory is the plugin's where there is one, \
                else plakar's. The growth is that of the store.\n\n";
    section(&title, note, "store/", main, &["store.svg"]);
    let title = format!("Harm to those who write, {main} MB");
    let note = format!(
        "A steady load of {} puts a second of {} bytes each, over gRPC, during the backup ({} s without one). \
         Each put is sent when it is due, whatever became of those before it, and its time counts from then; \
         p50, p99 and max are those of one run, and a cell has the median of the runs. Each put waits for the \
         member's disk; the backup is saved to memory (`/dev/shm`), as one that leaves the machine, or to that disk \
         where the row says so. The growth is that during the backup, so that a \
         longer one sees more of the puts.\n\n",
        puts::RATE,
        puts::VALUE,
        WINDOW.as_secs(),
    );
    section(&title, &note, "harm/", main, &["harm.svg"]);
    section("Start-up", "", "start/", main, &[]);

    let mut grid = vec![["figure", "to reach", "got", ""].map(String::from).to_vec()];
    grid.extend(figures.iter().map(|f| vec![f.what.into(), f.reach(), f.got(), f.verdict()]));
    let _ = write!(
        text,
        "\n## Figures to reach\n\nAt {main} MB where nothing else is said.\n\n{}",
        aligned(&grid)
    );
    if !results.failures.is_empty() {
        text.push_str("\n## Failed rows\n\n");
        for (row, error) in &results.failures {
            let _ = writeln!(text, "- {row}: {}", error.lines().next().unwrap_or_default());
        }
    }
    text
}

/// Rows of cells, the headings first; columns where nothing was measured are left out.
fn grid(results: &Results, prefix: &str, size: u64) -> Vec<Vec<String>> {
    let rows: Vec<(&str, &str)> = LABELS
        .into_iter()
        .filter(|(row, _)| row.starts_with(prefix))
        .filter(|(row, _)| runs(results, row, size) > 0)
        .collect();
    let measured = results
        .series
        .iter()
        .filter(|series| series.size == size && series.row.starts_with(prefix))
        .map(|series| series.quantity);
    let columns: BTreeSet<Quantity> = measured.collect();
    let mut heading = vec![String::new(), "runs".into()];
    heading.extend(columns.iter().map(|quantity| quantity.heading().to_owned()));
    let mut grid = vec![heading];
    for (row, label) in rows {
        let mut cells = vec![label.to_owned(), runs(results, row, size).to_string()];
        cells.extend(columns.iter().map(|&quantity| match results.get(row, size, quantity) {
            Some(series) => {
                let (least, most) = series.range();
                let [median, least, most] =
                    [series.median(), least, most].map(|v| quantity.show(v));
                if least == most {
                    median
                } else {
                    format!("{median} ({}–{most})", bare(&least, &most))
                }
            }
            None => "-".into(),
        }));
        grid.push(cells);
    }
    grid
}

/// How often a row was timed at a size.
fn runs(results: &Results, row: &str, size: u64) -> usize {
    let series = results.series.iter().filter(|s| s.row == row && s.size == size);
    series.map(|series| series.values.len()).max().unwrap_or(0)
}

/// Where the results are explained, for a report beside the explanation.
fn explained(out: &Path) -> String {
    let docs = host_tests::tools::repository().join("docs");
    let below = docs.canonicalize().ok().zip(out.canonicalize().ok());
    let depth = below.and_then(|(docs, out)| Some(out.strip_prefix(docs).ok()?.iter().count()));
    depth.map_or_else(String::new, |depth| {
        let up = "../".repeat(depth);
        format!(" What they mean is explained in [performance]({up}performance.md).")
    })
}

/// The lower bound without a unit that the upper one repeats.
fn bare<'a>(least: &'a str, most: &str) -> &'a str {
    match (least.rsplit_once(' '), most.rsplit_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => number,
        _ => least,
    }
}

/// A Markdown table whose columns stand below each other.
fn aligned(grid: &[Vec<String>]) -> String {
    let width = |column: usize| {
        grid.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
            .max(3)
    };
    let widths: Vec<usize> = (0..grid[0].len()).map(width).collect();
    let mut text = String::new();
    for (index, row) in grid.iter().enumerate() {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        if index == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            let _ = writeln!(text, "| {} |", rules.join(" | "));
        }
    }
    text
}
