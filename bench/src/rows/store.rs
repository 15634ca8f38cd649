//! Backing up into an encrypted store, through the real plakar.

use super::{Pass, Row};
use crate::bed::{Bed, Door, Security};
use crate::measure::{self, Cost, Running, clean};
use crate::results::{Quantity, Sample};
use crate::savers::{Transport, etcdctl, option};
use host_tests::plakar::{Plakar, Plugin};
use host_tests::process::Process;
use host_tests::target::below;
use host_tests::tools;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PASSPHRASE: &str = "of the benchmark alone";

/// Keys of 1 KiB that are written between the second and the third backup.
const LIGHT_LOAD: usize = 100;

/// A plakar with our package, and stores one after the other.
pub(super) struct Stores {
    plakar: Plakar,
    made: Cell<u32>,
}

impl Stores {
    pub(super) fn new() -> Result<Stores, String> {
        Ok(Stores { plakar: Plakar::encrypted(PASSPHRASE), made: Cell::new(0) })
    }

    /// An empty store.
    pub(super) fn fresh(&self) -> PathBuf {
        self.made.set(self.made.get() + 1);
        let store = self.plakar.home().join(format!("store-{}", self.made.get()));
        self.plakar.create(&store);
        store
    }

    /// `plakar at STORE backup` with these arguments.
    pub(super) fn backup(&self, store: &Path, arguments: &[&str]) -> Command {
        let mut plakar = clean(tools::plakar(), self.plakar.home());
        plakar.env("PLAKAR_PASSPHRASE", PASSPHRASE).arg("at").arg(store).arg("backup");
        plakar.args(arguments);
        plakar
    }

    /// Runs it, and looks at the plugin meanwhile: the memory is the plugin's,
    /// if there is one.
    fn run(&self, backup: Command) -> Result<Cost, String> {
        let (mut plugin, mut memory, mut cpu) = (None::<Plugin>, 0, 0.0);
        let mut cost = Running::start(backup, Stdio::null())?.wait(&mut |_| {
            plugin = plugin.or_else(|| self.plakar.plugins().first().copied());
            if let Some(Plugin(pid)) = plugin {
                memory = Process::peak_memory(pid).unwrap_or(memory);
                cpu = measure::cpu(pid).unwrap_or(cpu);
            }
        })?;
        if memory > 0 {
            cost.memory = memory;
        }
        // plakar need not have waited for its plugin.
        cost.cpu += (cpu - cost.children_cpu).max(0.0);
        Ok(cost)
    }

    /// The plugin that runs, if one does.
    pub(super) fn plugin(&self) -> Option<Plugin> {
        self.plakar.plugins().first().copied()
    }
}

/// How a backup gets into the store.
#[derive(Clone, Copy)]
enum Way {
    /// `plakar backup etcd://…`.
    Plugin(Transport),
    /// `etcdctl snapshot save`, then `plakar backup FILE`.
    File,
}

/// The rows.
pub(super) fn rows<'a>(bed: &'a Bed, stores: &'a Stores) -> Vec<Row<'a>> {
    let row = |name, way| Row::new(name, move |pass| three_backups(bed, stores, way, pass));
    vec![
        row("store/etcdctl-plakar", Way::File),
        row("store/plakar-grpc", Way::Plugin(Transport::Grpc)),
        row("store/plakar-gateway", Way::Plugin(Transport::Gateway)),
    ]
}

/// A first backup, which is timed; a second one with nothing written in between;
/// a third one after some writes. The first is enough to warm up.
fn three_backups(bed: &Bed, stores: &Stores, way: Way, pass: Pass) -> Result<Sample, String> {
    let store = stores.fresh();
    let empty = bytes(&store);
    let mut sample =
        bed.account(pass, Security::None, |door| back_up(bed, door, stores, &store, way))?;
    if pass == Pass::Timed {
        let first = bytes(&store);
        back_up(bed, &bed.door(), stores, &store, way)?;
        let second = bytes(&store);
        bed.etcd.put_many("light", LIGHT_LOAD, 1024);
        back_up(bed, &bed.door(), stores, &store, way)?;
        sample.extend([
            (Quantity::Store, first - empty),
            (Quantity::StoreGrowthIdle, second - first),
            (Quantity::StoreGrowthBusy, bytes(&store) - second),
        ]);
    }
    std::fs::remove_dir_all(&store).map_err(|error| error.to_string())?;
    Ok(sample)
}

fn back_up(
    bed: &Bed,
    door: &Door<'_>,
    stores: &Stores,
    store: &Path,
    way: Way,
) -> Result<Cost, String> {
    match way {
        Way::Plugin(transport) => {
            let (option, location) = (option(transport), door.location());
            stores.run(stores.backup(store, &["-o", &option, &location]))
        }
        Way::File => {
            let file = bed.target()?.join("dump");
            let saved = measure::run(etcdctl(bed.home(), door, &file))?;
            let file = file.to_str().ok_or("a temporary path is not UTF-8")?;
            Ok(saved.then(measure::run(stores.backup(store, &[file]))?))
        }
    }
}

/// Bytes of all files of a store.
fn bytes(store: &Path) -> f64 {
    let files = below(store).into_iter().filter_map(|path| path.metadata().ok());
    files.filter(|metadata| metadata.is_file()).map(|metadata| metadata.len()).sum::<u64>() as f64
}
