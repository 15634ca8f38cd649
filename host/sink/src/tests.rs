//! The directory sink on disks that refuse and fail.

use super::disk::Disk;
use super::{DirectorySink, Entry, Sink};
use plakar_policy::{Error, Fault};
use rustix::fs::RenameFlags;
use rustix::io::Errno;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::SystemTime;

/// Called after a rename, with both paths.
type Renamed = Box<dyn Fn(&Path, &Path) + Send + Sync>;

/// A disk without faults, except those that are set here.
#[derive(Default)]
struct Faulty {
    /// Renames with these flags are not allowed.
    denied: Option<RenameFlags>,
    /// Renames do not support these flags.
    no_flags: Option<RenameFlags>,
    /// The same, after this many renames with flags.
    forgets_flags_after: Option<usize>,
    flagged: AtomicUsize,
    /// The number of the data sync that fails, counted from 1; and how many there were.
    bad_data_sync: usize,
    data_syncs: AtomicUsize,
    /// The number of the sync of any kind that fails, counted from 1; and how many there
    /// were.
    bad_sync: usize,
    syncs: AtomicUsize,
    /// The number of moves into or out of a target after which all others fail; and how
    /// many there were.
    dead_after: Option<usize>,
    moves: AtomicUsize,
    /// The name of a file that cannot be moved to its place.
    stuck: Option<&'static str>,
    directory_sync: Option<Errno>,
    mode: Option<Errno>,
    no_locks: bool,
    /// Called after each rename.
    renamed: Option<Renamed>,
}

impl Disk for Faulty {
    fn sync_data(&self, file: &File) -> io::Result<()> {
        self.sync()?;
        let count = self.data_syncs.fetch_add(1, Ordering::Relaxed) + 1;
        if count == self.bad_data_sync { Err(Errno::IO.into()) } else { file.sync_data() }
    }

    fn sync_all(&self, file: &File) -> io::Result<()> {
        self.sync()?;
        match self.directory_sync {
            Some(errno) if file.metadata()?.is_dir() => Err(errno.into()),
            _ => file.sync_all(),
        }
    }

    fn set_mode(&self, file: &File, mode: u32) -> io::Result<()> {
        match self.mode {
            Some(errno) => Err(errno.into()),
            None => file.set_permissions(fs::Permissions::from_mode(mode)),
        }
    }

    fn rename(&self, from: &Path, to: &Path, flags: RenameFlags) -> io::Result<()> {
        if self.denied.is_some_and(|denied| flags.intersects(denied)) {
            return Err(Errno::PERM.into());
        }
        if self.no_flags.is_some_and(|unknown| flags.intersects(unknown)) {
            return Err(Errno::INVAL.into());
        }
        if !flags.is_empty()
            && let Some(last) = self.forgets_flags_after
            && self.flagged.fetch_add(1, Ordering::Relaxed) >= last
        {
            return Err(Errno::INVAL.into());
        }
        if is_hidden(from) != is_hidden(to)
            && let Some(last) = self.dead_after
            && self.moves.fetch_add(1, Ordering::Relaxed) >= last
        {
            return Err(Errno::IO.into());
        }
        let staged =
            from.parent().is_some_and(|parent| parent.to_string_lossy().contains("/records"));
        if staged && self.stuck.is_some_and(|name| to.ends_with(name)) {
            return Err(Errno::PERM.into());
        }
        super::disk::Kernel.rename(from, to, flags)?;
        if let Some(renamed) = &self.renamed {
            renamed(from, to);
        }
        Ok(())
    }

    fn lock(&self, file: &File) -> Result<(), TryLockError> {
        if self.no_locks { Err(TryLockError::Error(Errno::NOLCK.into())) } else { file.try_lock() }
    }
}

impl Faulty {
    /// Counts one more sync of anything.
    fn sync(&self) -> io::Result<()> {
        let count = self.syncs.fetch_add(1, Ordering::Relaxed) + 1;
        if count == self.bad_sync { Err(Errno::IO.into()) } else { Ok(()) }
    }
}

fn is_hidden(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.contains("/.plakar-wasm-"))
}

/// File systems, by the flags that their renames do not support.
const FILE_SYSTEMS: [Option<RenameFlags>; 3] =
    [None, Some(RenameFlags::EXCHANGE), Some(RenameFlags::EXCHANGE.union(RenameFlags::NOREPLACE))];

/// The content of the files of one backup.
type Content = &'static str;

fn begin(disk: Faulty, to: &Path, force: bool) -> Result<DirectorySink, Error> {
    DirectorySink::create_on(Arc::new(disk), to, force)
}

fn entry(pathname: &str, mode: u32) -> Entry {
    Entry { pathname: pathname.into(), mode, modified: SystemTime::now() }
}

