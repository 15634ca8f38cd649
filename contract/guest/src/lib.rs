//! The exports of a connector whose source is a list of files.
//!
//! Implement [`Connector`] and write `plakar_connector_guest::export!(Exports)`, where
//! `type Exports = plakar_connector_guest::Files<TheConnector>`. A connector that needs
//! more of the contract, such as records that depend on acknowledgements, itself
//! implements the traits that wit-bindgen generates from `wit/`.

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "importer-connector",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "plakar_connector_guest",
    });
}
mod web;

pub use bindings::exports::plakar::connector::types::DigestAlgorithm;
use bindings::exports::plakar::connector::{description, importer as wit};
pub use bindings::*;
pub use description::{Description, OptionDescription, OptionKind, Protocol};
use std::cell::{Cell, OnceCell};
use std::marker::PhantomData;
pub use web::{Body, get};
pub use wit::{Digest, Error, Fact, ImportOptions, Timestamp};

/// A source that is a list of files.
pub trait Connector: Sized + 'static {
    /// What identifies a file, such as its URL.
    type File: Clone + 'static;
    /// The bytes of a file that is being read.
    type Content: Content;

    /// Describes this connector; the same each time.
    fn describe() -> Description;
    /// Checks all that can be checked without contacting anything.
    fn open(options: ImportOptions) -> Result<Self, Error>;
    /// Names what is backed up, for people; contains no secret.
    fn origin(&self) -> String;
    /// Contacts the source, and checks that a backup could start now.
    fn ping(&self) -> Result<(), Error>;
    /// The files, in the order in which they are stored.
    fn list(&self) -> Result<Vec<Self::File>, Error>;
    /// The absolute and clean path of a file.
    fn pathname(file: &Self::File) -> String;
    /// Called at the first read of a file. A run that stores nothing never reads.
    fn content(file: &Self::File) -> Result<Self::Content, Error>;
}

/// The bytes of a file.
pub trait Content: 'static {
    /// Reads the next bytes, at most this many; `None` when the content is complete.
    fn read(&self, max_bytes: u32) -> Result<Option<Vec<u8>>, Error>;
    /// The digest that the bytes must have, if the source states it and the host lists
    /// the algorithm.
    fn digest(&self) -> Option<Digest> {
        None
    }
}

/// All exports of the connector `C`.
pub struct Files<C>(PhantomData<C>);

impl<C: Connector> description::Guest for Files<C> {
    fn describe() -> Description {
        C::describe()
    }
}

impl<C: Connector> wit::Guest for Files<C> {
    type Importer = Importer<C>;
    type ImportRun = Run<C>;
    type Reader = Reader<C>;
}

/// An opened connector.
pub struct Importer<C>(C);

impl<C: Connector> wit::GuestImporter for Importer<C> {
    fn open(options: ImportOptions) -> Result<wit::Importer, Error> {
        C::open(options).map(|connector| wit::Importer::new(Importer(connector)))
    }
    fn origin(&self) -> String {
        self.0.origin()
    }
    fn ping(&self) -> Result<(), Error> {
        self.0.ping()
    }
    fn start(&self) -> Result<wit::ImportRun, Error> {
        Ok(wit::ImportRun::new(Run::<C>(self.0.list()?, Cell::new(0))))
    }
}

/// The files, and how many of them were returned.
pub struct Run<C: Connector>(Vec<C::File>, Cell<usize>);

impl<C: Connector> wit::GuestImportRun for Run<C> {
    fn next(&self) -> Result<wit::Step, Error> {
        let index = self.1.replace(self.1.get() + 1);
        let Some(file) = self.0.get(index) else { return Ok(wit::Step::Finished) };
        let now = wasi::clocks::wall_clock::now();
        Ok(wit::Step::Next(wit::ImportRecord {
            id: index as u64,
            pathname: C::pathname(file),
            mode: 0o600,
            // The present, so that no store considers a file unchanged.
            modified: Timestamp { seconds: now.seconds as i64, nanoseconds: now.nanoseconds },
            content: wit::Content::File(wit::Reader::new(Reader::<C>(
                file.clone(),
                OnceCell::new(),
            ))),
        }))
    }
    fn ack(&self, _: u64, _: wit::Fate) {}
    fn finish(&self) -> Result<(), Error> {
        Ok(())
    }
    fn facts(&self) -> Vec<Fact> {
        Vec::new()
    }
}

/// A file, and its content from the first read on.
pub struct Reader<C: Connector>(C::File, OnceCell<C::Content>);

impl<C: Connector> wit::GuestReader for Reader<C> {
    fn read(&self, max_bytes: u32) -> Result<Option<Vec<u8>>, Error> {
        match self.1.get() {
            Some(content) => content.read(max_bytes),
            None => {
                let content = C::content(&self.0)?;
                self.1.get_or_init(|| content).read(max_bytes)
            }
        }
    }
    fn size(&self) -> Option<u64> {
        None
    }
    fn digest(&self) -> Option<Digest> {
        self.1.get()?.digest()
    }
}
