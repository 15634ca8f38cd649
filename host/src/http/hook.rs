//! What wasmtime calls for a component's request.

use super::Client;
use crate::sandbox::Log;
use plakar_policy::grant::Grant;
use plakar_policy::limits::BODY;
use std::sync::Arc;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// Lets granted requests through to the client.
pub(crate) struct Hook {
    grant: Grant,
    client: Client,
    log: Arc<Log>,
}

impl Hook {
    pub(crate) fn new(grant: Grant, client: Client, log: Arc<Log>) -> Self {
        Self { grant, client, log }
    }
}

/// The result of the rest of an exchange, after its response has arrived: always `Ok`,
/// because a connection's task passes its failure on to the body.
type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Hook {
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Rest,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Rest), Error>> + Send> {
        if let Err(refusal) = self.grant.allows(request.uri()) {
            self.log.host(&refusal.to_string());
            return Box::new(std::future::ready(Err(Error::HttpRequestDenied)));
        }
        let client = self.client.clone();
        Box::new(async move {
            let response = client.send(request, options.unwrap_or_default()).await?;
            Ok((response, Box::new(std::future::ready(Ok(()))) as Rest))
        })
    }
}
