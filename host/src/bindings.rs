//! The contract's exports as Rust sees them, generated from the WIT.

#![allow(missing_docs, unreachable_pub, reason = "generated")]

// The interfaces use no WASI type, so the exports alone are enough; the linker decides what
// a component may import.
wasmtime::component::bindgen!({
    path: "../wit",
    inline: "
        package plakar:wasm-host;
        world connector {
            export plakar:connector/description@0.2.0;
            export plakar:connector/importer@0.2.0;
        }
    ",
    world: "plakar:wasm-host/connector",
    exports: { default: async },
});

pub use exports::plakar::connector::{description, importer};
pub use plakar::connector::types;