/// Writes three records, one of them in a directory.
async fn fill(sink: &mut DirectorySink, content: Content) -> Result<(), Error> {
    sink.directory(&entry("/", 0o700)).await?;
    for pathname in ["/dump", "/sub/manifest", "/guide"] {
        sink.begin_file(&entry(pathname, 0o600)).await?;
        sink.write(content.into()).await?;
        sink.finish_file().await?;
    }
    Ok(())
}

async fn back_up(disk: Faulty, to: &Path, force: bool, content: Content) -> Result<(), Error> {
    let mut sink = begin(disk, to, force)?;
    fill(&mut sink, content).await?;
    sink.commit()
}

/// Returns every path below a directory, with the content of the files.
fn below(directory: &Path) -> Vec<(PathBuf, Option<String>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("it can be read").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(below(&path));
        }
        found.push((path.clone(), fs::read_to_string(path).ok()));
    }
    found.sort();
    found
}

/// Fails unless exactly this backup is there, and nothing else.
#[track_caller]
fn assert_holds(to: &Path, content: Content) {
    let file = |name: &str| (to.join(name), Some(content.to_owned()));
    let all = vec![file("dump"), file("guide"), (to.join("sub"), None), file("sub/manifest")];
    assert_eq!(below(to), all);
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let to = folder.path().join("backup");
    (folder, to)
}

/// Returns a target that existed before, with a backup in it.
async fn with_backup(content: Content) -> (tempfile::TempDir, PathBuf) {
    let (folder, to) = folder();
    fs::create_dir(&to).expect("made");
    back_up(Faulty::default(), &to, false, content).await.expect("backed up");
    assert_holds(&to, content);
    (folder, to)
}

/// The kernel reports a lost write once, to the sync that covered it: a last sync of the
/// whole file does not report it again.
#[tokio::test]
async fn a_sync_that_fails_in_the_background_fails_the_backup() {
    // The first of three syncs is followed by two that do not fail.
    for (bad, intervals) in [(1, 1), (2, 2), (1, 2), (1, 3), (2, 3), (3, 3)] {
        let (_folder, to) = folder();
        // One sync is tried before anything is written.
        let disk = Faulty { bad_data_sync: 1 + bad, ..Faulty::default() };
        let mut sink = begin(disk, &to, false).expect("begun");
        let error = dump(&mut sink, intervals).await.expect_err("a sync has failed");
        assert_eq!(error.fault(), Fault::Store);
    }

    /// Writes one file, with this many syncs while it is written.
    async fn dump(sink: &mut DirectorySink, intervals: usize) -> Result<u64, Error> {
        sink.begin_file(&entry("/dump", 0o600)).await?;
        for _ in 0..intervals {
            sink.write(vec![1; super::directory::SYNC_BYTES].into()).await?;
        }
        sink.write(vec![1; 1].into()).await?;
        sink.finish_file().await
    }
}

