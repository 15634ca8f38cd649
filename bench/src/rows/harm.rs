//! What a backup does to those who write meanwhile.

use super::Row;
use crate::bed::{Bed, in_turn};
use crate::measure;
use crate::puts::{Put, Puts};
use crate::results::{Quantity, Sample};
use crate::savers::{Saver, Transport};
use std::time::{Duration, Instant};

/// How long the load runs before a backup begins.
const LEAD: Duration = Duration::from_secs(2);

/// How long the load is watched where there is no backup.
pub(crate) const WINDOW: Duration = Duration::from_secs(5);

/// The rows.
pub(super) fn rows(bed: &Bed) -> Vec<Row<'_>> {
    let row = |name, saver, place| Row::new(name, move |_| harm(bed, saver, place));
    let (grpc, gateway) = (Saver::Host(Transport::Grpc), Saver::Host(Transport::Gateway));
    vec![
        row("harm/nothing", None, Place::Elsewhere),
        row("harm/etcdctl", Some(Saver::Etcdctl), Place::Elsewhere),
        row("harm/plakar-wasm-grpc", Some(grpc), Place::Elsewhere),
        row("harm/hashkv", Some(Saver::HashKv), Place::Elsewhere),
        row("harm/plakar-wasm-gateway", Some(gateway), Place::Elsewhere),
        row("harm/etcdctl-same-disk", Some(Saver::Etcdctl), Place::SameDisk),
        row("harm/plakar-wasm-grpc-same-disk", Some(grpc), Place::SameDisk),
    ]
}

/// Where a backup is saved to.
#[derive(Clone, Copy)]
enum Place {
    /// In memory, as one that leaves the machine.
    Elsewhere,
    /// On the disk that the member writes its log to.
    SameDisk,
}

fn harm(bed: &Bed, saver: Option<Saver>, place: Place) -> Result<Sample, String> {
    let to = match place {
        Place::Elsewhere => bed.target_in_memory(),
        Place::SameDisk => bed.target(),
    }?;
    measure::settle()?;
    let puts = Puts::start(bed.etcd.endpoint())?;
    std::thread::sleep(LEAD);
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
        .filter(|(due, _)| (begun..ended).contains(due))
        .map(|(_, took)| took)
        .collect();
    if during.is_empty() { Err("no put was due meanwhile".into()) } else { Ok(during) }
}
