//! Backs web pages up, each into a file: `web://HOST`, and in `urls` one URL a line.
mod web; // one GET; nothing there is about the contract
wit_bindgen::generate!({ path: "../../wit", world: "importer-connector", generate_all });
use exports::plakar::connector::{description as about, importer as wit};
use std::cell::{Cell, OnceCell};
use wasi::io::streams::StreamError;
use web::{Body, get};
use wit::{Content, Error, ImportRecord, Timestamp};
struct Hello;
export!(Hello);
impl about::Guest for Hello {
    fn describe() -> about::Description {
        about::Description {
            name: "hello".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "web pages, each into a file".into(),
            snapshot_type: "hello".into(),
            protocols: vec![about::Protocol { name: "web".into(), tls: false, default_port: 80 }],
            options: vec![about::OptionDescription {
                name: "urls".into(),
                kind: about::OptionKind::Text,
                secret: false,
                help: "the pages, one URL a line".into(),
                default: None,
            }],
        }
    }
}
impl wit::Guest for Hello {
    type Importer = Pages;
    type ImportRun = Pages;
    type Reader = Page;
}
#[derive(Clone)]
struct Pages(Vec<String>, Cell<usize>);
#[rustfmt::skip]
impl wit::GuestImporter for Pages {
    fn open(options: wit::ImportOptions) -> Result<wit::Importer, Error> {
        let urls = options.config.iter().find(|(name, _)| name == "urls").map_or("", |urls| &urls.1);
        match urls.lines().all(|url| url.starts_with("http://")) && !urls.is_empty() {
            true => Ok(wit::Importer::new(Pages(urls.lines().map(Into::into).collect(), Cell::new(0)))),
            false => Err(Error::InvalidConfig("option `urls`: write one http:// URL a line".into())),
        }
    }
    fn origin(&self) -> String { self.0.join(" ") }
    fn ping(&self) -> Result<(), Error> { self.0.iter().try_for_each(|url| get(url).map(drop).map_err(Error::Other)) }
    fn start(&self) -> Result<wit::ImportRun, Error> { Ok(wit::ImportRun::new(self.clone())) }
}
#[rustfmt::skip]
impl wit::GuestImportRun for Pages {
    fn next(&self) -> Result<wit::Step, Error> {
        let index = self.1.replace(self.1.get() + 1);
        let Some(url) = self.0.get(index).cloned() else { return Ok(wit::Step::Finished) };
        let (id, pathname, mode) = (index as u64, url["http:/".len()..].into(), 0o600);
        let now = wasi::clocks::wall_clock::now();
        let modified = Timestamp { seconds: now.seconds as i64, nanoseconds: now.nanoseconds };
        let content = Content::File(wit::Reader::new(Page(url, OnceCell::new())));
        Ok(wit::Step::Next(ImportRecord { id, pathname, mode, modified, content }))
    }
    fn ack(&self, _: u64, _: wit::Fate) {}
    fn finish(&self) -> Result<(), Error> { Ok(()) }
    fn facts(&self) -> Vec<wit::Fact> { Vec::new() }
}
struct Page(String, OnceCell<Body>);
#[rustfmt::skip]
impl wit::GuestReader for Page {
    fn read(&self, max_bytes: u32) -> Result<Option<Vec<u8>>, Error> {
        if self.1.get().is_none() { let _ = self.1.set(get(&self.0).map_err(Error::Other)?); }
        match self.1.get().map(|(stream, _)| stream.blocking_read(max_bytes.into())) {
            Some(Ok(bytes)) => Ok(Some(bytes)),
            Some(Err(StreamError::Closed)) | None => Ok(None),
            Some(Err(_)) => Err(Error::Interrupted(format!("`{}` was cut short", self.0))),
        }
    }
    fn size(&self) -> Option<u64> { None }
    fn digest(&self) -> Option<wit::Digest> { None }
}
