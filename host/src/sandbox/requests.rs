//! Bounds the parts of a request that a component may choose freely.
//!
//! The names of headers and paths are bounded by the libraries. A method and an authority
//! are kept at any length, in as many requests as there are handles.

use super::State;
use plakar_policy::limits::NAME;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::{HostOutgoingRequest, Method};
use wasmtime_wasi_http::p2::types::HostOutgoingRequest as Outgoing;

/// The interface as the linker knows it.
const TYPES: &str = "wasi:http/types@0.2.12";

/// Refuses, as malformed, what is longer than any server would accept.
pub(super) fn bound(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store: StoreContextMut<'_, State>, (request, method): (Resource<Outgoing>, Method)| {
            if matches!(&method, Method::Other(name) if name.len() > NAME) {
                return Ok((Err(()),));
            }
            Ok((store.data_mut().http().set_method(request, method)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: StoreContextMut<'_, State>,
         (request, authority): (Resource<Outgoing>, Option<String>)| {
            if authority.as_ref().is_some_and(|authority| authority.len() > NAME) {
                return Ok((Err(()),));
            }
            Ok((store.data_mut().http().set_authority(request, authority)?,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}
