//! A program that embeds the library and backs up into a directory:
//!
//! ```sh
//! cargo run --release --package plakar-wasm --example embed -- CONNECTOR LOCATION DIRECTORY
//! ```

#![forbid(unsafe_code)]

use plakar_wasm::policy::options::Options;
use plakar_wasm::{Sandbox, backup, sink::DirectorySink};
use std::path::Path;
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [component, location, directory] = arguments.as_slice() else {
        return Err("usage: embed CONNECTOR LOCATION DIRECTORY".into());
    };
    let sandbox = Sandbox::new()?;
    let connector = sandbox.connector(Path::new(component)).await?;

    let mut options = Options::default();
    options.set("max_duration", "10m");
    let plan = connector.plan(location, &options).await?;
    println!("it may reach {}", plan.grant);

    let importer = connector.open(plan, Arc::new(())).await?;
    let sink = DirectorySink::create(Path::new(directory), false)?;
    let summary = backup::run(importer, sink, &()).await?;
    println!("{} bytes in {} records", summary.bytes, summary.records);
    Ok(())
}
