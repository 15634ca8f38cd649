//! Two kinds of charts as SVG: bars and lines.

use std::fmt::Write;

/// Colours that most eyes can distinguish (Okabe and Ito).
pub(super) const COLOURS: [&str; 8] =
    ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#7f7f7f", "#b8a800"];

const FONT: &str = "font-family=\"Helvetica, Arial, sans-serif\"";
const INK: &str = "#222";
const FAINT: &str = "#ddd";

/// A drawing, built from the top down.
pub(super) struct Drawing {
    width: f64,
    height: f64,
    body: String,
}

/// One bar: what it is, its value with the smallest and the largest, and how the
/// value is written.
pub(super) struct Bar {
    pub(crate) label: String,
    pub(crate) value: f64,
    pub(crate) range: (f64, f64),
    pub(crate) shown: String,
    pub(crate) colour: &'static str,
}

/// One line: its name and its points.
pub(super) struct Line {
    pub(crate) label: String,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) colour: &'static str,
}

/// The axes of a line chart. Both are logarithmic, or the vertical one starts at
/// zero.
pub(super) struct Axes<'a> {
    pub(crate) logarithmic: bool,
    pub(crate) ticks: &'a [f64],
    pub(crate) show_x: &'a dyn Fn(f64) -> String,
    pub(crate) show_y: &'a dyn Fn(f64) -> String,
}

impl Drawing {
    pub(super) fn new(title: &str) -> Drawing {
        let mut drawing = Drawing { width: 860.0, height: 0.0, body: String::new() };
        drawing.text(20.0, 32.0, 17.0, "start", title);
        drawing.height = 48.0;
        drawing
    }

    /// Horizontal bars below a heading.
    pub(super) fn bars(&mut self, heading: &str, bars: &[Bar]) {
        const LEFT: f64 = 330.0;
        const STEP: f64 = 24.0;
        let most = bars.iter().map(|bar| bar.range.1).fold(0.0, f64::max);
        let scale = (self.width - LEFT - 110.0) / if most > 0.0 { most } else { 1.0 };
        let mut y = self.height + 20.0;
        self.text(20.0, y, 13.0, "start", heading);
        y += 10.0;
        for bar in bars {
            let middle = y + STEP / 2.0;
            self.text(LEFT - 10.0, middle + 4.0, 12.0, "end", &bar.label);
            let _ = writeln!(
                self.body,
                "<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"16\" fill=\"{}\"/>",
                y + 4.0,
                (bar.value * scale).max(1.0),
                bar.colour
            );
            let (from, to) = (LEFT + bar.range.0 * scale, LEFT + bar.range.1 * scale);
            self.stroke(from, middle, to, middle, INK);
            for end in [from, to] {
                self.stroke(end, middle - 4.0, end, middle + 4.0, INK);
            }
            self.text(
                to.max(LEFT + bar.value * scale) + 8.0,
                middle + 4.0,
                12.0,
                "start",
                &bar.shown,
            );
            y += STEP;
        }
        self.height = y + 8.0;
    }

    /// Lines below a heading, with a legend at their right.
    pub(super) fn lines(&mut self, heading: &str, lines: &[Line], axes: &Axes<'_>) {
        const LEFT: f64 = 90.0;
        const HEIGHT: f64 = 250.0;
        let right = self.width - 350.0;
        let top = self.height + 36.0;
        let bottom = top + HEIGHT;
        self.text(20.0, top - 16.0, 13.0, "start", heading);
        let points = || lines.iter().flat_map(|line| line.points.iter().copied());
        let fold = |pick: fn((f64, f64)) -> f64| {
            points().map(pick).fold((f64::INFINITY, 0.0_f64), |(a, b), v| (a.min(v), b.max(v)))
        };
        let ((x0, x1), (y0, y1)) = (fold(|p| p.0), fold(|p| p.1));
        let along = |value: f64, (from, to): (f64, f64)| {
            if to > from { (value.ln() - from.ln()) / (to.ln() - from.ln()) } else { 0.5 }
        };
        let x = |value: f64| LEFT + along(value, (x0, x1)) * (right - LEFT);
        let highest = axes.ticks.iter().copied().find(|tick| *tick >= y1).unwrap_or(y1);
        let lowest = axes.ticks.iter().copied().rfind(|tick| *tick <= y0).unwrap_or(y0);
        let y = |value: f64| {
            if axes.logarithmic {
                bottom - along(value, (lowest, highest)) * HEIGHT
            } else {
                bottom - value / highest * HEIGHT
            }
        };
        let seen = |tick: &&f64| **tick <= highest && (!axes.logarithmic || **tick >= lowest);
        for tick in axes.ticks.iter().filter(seen) {
            self.stroke(LEFT, y(*tick), right, y(*tick), FAINT);
            self.text(LEFT - 8.0, y(*tick) + 4.0, 12.0, "end", &(axes.show_y)(*tick));
        }
        let mut sizes: Vec<f64> = points().map(|point| point.0).collect();
        sizes.sort_by(f64::total_cmp);
        sizes.dedup();
        for size in sizes {
            self.stroke(x(size), top, x(size), bottom, FAINT);
            self.text(x(size), bottom + 18.0, 12.0, "middle", &(axes.show_x)(size));
        }
        for (index, line) in lines.iter().enumerate() {
            let path: Vec<String> =
                line.points.iter().map(|(a, b)| format!("{:.1},{:.1}", x(*a), y(*b))).collect();
            let _ = writeln!(
                self.body,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>",
                path.join(" "),
                line.colour
            );
            for (a, b) in &line.points {
                let _ = writeln!(
                    self.body,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\" fill=\"{}\"/>",
                    x(*a),
                    y(*b),
                    line.colour
                );
            }
            let row = top + 12.0 + 22.0 * index as f64;
            let _ = writeln!(
                self.body,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"14\" height=\"4\" fill=\"{}\"/>",
                right + 24.0,
                row - 6.0,
                line.colour
            );
            self.text(right + 46.0, row, 12.0, "start", &line.label);
        }
        self.height = bottom + 34.0;
    }

    /// The file.
    pub(super) fn finish(self) -> String {
        let (width, height) = (self.width, self.height + 8.0);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{}</svg>\n",
            self.body
        )
    }

    fn stroke(&mut self, x0: f64, y0: f64, x1: f64, y1: f64, colour: &str) {
        let _ = writeln!(
            self.body,
            "<line x1=\"{x0:.1}\" y1=\"{y0:.1}\" x2=\"{x1:.1}\" y2=\"{y1:.1}\" \
                stroke=\"{colour}\"/>"
        );
    }

    fn text(&mut self, x: f64, y: f64, size: f64, anchor: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('`', "");
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\" \
                fill=\"{INK}\" {FONT}>{text}</text>"
        );
    }
}
