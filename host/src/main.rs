//! `plakar-wasm`: backs up, pings and inspects connectors that are WASI
//! components, and runs their own command lines, each in a sandbox.

#![forbid(unsafe_code)]

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
