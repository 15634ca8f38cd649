//! The adapters: the exports of the component, and its use of WASI.
//!
//! | module | what it adapts |
//! | --- | --- |
//! | [`description`] | the export `plakar:connector/description`, over [`crate::options`] |
//! | [`importer`] | the export `plakar:connector/importer`, over [`crate::import`] |
//! | [`cli`] | the export `wasi:cli/run`, over [`crate::command`] |
//! | [`http`] | [`crate::net::Network`], over `wasi:http` |
//! | [`stdout`] | a writer over `wasi:cli/stdout` that does not wait forever |
//!
//! No decisions are made here. The bindings for WASI's imports are those of the
//! crate `wasip2`; those for the exports are generated from `wit/`.

mod cli;
mod description;
mod http;
mod importer;
mod stdout;

use std::fmt::Display;
use std::io::Write as _;

/// Writes a line for people to standard error. That nobody can read it is not an error.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

mod bindings {
    #![allow(missing_docs, unreachable_pub)]
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package plakar:etcd;
            world component {
                export plakar:connector/types@0.2.0;
                export plakar:connector/description@0.2.0;
                export plakar:connector/importer@0.2.0;
                export wasi:cli/run@0.2.12;
            }
        ",
        world: "plakar:etcd/component",
    });
    use super::importer::Component;
    export!(Component);
}
