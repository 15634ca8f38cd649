//! A backup that was stored earlier: a dump, a bundle, or a directory with its files.
//! It is always verified to its end before anything of it is printed.

use crate::error::{Error, Result, Stage};
use crate::import::{DUMP, GUIDE, MANIFEST};
use crate::manifest::{DatabaseInfo, hex};
use crate::options::PROOF_MEMORY_MOST;
use crate::proof::Keyspace;
use crate::proof::observer::Observer;
use crate::snapshot::file::{self, Verified};
use crate::snapshot::verifier::Unread;
use plakar_connector::ErrorKind;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

/// The largest `manifest.json` or `RESTORE.md` that is read back, in bytes: several times
/// what the bounds of a member list allow.
const TEXT_MOST: u64 = 8 << 20;

/// The observer of the pages. Shared: the caller reads it after the reader has filled it.
pub(crate) type Onlooker = Rc<RefCell<dyn Observer>>;

/// An [`Onlooker`] that keeps nothing.
pub(crate) fn no_observer() -> Onlooker {
    Rc::new(RefCell::new(()))
}

/// Where a stored backup is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// On standard input.
    Stdin,
    /// In a file or directory that the host grants.
    Path(String),
}

impl From<String> for Source {
    fn from(path: String) -> Self {
        if path == "-" { Source::Stdin } else { Source::Path(path) }
    }
}

impl Source {
    /// Checks it, and returns a description for people.
    pub(crate) fn verify(&self) -> Result<String> {
        let directory = match self {
            Source::Path(path) if fs::metadata(path).is_ok_and(|file| file.is_dir()) => Some(path),
            _ => None,
        };
        let (proof, pages) = match directory {
            Some(path) => verify_directory(Path::new(path)),
            None => verify(self.open()?, PROOF_MEMORY_MOST, no_observer()),
        }
        .map_err(|error| self.located(error))?;
        let mut text = format!("ok: {} bytes, sha256 {}\n", proof.size, hex(&proof.sha256));
        let _ = match pages {
            Ok(keyspace) => writeln!(text, "{}", keyspace.found),
            Err(unread) => writeln!(text, "its pages were not read: {}", why(&unread)),
        };
        Ok(text)
    }

    /// Checks a dump or a bundle, and passes its pages to `observer`. Takes at most `memory`
    /// bytes for what it keeps; fails if the pages cannot be read.
    pub(crate) fn read(&self, memory: usize, observer: Onlooker) -> Result<Keyspace<Onlooker>> {
        let (_, pages) =
            verify(self.open()?, memory, observer).map_err(|error| self.located(error))?;
        pages.map_err(|unread| self.located(unreadable(&unread)))
    }

    /// Adds to an error the file that it is about, and the stage.
    fn located(&self, error: Error) -> Error {
        match self {
            Source::Stdin => error.during(Stage::Verify),
            Source::Path(path) => error.in_file(path, Stage::Verify),
        }
    }

    fn open(&self) -> Result<Box<dyn Read>> {
        match self {
            Source::Stdin => Ok(Box::new(io::stdin().lock())),
            Source::Path(path) => open(Path::new(path)).map(|file| Box::new(file) as Box<dyn Read>),
        }
    }
}

fn open(path: &Path) -> Result<File> {
    let cannot = |error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::InvalidConfig, format!("cannot read `{}`: {error}", path.display()))
            .during(Stage::Verify)
    };
    let file = File::open(path).map_err(|error| {
        cannot(&error).remedy(
            "use a file in a directory that the host grants, such as `wasmtime run --dir DIR`; \
                `plakar-wasm` grants none: pass the dump on standard input",
        )
    })?;
    match file.metadata() {
        Ok(metadata) if metadata.is_dir() => Err(cannot(&"it is a directory")
            .remedy("use the `dump` in it; only `verify` accepts a directory")),
        _ => Ok(file),
    }
}

/// The error of a command that needs the pages.
pub(crate) fn unreadable(unread: &Unread) -> Error {
    let remedy = match unread {
        Unread::Memory => {
            "use `keys` with a prefix, which needs less; or restore the dump, and query the restored member"
        }
        Unread::Unknown(_) => "use a newer version of this component",
    };
    Error::new(ErrorKind::Unsupported, format!("its pages cannot be read: {}", why(unread)))
        .remedy(remedy)
        .during(Stage::Verify)
}

fn why(unread: &Unread) -> String {
    match unread {
        Unread::Memory => {
            let mebibytes = PROOF_MEMORY_MOST >> 20;
            format!("they need more than {mebibytes} MiB of memory")
        }
        Unread::Unknown(why) => why.clone(),
    }
}

