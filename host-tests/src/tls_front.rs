//! What ends TLS in front of a member, as nginx or haproxy does, and agrees on the
//! protocols (ALPN) that a test chooses.

use crate::certs::Identity;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion};

/// A running front on a port of 127.0.0.1. It ends with its value.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TlsFront {
    /// In front of the endpoint `HOST:PORT`, which speaks in the clear. Without any
    /// `protocols` nothing is agreed upon. The key need not be the certificate's.
    pub fn start(server: &Identity, endpoint: String, protocols: &[&str]) -> TlsFront {
        TlsFront::start_with(&[&TLS13, &TLS12], server, endpoint, protocols)
    }

    /// The same with TLS 1.2 and nothing newer.
    pub fn start_old(server: &Identity, endpoint: String, protocols: &[&str]) -> TlsFront {
        TlsFront::start_with(&[&TLS12], server, endpoint, protocols)
    }

    fn start_with(
        versions: &[&'static SupportedProtocolVersion],
        server: &Identity,
        endpoint: String,
        protocols: &[&str],
    ) -> TlsFront {
        let provider = aws_lc_rs::default_provider();
        let chain = CertificateDer::pem_file_iter(&server.cert).expect("a file");
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
        let key = PrivateKeyDer::from_pem_file(&server.key).expect("a key");
        let key = provider.key_provider.load_private_key(key).expect("a usable key");
        let shown = SingleCertAndKey::from(CertifiedKey::new(chain, key));
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(shown));
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));

        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it is bound");
        listener.set_nonblocking(true).expect("a socket");
        let (end, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let runtime = runtime.expect("a runtime");
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a socket");
                tokio::select! {
                    _ = ended => {}
                    () = serve(&listener, &acceptor, &endpoint) => {}
                }
            });
        });
        TlsFront { address, end: Some(end), thread: Some(thread) }
    }

    /// `HOST:PORT`.
    pub fn endpoint(&self) -> String {
        self.address.to_string()
    }

    /// What to give to the connector.
    pub fn location(&self) -> String {
        format!("etcd+https://{}", self.endpoint())
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: &TcpListener, acceptor: &TlsAcceptor, endpoint: &str) {
    loop {
        let (client, _) = listener.accept().await.expect("a connection can be taken");
        let (acceptor, endpoint) = (acceptor.clone(), endpoint.to_owned());
        tokio::spawn(async move {
            // Either side may leave whenever it likes.
            let mut client = acceptor.accept(client).await?;
            let mut member = TcpStream::connect(endpoint).await?;
            copy_bidirectional(&mut client, &mut member).await
        });
    }
}
