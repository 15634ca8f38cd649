//! Backs up web pages, each into one file: `web://HOST`, with one URL per line in `urls`.

use plakar_connector_guest::{
    Body, Connector, Description, Error, Files, ImportOptions, OptionDescription, OptionKind,
    Protocol, get,
};

type Exports = Files<Pages>;
plakar_connector_guest::export!(Exports);

struct Pages(Vec<String>);

impl Connector for Pages {
    type File = String;
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
        let urls = options.config.iter().find(|(name, _)| name == "urls");
        let urls: Vec<String> = urls.map_or("", |(_, urls)| urls).lines().map(Into::into).collect();
        match urls.iter().all(|url| url.starts_with("http://")) && !urls.is_empty() {
            true => Ok(Pages(urls)),
            false => {
                Err(Error::InvalidConfig("option `urls`: write one http:// URL a line".into()))
            }
        }
    }

    fn origin(&self) -> String {
        self.0.join(" ")
    }

    fn ping(&self) -> Result<(), Error> {
        self.0.iter().try_for_each(|url| get(url).map(drop))
    }

    fn list(&self) -> Result<Vec<String>, Error> {
        Ok(self.0.clone())
    }

    fn pathname(url: &String) -> String {
        url["http:/".len()..].into()
    }

    fn content(url: &String) -> Result<Body, Error> {
        get(url)
    }
}