/// Checks a dump or a bundle, whichever it is.
fn verify(
    mut input: Box<dyn Read>,
    memory: usize,
    observer: Onlooker,
) -> Result<Verified<Onlooker>> {
    // A tar archive has its magic at byte 257; a database has zeros there.
    let mut start = [0; 512];
    let mut length = 0;
    while length < start.len() {
        match input.read(&mut start[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Error::new(
                    ErrorKind::Other,
                    format!("cannot read the input: {error}"),
                ));
            }
        }
    }
    let start = &start[..length];
    let whole = start.chain(input);
    if start.get(257..262) == Some(b"ustar") {
        verify_bundle(whole, memory, observer)
    } else {
        file::verify(whole, memory, observer)
    }
}

fn verify_bundle(
    input: impl Read,
    memory: usize,
    observer: Onlooker,
) -> Result<Verified<Onlooker>> {
    let broken = |error: io::Error| incomplete(&format!("it cannot be read ({error})"));
    let mut files = Files { dump: None, manifest: None, guide: None };
    let mut observer = Some(observer);
    for entry in tar::Archive::new(input).entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.to_string_lossy().into_owned();
        let pathname = format!("/{}", path.trim_start_matches("./"));
        match pathname.as_str() {
            DUMP => {
                let observer =
                    observer.take().ok_or_else(|| incomplete("it contains two dumps"))?;
                let size = entry.size();
                let found = file::verify(entry, memory, observer)?;
                if found.0.size != size {
                    return Err(incomplete("its dump was cut"));
                }
                files.dump = Some(found);
            }
            MANIFEST if files.manifest.is_some() => {
                return Err(incomplete("it contains two files `manifest.json`"));
            }
            MANIFEST => files.manifest = Some(Manifest::read(entry)?),
            GUIDE if files.guide.is_some() => {
                return Err(incomplete("it contains two files `RESTORE.md`"));
            }
            GUIDE => files.guide = Some(read_guide(entry)?),
            _ => {}
        }
    }
    files.judge()
}

fn verify_directory(directory: &Path) -> Result<Verified<Onlooker>> {
    let file = |name: &str| {
        let path = directory.join(name.trim_start_matches('/'));
        match path.try_exists() {
            Ok(false) => Ok(None),
            _ => open(&path).map(Some),
        }
    };
    Files {
        manifest: file(MANIFEST)?.map(Manifest::read).transpose()?,
        guide: file(GUIDE)?.map(read_guide).transpose()?,
        dump: file(DUMP)?
            .map(|dump| file::verify(dump, PROOF_MEMORY_MOST, no_observer()))
            .transpose()?,
    }
    .judge()
}

/// The fields of `manifest.json` that are compared with the dump.
#[derive(serde::Deserialize)]
struct Manifest {
    dump: Dump,
    /// The facts in the pages at the time of the backup.
    #[serde(default)]
    database: Option<serde_json::Value>,
}

#[derive(serde::Deserialize)]
struct Dump {
    bytes: u64,
    sha256: String,
}

impl Manifest {
    fn read(file: impl Read) -> Result<Self> {
        serde_json::from_reader(file.take(TEXT_MOST))
            .map_err(|error| incomplete(&format!("its `manifest.json` cannot be read ({error})")))
    }
}

/// The files of a backup that were found.
struct Files {
    dump: Option<Verified<Onlooker>>,
    manifest: Option<Manifest>,
    guide: Option<String>,
}

impl Files {
    /// Checks that they belong to one backup.
    fn judge(self) -> Result<Verified<Onlooker>> {
        let (proof, pages) = self.dump.ok_or_else(|| incomplete("it has no `dump`"))?;
        let Manifest { dump, database } =
            self.manifest.ok_or_else(|| incomplete("it has no `manifest.json`"))?;
        let guide = self.guide.ok_or_else(|| incomplete("it has no `RESTORE.md`"))?;
        let is_the_dump = dump.bytes == proof.size && dump.sha256 == hex(&proof.sha256);
        let matches = match (&pages, database) {
            (Ok(keyspace), Some(reported)) => DatabaseInfo::of(keyspace).matches(&reported),
            _ => true,
        };
        let foreign = |what: &str| Error::new(ErrorKind::Corrupt, what).remedy(file::USE_ANOTHER);
        if !is_the_dump || !matches {
            return Err(foreign("the dump is not the one described in `manifest.json`"));
        }
        // Its commands name the dump by its digest.
        if !guide.contains(&hex(&proof.sha256)) {
            return Err(foreign(
                "`RESTORE.md` is not the one of this dump: its SHA-256 is not in it",
            ));
        }
        Ok((proof, pages))
    }
}

fn read_guide(file: impl Read) -> Result<String> {
    let mut text = String::new();
    file.take(TEXT_MOST)
        .read_to_string(&mut text)
        .map_err(|error| incomplete(&format!("its `RESTORE.md` cannot be read ({error})")))?;
    Ok(text)
}

fn incomplete(what: &str) -> Error {
    Error::new(ErrorKind::Interrupted, format!("the backup is incomplete: {what}"))
        .remedy(file::USE_ANOTHER)
}
