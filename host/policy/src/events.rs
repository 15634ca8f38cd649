//! What a run reports to an observer.

/// One fact about an import, as the component names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Lower case with dashes.
    pub name: String,
    /// For people; no secret.
    pub value: String,
}

/// The source of a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The component, on its standard error.
    Component,
    /// The host.
    Host,
}

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// The import is about to start.
    Started {
        /// The connector's name.
        connector: &'a str,
        /// The connector's version.
        version: &'a str,
        /// What is imported from, in the component's words.
        origin: &'a str,
    },
    /// A record begins.
    RecordBegun {
        /// Its absolute pathname.
        pathname: &'a str,
        /// Bytes it will have, if that is known already.
        size: Option<u64>,
    },
    /// A part of a record's content was handed to the store.
    Progress {
        /// Its absolute pathname.
        pathname: &'a str,
        /// Bytes so far.
        bytes: u64,
        /// Bytes it will have, if that is known.
        size: Option<u64>,
    },
    /// The store keeps a record.
    RecordStored {
        /// Its absolute pathname.
        pathname: &'a str,
        /// Bytes of content; 0 for a directory.
        bytes: u64,
    },
    /// A line for people: bounded in length and rate, without control characters.
    Warning {
        /// Its source.
        from: Speaker,
        /// Its text.
        line: &'a str,
    },
    /// What is known about the import at its end, after a success or a failure.
    Facts(&'a [Fact]),
}

/// Takes the events of a run. It is called from the run itself: an observer that blocks
/// also blocks the run.
pub trait Observer: Send + Sync {
    /// Takes one event.
    fn event(&self, event: Event<'_>);
}

/// For callers that need no events.
impl Observer for () {
    fn event(&self, _: Event<'_>) {}
}
