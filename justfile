# The commands of the project; `./just` lists them. They need Rust with a C compiler, and Go; the tests
# need Node and openssl as well. The recipes install the rest.

set shell := ['bash', '-euo', 'pipefail', '-c']

# The tests look for the test guests here, whatever the user's own cargo settings say.
export CARGO_TARGET_DIR := justfile_directory() / 'target'

[private]
default:
    @'{{ just_executable() }}' --justfile '{{ justfile() }}' --list --unsorted

# build dist/connector.wasm and dist/plakar-wasm
build: wasm-target
    cargo build --profile connector --target wasm32-wasip2 --package plakar-etcd --lib
    cargo build --release --package plakar-wasm
    install -D -m 644 target/wasm32-wasip2/connector/plakar_etcd.wasm dist/connector.wasm
    install -D -m 755 target/release/plakar-wasm dist/plakar-wasm

# build the package for `plakar pkg add`, dist/etcd_v…_OS_ARCH.ptar
package: build schema-check
    tools/plakar
    packaging/create

# write packaging/schema.json again, after the options have changed
schema: build
    dist/plakar-wasm inspect --schema dist/connector.wasm > target/schema.json
    mv target/schema.json packaging/schema.json

[private]
schema-check:
    @dist/plakar-wasm inspect --schema dist/connector.wasm | diff packaging/schema.json - || { echo 'error: the options have changed: run `./just schema`' >&2; exit 1; }

# all that a change must pass
test: prerequisites node-packages tools lint unit host-tests demo deny

# formatting, clippy for both targets, plain words, drift of the WIT packages
lint: wasm-target wit-deps-check
    tools/words
    cargo fmt --all --check
    cargo clippy --workspace --exclude plakar-connector-guest --exclude hello-connector --exclude misbehaving-connector --all-targets -- -D warnings
    cargo clippy --package plakar-etcd --package plakar-connector-guest --package hello-connector --package misbehaving-connector --lib --target wasm32-wasip2 -- -D warnings
    CUSTOM_LIBFUZZER_PATH=target/not-linked.a cargo clippy --manifest-path fuzz/Cargo.toml --target-dir target/fuzz --locked -- -D warnings

# the unit tests and the examples in the documentation, run natively
unit:
    cargo test --package plakar-etcd --package plakar-connector --package plakar-policy --package plakar-sink
    cargo test --release --package bench --package databases --package host-tests --lib --bins
    cargo test --release --package host-tests --doc

# the behaviour tests: the built component in the sandbox against real etcd
host-tests *arguments: prerequisites node-packages tools build test-guests
    cargo test --release --package host-tests {{ arguments }}

# build what the behaviour tests run beside the connector and the host
test-guests: wasm-target
    cargo build --release --package plakar-wasm --example embed
    cargo build --profile connector --target wasm32-wasip2 --package hello-connector --package misbehaving-connector

# a complete backup and restore, step by step
demo: build
    tools/etcd newest
    tools/plakar
    cargo run --release --package host-tests --example demo

# measure time, processor, memory and harm beside the peers; `just bench --help`
bench *arguments: tools build
    cargo run --release --package bench -- {{ arguments }}

# feed the page reader with what libFuzzer finds, for this number of seconds; needs a C++ compiler
fuzz seconds='60':
    mkdir -p target/fuzz/seeds target/fuzz/corpus
    cargo run --manifest-path fuzz/Cargo.toml --target-dir target/fuzz --bin seeds target/fuzz/seeds
    @# With a target, the flags are not those of build scripts and macros.
    RUSTFLAGS='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1' \
        cargo run --manifest-path fuzz/Cargo.toml --target-dir target/fuzz --release --bin pages --target "$(rustc --print host-tuple)" -- \
        -max_total_time={{ seconds }} -max_len=65536 -timeout=5 -rss_limit_mb=512 -artifact_prefix=target/fuzz/ target/fuzz/corpus target/fuzz/seeds

# licences, banned crates and sources of the dependencies
deny:
    tools/cargo-deny --workspace check --hide-inclusion-graph licenses bans sources

# known vulnerabilities in the dependencies; downloads the advisory database of RustSec
advisories:
    tools/cargo-deny --workspace check advisories

# compare wit/deps with the files of the `wasip2` crate in use
wit-deps-check:
    @manifest=$(cargo metadata --locked --format-version 1 | grep -o '"manifest_path":"[^"]*/wasip2-[^"/]*/Cargo.toml"' | cut -d'"' -f4); \
        diff --recursive --brief --exclude README.md "${manifest%/Cargo.toml}/wit/deps" wit/deps

# install all that the tests use (etcd, plakar, Kubernetes, wasmtime, cargo-deny) into a cache in the home folder
tools: wasm-target
    tools/etcd
    tools/plakar
    tools/kubernetes
    tools/wasmtime
    tools/cargo-deny --version

[private]
prerequisites:
    @tools/prerequisites

[private]
node-packages:
    tools/node-packages

[private]
wasm-target:
    tools/wasm-target

# remove what was built; the tools stay
clean:
    cargo clean
    rm -rf dist
