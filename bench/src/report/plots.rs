//! The plots.

use super::svg::{Axes, Bar, COLOURS, Drawing, Line};
use crate::results::{Quantity, Results};
use crate::rows::LABELS;

/// Every plot for which there are results: its file's name and its content.
pub(super) fn all(results: &Results, main: u64) -> Vec<(&'static str, String)> {
    use Quantity::*;

    let bars = |file, title: &str, prefix, quantities: &[Quantity]| {
        let mut drawing = Drawing::new(&format!("{title}, {main} MB"));
        let mut any = false;
        for &quantity in quantities {
            let bars = of_rows(results, prefix, main, quantity);
            any |= !bars.is_empty();
            if !bars.is_empty() {
                drawing.bars(quantity.heading(), &bars);
            }
        }
        any.then(|| (file, drawing.finish()))
    };
    [
        bars("save.svg", "Save a snapshot to a file", "save/", &[Wall, EtcdCpu, Cpu, Memory]),
        sizes(results),
        bars(
            "mtls.svg",
            "Save a snapshot to a file over TLS with client certificates",
            "mtls/",
            &[Wall, EtcdCpu, Cpu],
        ),
        bars(
            "store.svg",
            "Back up into an encrypted Kloset store",
            "store/",
            &[Wall, EtcdCpu, StoreGrowthIdle, StoreGrowthBusy],
        ),
        bars("harm.svg", "Puts during a backup", "harm/", &[PutP50, PutP99, PutMax]),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn of_rows(results: &Results, prefix: &str, size: u64, quantity: Quantity) -> Vec<Bar> {
    let rows = LABELS.iter().filter(|(row, _)| row.starts_with(prefix)).enumerate();
    rows.filter_map(|(index, (row, label))| {
        let series = results.get(row, size, quantity)?;
        Some(Bar {
            label: (*label).into(),
            value: series.median(),
            range: series.range(),
            shown: quantity.show(series.median()),
            colour: COLOURS[index % COLOURS.len()],
        })
    })
    .collect()
}

/// Time and memory over the size of the database.
fn sizes(results: &Results) -> Option<(&'static str, String)> {
    let lines = |quantity| {
        let rows = LABELS.iter().filter(|(row, _)| row.starts_with("save/")).enumerate();
        let lines = rows.map(|(index, (row, label))| {
            let points = results.series.iter().filter(|s| s.row == *row && s.quantity == quantity);
            Line {
                label: (*label).into(),
                points: points.map(|s| (s.size as f64, s.median())).collect(),
                colour: COLOURS[index % COLOURS.len()],
            }
        });
        lines.filter(|line| line.points.len() > 1).collect::<Vec<_>>()
    };
    let (wall, memory) = (lines(Quantity::Wall), lines(Quantity::Memory));
    if wall.is_empty() {
        return None;
    }
    let show_x = |size: f64| format!("{size} MB");
    let mut drawing = Drawing::new("Over the size of the database");
    let seconds = |value: f64| Quantity::Wall.show(value);
    let ticks = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0];
    let axes = Axes { logarithmic: true, ticks: &ticks, show_x: &show_x, show_y: &seconds };
    drawing.lines(Quantity::Wall.heading(), &wall, &axes);
    let mebibytes = |value: f64| format!("{:.0} MiB", value / f64::from(1 << 20));
    let ticks: Vec<f64> = (0..40).map(|step| f64::from(step * (16 << 20))).collect();
    let axes = Axes { logarithmic: false, ticks: &ticks, show_x: &show_x, show_y: &mebibytes };
    drawing.lines(Quantity::Memory.heading(), &memory, &axes);
    Some(("sizes.svg", drawing.finish()))
}