/// The sync of a file, the journal, or a directory; before the commit or in it.
#[tokio::test]
async fn no_sync_that_fails_is_overlooked() {
    for there in [false, true] {
        for bad_sync in 1.. {
            let (_folder, to) = if there { with_backup("old").await } else { folder() };
            let disk = Arc::new(Faulty { bad_sync, ..Faulty::default() });
            let ended = match DirectorySink::create_on(disk.clone(), &to, true) {
                Ok(mut sink) => match fill(&mut sink, "new").await {
                    Ok(()) => sink.commit(),
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            if disk.syncs.load(Ordering::Relaxed) < bad_sync {
                ended.expect("none has failed");
                assert!(bad_sync > 6, "three files are synced, and where they are listed");
                break;
            }
            let error = ended.expect_err("a sync has failed");
            assert_eq!(error.fault(), Fault::Store);
            if there {
                assert_holds(&to, "old")
            } else {
                assert!(!to.exists(), "sync {bad_sync}: something is left")
            }
        }
    }
}

#[tokio::test]
async fn a_new_target_appears_whole_by_one_move() {
    for no_flags in FILE_SYSTEMS {
        let (folder, to) = folder();
        let moves = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&moves);
        let renamed = move |_: &Path, to: &Path| {
            if !is_hidden(to) {
                seen.lock().expect("no holder panics").push(to.to_owned());
            }
        };
        let disk = Faulty { no_flags, renamed: Some(Box::new(renamed)), ..Faulty::default() };
        back_up(disk, &to, false, "new").await.expect("backed up");
        assert_holds(&to, "new");
        assert_eq!(*moves.lock().expect("no holder panics"), std::slice::from_ref(&to));
        assert_eq!(fs::read_dir(folder.path()).expect("it can be read").count(), 1);
    }
}

#[tokio::test]
async fn a_backup_is_replaced_on_file_systems_without_flags_too() {
    for no_flags in FILE_SYSTEMS {
        let (_folder, to) = with_backup("old").await;
        let disk = || Faulty { no_flags, ..Faulty::default() };
        back_up(disk(), &to, false, "new").await.expect_err("it exists");
        assert_holds(&to, "old");
        back_up(disk(), &to, true, "new").await.expect("backed up");
        assert_holds(&to, "new");
    }
}

#[tokio::test]
async fn a_commit_that_fails_leaves_the_old_backup_whole() {
    for no_flags in FILE_SYSTEMS {
        for stuck in ["dump", "manifest", "guide"] {
            let (_folder, to) = with_backup("old").await;
            let disk = Faulty { no_flags, stuck: Some(stuck), ..Faulty::default() };
            let error = back_up(disk, &to, true, "new").await.expect_err("it is stuck");
            assert_eq!(error.fault(), Fault::Store);
            assert_holds(&to, "old");
        }
        let (_folder, to) = with_backup("old").await;
        let disk = Faulty { no_flags, directory_sync: Some(Errno::IO), ..Faulty::default() };
        back_up(disk, &to, true, "new").await.expect_err("it cannot be synced");
        assert_holds(&to, "old");
    }
}

/// Disks do not forget flags, but a system call that is filtered for one thread may.
#[tokio::test]
async fn what_was_swapped_is_swapped_back_without_flags_too() {
    for last in 0..8 {
        let (_folder, to) = with_backup("old").await;
        let forgets_flags_after = Some(last);
        let disk = Faulty { forgets_flags_after, stuck: Some("guide"), ..Faulty::default() };
        back_up(disk, &to, true, "new").await.expect_err("it is stuck");
        assert_holds(&to, "old");
    }
}

/// A disk that dies leaves what a killed run leaves: nothing can be moved back.
#[tokio::test]
async fn a_run_that_is_killed_in_its_commit_is_undone_by_the_next() {
    for no_flags in FILE_SYSTEMS {
        for dead_after in 0..6 {
            let (_folder, to) = with_backup("old").await;
            let disk = Faulty { no_flags, dead_after: Some(dead_after), ..Faulty::default() };
            if back_up(disk, &to, true, "new").await.is_ok() {
                assert_holds(&to, "new");
                continue;
            }
            drop(begin(Faulty { no_flags, ..Faulty::default() }, &to, false).expect("begun"));
            assert_holds(&to, "old");

            // If nothing was there before, the next run does not need `--force`.
            let (_folder, to) = folder();
            fs::create_dir(&to).expect("made");
            let disk = Faulty { no_flags, dead_after: Some(dead_after), ..Faulty::default() };
            if back_up(disk, &to, false, "new").await.is_ok() {
                continue;
            }
            back_up(Faulty { no_flags, ..Faulty::default() }, &to, false, "newer")
                .await
                .expect("backed up");
            assert_holds(&to, "newer");
        }
    }
}

/// Each sync of a commit fails in turn, and what was moved cannot be moved back: also after
/// the last move, when the list of moves was about to be struck out.
#[tokio::test]
async fn a_commit_that_can_neither_be_kept_nor_undone_is_undone_by_the_next_run() {
    for no_flags in FILE_SYSTEMS {
        let (_folder, to) = with_backup("old").await;
        let counting = Faulty { no_flags, dead_after: Some(usize::MAX), ..Faulty::default() };
        let healthy = Arc::new(counting);
        let mut sink = DirectorySink::create_on(healthy.clone(), &to, true).expect("begun");
        fill(&mut sink, "new").await.expect("filled");
        sink.commit().expect("backed up");
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let (syncs, moves) = (count(&healthy.syncs), count(&healthy.moves));
        for bad_sync in syncs - 4..=syncs {
            let (_folder, to) = with_backup("old").await;
            let disk = Faulty { no_flags, bad_sync, dead_after: Some(moves), ..Faulty::default() };
            back_up(disk, &to, true, "new").await.expect_err("a sync has failed");
            drop(begin(Faulty { no_flags, ..Faulty::default() }, &to, false).expect("begun"));
            assert_holds(&to, "old");
        }
    }
}

/// It appears complete, so one that cannot be read is damaged: the old files are kept.
#[tokio::test]
async fn a_list_of_moves_that_cannot_be_read_stops_the_next_run() {
    let (_folder, to) = with_backup("old").await;
    let disk = Faulty { dead_after: Some(2), ..Faulty::default() };
    back_up(disk, &to, true, "new").await.expect_err("the disk has died");
    let lease = to.join(".plakar-wasm-commit.partial");
    fs::write(lease.join("commit"), "[{").expect("damaged");
    let error = begin(Faulty::default(), &to, true).err().expect("it cannot be undone");
    assert!(error.to_string().contains(".plakar-wasm-commit.partial"), "{error}");
    assert!(lease.is_dir());
}

#[tokio::test]
async fn a_file_that_was_begun_and_not_finished_is_not_committed() {
    let (_folder, to) = folder();
    let mut sink = begin(Faulty::default(), &to, false).expect("begun");
    sink.begin_file(&entry("/dump", 0o600)).await.expect("begun");
    sink.write("half".into()).await.expect("written");
    sink.commit().expect_err("a file is not finished");
    assert!(!to.exists());
}

#[tokio::test]
async fn files_that_were_put_there_after_a_failed_commit_are_left_alone() {
    let (_folder, to) = folder();
    fs::create_dir(&to).expect("made");
    let disk = Faulty { dead_after: Some(1), ..Faulty::default() };
    back_up(disk, &to, false, "new").await.expect_err("it dies");
    fs::remove_file(to.join("dump")).expect("it was placed");
    fs::write(to.join("dump"), "mine").expect("written");
    drop(begin(Faulty::default(), &to, false).expect("begun"));
    assert_eq!(below(&to), [(to.join("dump"), Some("mine".to_owned()))]);
}

/// The second commit begins while the first is between two files.
#[tokio::test(flavor = "multi_thread")]
async fn two_commits_do_not_mix() {
    let (_folder, to) = with_backup("old").await;
    let (first_placed, wait_for_first) = mpsc::channel();
    let (second_waits, wait_for_second) = mpsc::channel();
    let wait_for_second = Mutex::new(wait_for_second);
    let first = Faulty {
        renamed: Some(Box::new(move |_, to| {
            if to.ends_with("dump") && !is_hidden(to) {
                first_placed.send(()).expect("the test waits");
                wait_for_second.lock().expect("no holder panics").recv().expect("it will");
            }
        })),
        ..Faulty::default()
    };
    let mut first = begin(first, &to, true).expect("begun");
    fill(&mut first, "first").await.expect("filled");
    let waiting = Arc::new(Waiting(Mutex::new(second_waits)));
    let mut second = DirectorySink::create_on(waiting, &to, true).expect("begun");
    fill(&mut second, "second").await.expect("filled");

    let committing = std::thread::spawn(|| first.commit());
    wait_for_first.recv().expect("it places its first file");
    second.commit().expect("the second waited for its turn");
    committing.join().expect("no panic").expect("the first was in nobody's way");
    assert_holds(&to, "second");

    /// Reports when a run waits for its turn.
    struct Waiting(Mutex<mpsc::Sender<()>>);

    impl Disk for Waiting {
        fn rename(&self, from: &Path, to: &Path, flags: RenameFlags) -> io::Result<()> {
            let renamed = super::disk::Kernel.rename(from, to, flags);
            // Only the wait for the commit counts: one for a single file would be too late.
            if renamed.is_err() && to.ends_with(".plakar-wasm-commit.partial") {
                let _ = self.0.lock().expect("no holder panics").send(());
            }
            renamed
        }
    }
}

#[tokio::test]
async fn what_the_commit_needs_is_tried_before_anything_is_contacted() {
    for disk in [
        Faulty { mode: Some(Errno::PERM), ..Faulty::default() },
        Faulty { bad_data_sync: 1, ..Faulty::default() },
        Faulty { directory_sync: Some(Errno::IO), ..Faulty::default() },
        Faulty { denied: Some(RenameFlags::EXCHANGE), ..Faulty::default() },
        Faulty { denied: Some(RenameFlags::NOREPLACE), ..Faulty::default() },
    ] {
        let (_folder, to) = folder();
        let Err(error) = begin(disk, &to, false) else { panic!("it can be written") };
        assert!(error.to_string().contains(to.to_str().expect("UTF-8")), "{error}");
        assert!(!to.exists(), "something is left");
    }
}

#[tokio::test]
async fn a_backup_into_a_directory_that_cannot_be_synced_or_locked_succeeds() {
    for errno in [Errno::INVAL, Errno::ACCESS] {
        let (_folder, to) = folder();
        let disk = Faulty { directory_sync: Some(errno), no_locks: true, ..Faulty::default() };
        back_up(disk, &to, false, "new").await.expect("backed up");
        assert_holds(&to, "new");
    }
}

#[tokio::test]
async fn a_dead_lease_is_removed_with_any_content_and_a_living_one_is_left() {
    let (_folder, to) = folder();
    let living = begin(Faulty::default(), &to, false).expect("begun");
    let bare = to.join(".plakar-wasm-bare.partial");
    fs::create_dir(&bare).expect("made");
    let queue = to.join(".plakar-wasm-queue.partial");
    fs::create_dir(&queue).expect("made");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        queue.join("lock"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .expect("made");
    drop(begin(Faulty::default(), &to, false).expect("it does not wait for a writer"));
    assert!(!bare.exists() && !queue.exists());
    assert_eq!(fs::read_dir(&to).expect("it can be read").count(), 1);
    drop(living);
    assert!(!to.exists());
}
