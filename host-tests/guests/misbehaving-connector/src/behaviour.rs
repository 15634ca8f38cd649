//! The ways to go wrong.

use crate::bindings::exports::plakar::connector0_2_0::types::Error;
use crate::hoard;
use std::str::FromStr;

/// What the option `behaviour` can say.
#[derive(Clone, PartialEq)]
pub(crate) enum Behaviour {
    /// As the contract demands.
    Well,
    /// Traps in `next`, after the first record.
    TrapInNext,
    /// Traps in `read`, after the first bytes.
    TrapInRead,
    /// Loops for ever in `read`, without a call to the host.
    Spin,
    /// Loops for ever in `size`, which must not wait.
    SpinInSize,
    /// Takes memory until there is no more.
    HogMemory,
    /// Returns one byte more than was asked for.
    OversizedRead,
    /// Returns no bytes instead of an end.
    EmptyRead,
    /// Awaits acknowledgements when there are none to come.
    AwaitNothing,
    /// Two records of one id.
    DuplicateId,
    /// Two records of one pathname.
    DuplicatePath,
    /// A pathname that leads out of the root.
    UncleanPath,
    /// Fails in `read`, after the first bytes.
    ReadError,
    /// Ends a file before its announced size.
    ShortOfItsSize,
    /// Sends a GET to a URL, and returns the result as a fact.
    Reach(String),
    /// Opens a file.
    OpenFile,
    /// Reads an environment variable, and returns it as a fact.
    ReadVariable,
    /// Writes lines to standard error without end in sight.
    FloodLog,
    /// Waits in `read`, on a clock.
    Stall,
    /// Panics in `read`.
    Panic,
    /// Ends its process in `next`.
    Exit,
    /// Fails in `facts`, by a trap.
    TrapInFacts,
    /// Makes the host hold long methods and authorities, in as many requests as it can.
    HoardRequests,
    /// The same with long header fields.
    HoardFields,
    /// The same with bodies that are never sent.
    HoardBodies,
    /// Directories with long names, without end in sight.
    LongNames,
    /// States the digest of all but the last bytes of a file.
    RightDigest,
    /// States the digest of other bytes.
    WrongDigest,
    /// States a digest of more bytes than there are.
    DigestOfMore,
    /// Fails in `finish`.
    FinishError,
    /// Waits in `finish`, on a clock.
    StallInFinish,
    /// A file in the place of a directory that something lies in.
    FileForDirectory,
    /// A directory after what lies in it.
    LateDirectory,
    /// A mode with the set-user-id bit.
    SetuidMode,
    /// A file of 1969.
    OldFile,
    /// Two facts of one name.
    DuplicateFact,
}

/// Behaviours that need no argument, by name.
const NAMES: [(&str, Behaviour); 35] = [
    ("well", Behaviour::Well),
    ("trap-in-next", Behaviour::TrapInNext),
    ("trap-in-read", Behaviour::TrapInRead),
    ("spin", Behaviour::Spin),
    ("spin-in-size", Behaviour::SpinInSize),
    ("hog-memory", Behaviour::HogMemory),
    ("oversized-read", Behaviour::OversizedRead),
    ("empty-read", Behaviour::EmptyRead),
    ("await-nothing", Behaviour::AwaitNothing),
    ("duplicate-id", Behaviour::DuplicateId),
    ("duplicate-path", Behaviour::DuplicatePath),
    ("unclean-path", Behaviour::UncleanPath),
    ("read-error", Behaviour::ReadError),
    ("short-of-its-size", Behaviour::ShortOfItsSize),
    ("open-file", Behaviour::OpenFile),
    ("read-variable", Behaviour::ReadVariable),
    ("flood-log", Behaviour::FloodLog),
    ("stall", Behaviour::Stall),
    ("panic", Behaviour::Panic),
    ("exit", Behaviour::Exit),
    ("trap-in-facts", Behaviour::TrapInFacts),
    ("hoard-requests", Behaviour::HoardRequests),
    ("hoard-fields", Behaviour::HoardFields),
    ("hoard-bodies", Behaviour::HoardBodies),
    ("long-names", Behaviour::LongNames),
    ("right-digest", Behaviour::RightDigest),
    ("wrong-digest", Behaviour::WrongDigest),
    ("digest-of-more", Behaviour::DigestOfMore),
    ("finish-error", Behaviour::FinishError),
    ("stall-in-finish", Behaviour::StallInFinish),
    ("file-for-directory", Behaviour::FileForDirectory),
    ("late-directory", Behaviour::LateDirectory),
    ("setuid-mode", Behaviour::SetuidMode),
    ("old-file", Behaviour::OldFile),
    ("duplicate-fact", Behaviour::DuplicateFact),
];

impl FromStr for Behaviour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(url) = text.strip_prefix("reach=") {
            return Ok(Behaviour::Reach(url.into()));
        }
        NAMES
            .into_iter()
            .find(|(name, _)| *name == text)
            .map(|(_, behaviour)| behaviour)
            .ok_or_else(|| {
                let names = NAMES.map(|(name, _)| format!("`{name}`")).join(", ");
                format!("option `behaviour`: `{text}` is not one of {names}, `reach=URL`")
            })
    }
}

impl Behaviour {
    /// What can go wrong in any call that may wait.
    pub(crate) fn misbehave_anywhere(&self) -> Result<(), Error> {
        match self {
            Behaviour::Spin => spin(),
            Behaviour::HogMemory => hog_memory(),
            Behaviour::Stall => stall(),
            Behaviour::Panic => panic!("panicking as asked"),
            Behaviour::FloodLog => {
                for line in 0..100_000 {
                    eprintln!("line {line} of a flood");
                }
            }
            Behaviour::HoardRequests => hoard::requests(),
            Behaviour::HoardFields => hoard::fields(),
            Behaviour::HoardBodies => hoard::bodies(),
            Behaviour::OpenFile => match std::fs::read_to_string("/etc/hostname") {
                Ok(_) => return Err(Error::Other("a file could be read".into())),
                Err(error) => eprintln!("no file can be read: {error}"),
            },
            _ => {}
        }
        Ok(())
    }
}

/// Loops for ever; the hint keeps the compiler from taking the loop for nothing.
pub(crate) fn spin() -> ! {
    loop {
        std::hint::black_box(());
    }
}

/// Waits on a clock, for longer than anybody would.
pub(crate) fn stall() {
    std::thread::sleep(std::time::Duration::from_secs(3600));
}

/// Takes memory until there is no more.
fn hog_memory() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(vec![1_u8; 1 << 20]);
        std::hint::black_box(&hoard);
    }
}

/// Ends the call as a defect of the compiled code would.
pub(crate) fn trap() -> ! {
    core::arch::wasm32::unreachable()
}
