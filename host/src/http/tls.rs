//! The TLS client.

use super::cause;
use plakar_connector::text::escaped;
use plakar_policy::Error;
use plakar_policy::tls::{Tls, Trust, Verifier, explain, provider};
use rustls::pki_types::UnixTime;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::ErrorKind;
use std::sync::Arc;

pub(super) use plakar_policy::tls::{MARK, cut};

/// Returns the configuration for these connections; if none is over TLS, one that trusts no
/// server.
pub(super) fn config(tls: Option<&Tls>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::unsupported(format!("TLS cannot be set up: {error}")))?;
    let Some(tls) = tls else {
        return Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    };
    let trust = match (tls.verify, &tls.trust) {
        (false, _) => None,
        (true, Some(trust)) => Some(trust.clone()),
        (true, None) => Some(of_this_machine()?),
    };
    let verifier = Arc::new(Verifier::new(trust, provider));
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    Ok(match &tls.certificate {
        None => builder.with_no_client_auth(),
        Some(certified) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified.clone())))
        }
    })
}

/// Returns the authorities that this machine's administrator trusts, as other programs use
/// them.
fn of_this_machine() -> Result<Trust, Error> {
    let found = rustls_native_certs::load_native_certs();
    // Files of others in a directory need not be readable, but a file that was named must
    // be.
    if let Some(file) = std::env::var_os(NAMED)
        && let Some(reason) = found.errors.iter().find_map(|error| match &error.kind {
            ErrorKind::Io { inner, path } if path.as_os_str() == file => Some(inner),
            _ => None,
        })
    {
        let file = file.to_string_lossy();
        return Err(Error::invalid(format!(
            "variable `{NAMED}`: file `{}` cannot be read: {reason}",
            escaped(&file, 512)
        )));
    }
    Trust::of_machine(found.certs, UnixTime::now()).ok_or_else(|| {
        Error::invalid("this machine has no trusted certificates")
            .remedy("set `tls_ca_file` to the server's authority")
    })
}

/// The variable that names the file of certificates to trust, as for OpenSSL and Go.
const NAMED: &str = "SSL_CERT_FILE";

/// Returns what went wrong with TLS and what to do about it; `None` if it was not TLS.
pub(super) fn explain_failure(
    error: &(dyn std::error::Error + 'static),
    http2: bool,
) -> Option<String> {
    let error: &rustls::Error = cause::find(error)?;
    tracing::debug!("TLS failed: {error}");
    Some(explain(error, http2).to_string())
}
