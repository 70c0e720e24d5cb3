//! Signatures by Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`, one for each secret that counts.
//!
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use time::OffsetDateTime;
use transom_storage::EndpointSecrets;
use zeroize::Zeroizing;

/// The headers of one attempt; `None` for a secret that is none, which the storage never gives.
pub(super) fn headers(id: &str, at: OffsetDateTime, body: &[u8], secrets: &EndpointSecrets) -> Option<HeaderMap> {
    let timestamp = at.unix_timestamp().to_string();
    let sign = |secret| signature(secret, id, &timestamp, body);
    let mut signatures = sign(&secrets.current)?;
    if let Some(old) = &secrets.old {
        signatures = format!("{signatures} {}", sign(old)?);
    }
    let mut headers = HeaderMap::new();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in [("webhook-id", id), ("webhook-timestamp", &timestamp), ("webhook-signature", &signatures)] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).ok()?);
    }
    Some(headers)
}

fn signature(secret: &SecretString, id: &str, timestamp: &str, body: &[u8]) -> Option<String> {
    let key = Zeroizing::new(STANDARD.decode(secret.expose_secret().strip_prefix("whsec_")?).ok()?);
    let mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    let mac = mac.chain_update(id).chain_update(b".").chain_update(timestamp).chain_update(b".").chain_update(body);
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    /// The example that the libraries of Standard Webhooks test themselves with.
    #[test]
    fn the_published_example_comes_out() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let secrets = EndpointSecrets { current: secret.clone(), old: Some(secret) };
        let at = OffsetDateTime::from_unix_timestamp(1_614_265_330).unwrap();
        let signed = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#, &secrets).unwrap();
        let one = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signed["webhook-signature"], format!("{one} {one}"));
        assert_eq!(signed["webhook-timestamp"], "1614265330");
    }

    #[test]
    fn what_is_no_secret_signs_nothing() {
        for wrong in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_***"] {
            let secrets = EndpointSecrets { current: SecretString::from(wrong), old: None };
            let signed = headers("id", datetime!(2026-11-20 12:00 UTC), b"{}", &secrets);
            assert_eq!(signed.is_some(), wrong == "whsec_", "{wrong}");
        }
    }
}
