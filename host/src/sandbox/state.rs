//! What one running component has.

use super::log::{Log, Stderr};
use super::memory::Meter;
use crate::http::{Client, Hook};
use plakar_policy::grant::Grant;
use plakar_policy::limits::{CALL_BYTES, FIELDS, HANDLES};
use std::sync::Arc;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// What one running component has: its handles, and the few things granted.
pub(crate) struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hook: Hook,
    meter: Meter,
}

impl State {
    /// Creates a store for a component that is to be called by the host.
    pub(crate) fn store(
        engine: &Engine,
        grant: Grant,
        client: Client,
        log: &Arc<Log>,
    ) -> Store<Self> {
        let mut wasi = WasiCtxBuilder::new();
        wasi.stderr(Stderr(Arc::clone(log)));
        Self::store_with(engine, wasi, grant, client, log)
    }

    /// Creates a store whose standard streams, arguments and variables are as given.
    pub(super) fn store_with(
        engine: &Engine,
        mut wasi: WasiCtxBuilder,
        grant: Grant,
        client: Client,
        log: &Arc<Log>,
    ) -> Store<Self> {
        wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(FIELDS);
        let state = Self {
            table,
            wasi: wasi.build(),
            http,
            hook: Hook::new(grant, client, Arc::clone(log)),
            meter: Meter::default(),
        };
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(CALL_BYTES);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        store
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hook }
    }
}
