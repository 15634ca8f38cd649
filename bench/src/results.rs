//! What was measured: for each row, size and quantity the values of all runs.

use serde_json::{Value, json};

/// A quantity, and the unit its values are kept in. In the order of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quantity {
    /// Seconds from start to end.
    Wall,
    /// Seconds of processor time that etcd took.
    EtcdCpu,
    /// Seconds of processor time that everything but etcd took.
    Cpu,
    /// The most memory that was resident, in bytes.
    Memory,
    /// Bytes between client and member, both directions, as TCP carries them.
    Wire,
    /// Bytes of what was saved.
    Saved,
    /// Milliseconds that half of the puts took at most.
    PutP50,
    /// Milliseconds that 99 % of the puts took at most.
    PutP99,
    /// Milliseconds that the slowest put took.
    PutMax,
    /// Bytes by which etcd's database grew, free pages included.
    DatabaseGrowth,
    /// Bytes that the store holds after a first backup.
    Store,
    /// Bytes by which a second backup made it grow, nothing written in between.
    StoreGrowthIdle,
    /// Bytes by which another one did, after a light load of writes.
    StoreGrowthBusy,
    /// Seconds in which the component was compiled, or taken from the cache.
    Compile,
    /// Seconds in which it was instantiated.
    Instantiate,
    /// Bytes on disk.
    Size,
}

use Quantity::*;

impl Quantity {
    /// Its name in the JSON file.
    pub(crate) fn key(self) -> &'static str {
        self.names().0
    }

    /// Its heading in the tables.
    pub(crate) fn heading(self) -> &'static str {
        self.names().1
    }

    fn names(self) -> (&'static str, &'static str) {
        match self {
            Wall => ("wall_seconds", "wall"),
            EtcdCpu => ("etcd_cpu_seconds", "etcd's CPU"),
            Cpu => ("cpu_seconds", "client's CPU"),
            Memory => ("peak_memory_bytes", "peak memory"),
            Wire => ("wire_bytes", "on the wire"),
            Saved => ("saved_bytes", "saved"),
            PutP50 => ("put_p50_ms", "put p50"),
            PutP99 => ("put_p99_ms", "put p99"),
            PutMax => ("put_max_ms", "put max"),
            DatabaseGrowth => ("database_growth_bytes", "db growth"),
            Store => ("store_bytes", "store"),
            StoreGrowthIdle => ("store_growth_idle_bytes", "2nd backup, nothing written"),
            StoreGrowthBusy => ("store_growth_busy_bytes", "3rd, light writes"),
            Compile => ("compile_seconds", "compile or load"),
            Instantiate => ("instantiate_seconds", "instantiate"),
            Size => ("size_bytes", "size"),
        }
    }

    /// A value for people.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            PutP50 | PutP99 | PutMax => format!("{value:.2} ms"),
            Wall | EtcdCpu | Cpu if value >= 0.9995 => format!("{value:.2} s"),
            Wall | EtcdCpu | Cpu => format!("{:.0} ms", value * 1e3),
            Compile | Instantiate => format!("{:.1} ms", value * 1e3),
            Memory => format!("{:.1} MiB", value / f64::from(1 << 20)),
            Size => format!("{:.0} KB", value / 1e3),
            Wire | Saved | DatabaseGrowth | Store | StoreGrowthIdle | StoreGrowthBusy => {
                format!("{:.1} MB", value / 1e6)
            }
        }
    }
}

/// One run of one row.
pub(crate) type Sample = Vec<(Quantity, f64)>;

/// All runs of one row at one size for one quantity.
pub(crate) struct Series {
    /// The row.
    pub(crate) row: &'static str,
    /// Megabytes of database.
    pub(crate) size: u64,
    /// What was measured.
    pub(crate) quantity: Quantity,
    /// The values, in the order of the runs.
    pub(crate) values: Vec<f64>,
}

impl Series {
    /// The middle value.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() % 2 {
            0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
            _ => sorted[middle],
        }
    }

    /// The smallest and the largest value.
    pub(crate) fn range(&self) -> (f64, f64) {
        let least = self.values.iter().copied().fold(f64::INFINITY, f64::min);
        (least, self.values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    }
}

/// Everything that was measured, and what failed.
#[derive(Default)]
pub(crate) struct Results {
    /// In the order in which rows were first measured.
    pub(crate) series: Vec<Series>,
    /// What failed, and why.
    pub(crate) failures: Vec<(String, String)>,
}

impl Results {
    /// Adds one run.
    pub(crate) fn add(&mut self, row: &'static str, size: u64, sample: Sample) {
        for (quantity, value) in sample {
            match self
                .series
                .iter_mut()
                .find(|s| (s.row, s.size, s.quantity) == (row, size, quantity))
            {
                Some(series) => series.values.push(value),
                None => self.series.push(Series { row, size, quantity, values: vec![value] }),
            }
        }
    }

    /// The values of one quantity, if it was measured.
    pub(crate) fn get(&self, row: &str, size: u64, quantity: Quantity) -> Option<&Series> {
        self.series.iter().find(|s| (s.row, s.size, s.quantity) == (row, size, quantity))
    }

    /// The median of one quantity, if it was measured.
    pub(crate) fn median(&self, row: &str, size: u64, quantity: Quantity) -> Option<f64> {
        self.get(row, size, quantity).map(Series::median)
    }

    /// All of it, with medians.
    pub(crate) fn json(&self) -> Value {
        let series = |series: &Series| {
            let (least, most) = series.range();
            json!({
                "row": series.row,
                "database_mb": series.size,
                "quantity": series.quantity.key(),
                "median": series.median(),
                "min": least,
                "max": most,
                "runs": series.values,
            })
        };
        self.series.iter().map(series).collect()
    }
}
