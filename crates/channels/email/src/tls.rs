//! TLS for SMTP and IMAP: rustls with ring, certificate and host name always checked, TLS 1.2 or newer (RFC 8314).

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    /// TLS from the first byte (ports 465 and 993).
    Tls,
    /// TLS by `STARTTLS`, or no connection at all (ports 587 and 143).
    StartTls,
    /// None, on this machine only.
    Plain,
}

/// What connections of an account are protected with. Made at the first one: the system's certificates take a while to read.
pub(crate) struct Tls {
    extra: Vec<CertificateDer<'static>>,
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("extra_certificates", &self.extra.len()).finish_non_exhaustive()
    }
}

impl Tls {
    /// The system's certificates, and these beside them.
    pub(crate) fn new(extra: Vec<CertificateDer<'static>>) -> Self {
        Self { extra, config: OnceLock::new() }
    }

    /// Protects a connection to `host`.
    ///
    /// # Errors
    /// What went wrong, without addresses.
    pub(crate) async fn protect(&self, tcp: TcpStream, host: &str) -> Result<TlsStream<TcpStream>, String> {
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| "no host name to check a certificate by".to_owned())?;
        let config = self.config.get_or_init(|| client_config(&self.extra)).clone()?;
        TlsConnector::from(config).connect(name, tcp).await.map_err(|error| format!("TLS failed: {}", why(&error)))
    }
}

/// Certificates in PEM.
///
/// # Errors
/// When there is none, or one of them can't be read.
pub(crate) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err("one or more certificates in PEM are expected"),
    }
}

fn client_config(extra: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, String> {
    static COMMON: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    match extra {
        [] => COMMON.get_or_init(|| built(&[])).clone(),
        extra => built(extra),
    }
}

fn built(extra: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, String> {
    let unusable = |error: rustls::Error| format!("no TLS: {error}");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(extra.iter().cloned(), provider.clone()).map_err(unusable)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The reason by kind: a certificate's own text may hold names.
fn why(error: &std::io::Error) -> &'static str {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(reason)) => match reason {
            rustls::CertificateError::UnknownIssuer => "the certificate's issuer is not trusted",
            rustls::CertificateError::Expired | rustls::CertificateError::ExpiredContext { .. } => {
                "the certificate has expired"
            }
            rustls::CertificateError::NotValidForName | rustls::CertificateError::NotValidForNameContext { .. } => {
                "the certificate is for another host"
            }
            _ => "the certificate is not valid",
        },
        Some(_) => "the server speaks no TLS that we accept",
        None => "the connection broke",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certificates_are_read() {
        for wrong in ["", "nothing", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----"] {
            assert!(certificates(wrong).is_err(), "{wrong}");
        }
        let good = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        assert_eq!(certificates(&good.repeat(2)).unwrap().len(), 2);
    }
}
