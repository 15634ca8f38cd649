//! What a backup does to those who write meanwhile.

use super::Row;
use crate::bed::{Bed, in_turn};
use crate::measure;
use crate::puts::{Put, Puts};
use crate::results::{Quantity, Sample};
use crate::savers::{Saver, Transport};
use std::time::{Duration, Instant};

/// How long the load is watched where there is no backup, and how long it runs
/// before one begins.
pub(crate) const WINDOW: Duration = Duration::from_secs(2);

/// The rows.
pub(super) fn rows(bed: &Bed) -> Vec<Row<'_>> {
    let row = |name, saver| Row::new(name, move |_| harm(bed, saver));
    vec![
        row("harm/nothing", None),
        row("harm/etcdctl", Some(Saver::Etcdctl)),
        row("harm/plakar-wasm-grpc", Some(Saver::Host(Transport::Grpc))),
        row("harm/plakar-wasm-gateway", Some(Saver::Host(Transport::Gateway))),
    ]
}

fn harm(bed: &Bed, saver: Option<Saver>) -> Result<Sample, String> {
    let to = bed.target()?;
    measure::settle()?;
    let puts = Puts::start(bed.etcd.endpoint())?;
    std::thread::sleep(WINDOW);
    let (database, begun) = (bed.database_bytes(), Instant::now());
    match saver {
        None => std::thread::sleep(WINDOW),
        Some(saver) => drop(in_turn(saver.steps(bed.home(), &bed.door(), &to)?)?),
    }
    let ended = Instant::now();
    let growth = bed.database_bytes() - database;
    let mut during = within(puts.stop()?, begun, ended)?;
    during.sort_unstable();
    let share = |share: f64| {
        let index = (during.len() as f64 * share).ceil() as usize;
        during[index.clamp(1, during.len()) - 1].as_secs_f64() * 1e3
    };
    Ok(vec![
        (Quantity::Wall, (ended - begun).as_secs_f64()),
        (Quantity::PutP50, share(0.5)),
        (Quantity::PutP99, share(0.99)),
        (Quantity::PutMax, share(1.0)),
        (Quantity::DatabaseGrowth, growth),
    ])
}

fn within(puts: Vec<Put>, begun: Instant, ended: Instant) -> Result<Vec<Duration>, String> {
    let during: Vec<Duration> = puts
        .into_iter()
        .filter(|(sent, _)| (begun..ended).contains(sent))
        .map(|(_, took)| took)
        .collect();
    if during.is_empty() { Err("no put was sent meanwhile".into()) } else { Ok(during) }
}
