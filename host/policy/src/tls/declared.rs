//! The options `tls_*`, described as a connector describes its own.

use crate::{OptionDescription, OptionKind};

pub(super) const CA: &str = "tls_ca";
pub(super) const CERT: &str = "tls_cert";
pub(super) const PRIVATE_KEY: &str = "tls_private_key";
pub(super) const SERVER_NAME: &str = "tls_server_name";
pub(super) const SKIP_VERIFY: &str = "tls_insecure_skip_verify";

/// The options whose value is PEM, and may be in a file.
pub(crate) const PEM: [&str; 3] = [CA, CERT, PRIVATE_KEY];

/// Returns all of them.
pub fn options() -> [OptionDescription; 5] {
    let option = |name: &str, kind, help: &str| OptionDescription {
        name: name.into(),
        kind,
        secret: name == PRIVATE_KEY,
        help: help.into(),
        default: None,
    };
    [
        option(
            CA,
            OptionKind::Text,
            "certificates of the authorities to trust, in PEM, instead of this machine's",
        ),
        option(
            CERT,
            OptionKind::Text,
            "certificate to show to the server, in PEM, with its intermediates",
        ),
        option(PRIVATE_KEY, OptionKind::Text, "private key of `tls_cert`, in PEM"),
        option(
            SERVER_NAME,
            OptionKind::Text,
            "name expected in the server's certificate, instead of the endpoint's host",
        ),
        OptionDescription {
            default: Some("false".into()),
            ..option(
                SKIP_VERIFY,
                OptionKind::Boolean,
                "skip verification of the server's certificate; warns on every run",
            )
        },
    ]
}
