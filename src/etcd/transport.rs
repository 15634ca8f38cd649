//! The two ways to carry a call, behind one interface.
//!
//! Both decode responses into the same [`messages`](super::messages), and
//! refusals into the same [`Refusal`](super::refusal::Refusal).

use super::call::{Call, CallError, Message, Opening, Transport};
use super::messages::UnaryResponse;
use super::{gateway, grpc};
use crate::error::{Error, Result};
use crate::net::{Head, Request, Response, Timeouts, Trailers};
use plakar_connector::{Authority, ErrorKind};

impl Transport {
    /// The request for a call.
    pub fn request(
        self,
        endpoint: &Authority,
        call: Call<'_>,
        token: Option<&str>,
        timeouts: Timeouts,
    ) -> Request {
        let (path, mut headers, body) = match self {
            Transport::Grpc => grpc::request(call, token),
            Transport::Gateway => gateway::request(call, token),
        };
        headers.extend(call.timeout().map(|timeout| ("grpc-timeout", timeout)));
        Request { endpoint: endpoint.clone(), path, headers, body: Some(body), timeouts }
    }

    /// Reads a unary call's response.
    pub fn unary<T: UnaryResponse>(self, response: &Response) -> std::result::Result<T, CallError> {
        let message: T = match self {
            Transport::Grpc => grpc::unary(response),
            Transport::Gateway => gateway::unary(response),
        }?;
        message.bounded().map_err(|reason| {
            CallError::Unreadable(
                Error::new(ErrorKind::Corrupt, format!("the response is out of bounds: {reason}"))
                    .remedy("check that this is etcd, without a proxy in between"),
            )
        })
    }

    /// Reads the head of the snapshot's response.
    pub fn opening(self, head: &Head) -> Result<Opening> {
        match self {
            Transport::Grpc => grpc::opening(head).map_err(CallError::into_error),
            Transport::Gateway => {
                Ok(if gateway::succeeded(head)? { Opening::Stream } else { Opening::Explained })
            }
        }
    }

    /// Returns a decoder of the snapshot's stream.
    pub fn decoder(self) -> Decoder {
        match self {
            Transport::Grpc => Decoder::Grpc(grpc::Decoder::default()),
            Transport::Gateway => Decoder::Gateway(gateway::Decoder::default()),
        }
    }
}

/// Decodes the body of the snapshot's stream, for either transport.
#[derive(Debug)]
pub enum Decoder {
    /// Frames of protobuf messages.
    Grpc(grpc::Decoder),
    /// JSON values.
    Gateway(gateway::Decoder),
}

impl Decoder {
    /// Takes the next bytes of the body. For each message that they complete, its
    /// blob is appended to `out` and `each` is called with the message, `out`,
    /// and where in it the blob begins.
    pub fn push(
        &mut self,
        bytes: Vec<u8>,
        out: &mut Vec<u8>,
        each: impl FnMut(Message<'_>, &mut Vec<u8>, usize) -> Result<()>,
    ) -> std::result::Result<(), CallError> {
        match self {
            Decoder::Grpc(decoder) => decoder.push(bytes, out, each),
            Decoder::Gateway(decoder) => decoder.push(&bytes, out, each),
        }
    }

    /// Checks that the body ended where a stream may end, and that the call succeeded.
    pub fn finish(&self, trailers: &Trailers) -> std::result::Result<(), CallError> {
        match self {
            Decoder::Grpc(decoder) => decoder.finish(trailers),
            Decoder::Gateway(decoder) => decoder.finish(),
        }
    }
}
