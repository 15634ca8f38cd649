//! Generates the messages and the service of Plakar's plugin protocol.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(["importer.proto"], ["proto"])?;
    tonic_prost_build::configure().build_client(false).bytes(".").compile_fds(files)?;
    Ok(())
}
