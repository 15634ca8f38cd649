//! Backs up web pages, each into one file: `web://HOST`, with one URL per line in `urls`.

use plakar_connector_guest::{
    Body, Connector, Description, Error, Files, ImportOptions, OptionDescription, OptionKind,
    Protocol, get,
};

type Exports = Files<Pages>;
plakar_connector_guest::export!(Exports);

struct Pages(Vec<Page>);

/// A URL, and the path of its file.
type Page = (String, String);

/// Reads a line; `None` if it is not a URL whose path a file can have.
fn page(line: &str) -> Option<Page> {
    let place = line.strip_prefix("http://")?;
    let index = if place.ends_with('/') { "index.html" } else { "" };
    let is_clean = |path: &str| path.split('/').all(|part| !["", ".", ".."].contains(&part));
    let is_clean = place.contains('/') && is_clean(place.strip_suffix('/').unwrap_or(place));
    is_clean.then(|| (line.into(), format!("/{place}{index}")))
}

impl Connector for Pages {
    type File = Page;
    type Content = Body;

    fn describe() -> Description {
        Description {
            name: "hello".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "web pages, each into a file".into(),
            snapshot_type: "hello".into(),
            protocols: vec![Protocol { name: "web".into(), tls: false, default_port: 80 }],
            options: vec![OptionDescription {
                name: "urls".into(),
                kind: OptionKind::Text,
                secret: false,
                help: "the pages, one URL a line".into(),
                default: None,
            }],
        }
    }

    fn open(options: ImportOptions) -> Result<Self, Error> {
        let refuse = |what: String| Error::InvalidConfig(format!("option `urls`: {what}"));
        let urls = options.config.iter().find(|(name, _)| name == "urls");
        let (_, urls) = urls.ok_or_else(|| refuse("it is missing".into()))?;
        let mut pages: Vec<Page> = Vec::new();
        for line in urls.lines() {
            match page(line) {
                Some(page) if pages.iter().all(|other| other.1 != page.1) => pages.push(page),
                Some(_) => return Err(refuse(format!("`{line}` is the page of another line"))),
                None => return Err(refuse(format!("`{line}` is not http://HOST/PATH"))),
            }
        }
        Ok(Pages(pages))
    }

    fn origin(&self) -> String {
        self.0.iter().map(|(url, _)| url.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn ping(&self) -> Result<(), Error> {
        self.0.iter().try_for_each(|(url, _)| get(url).map(drop))
    }

    fn list(&self) -> Result<Vec<Page>, Error> {
        Ok(self.0.clone())
    }

    fn pathname((_, pathname): &Page) -> String {
        pathname.clone()
    }

    fn content((url, _): &Page) -> Result<Body, Error> {
        get(url)
    }
}
