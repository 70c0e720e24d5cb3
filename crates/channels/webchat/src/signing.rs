//! The proof on what visitors do (webchat.md 6): `v1=` and the HMAC-SHA256 of `timestamp.body` in hexadecimal digits.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use time::{Duration, OffsetDateTime};
use transom_channel::{VerifyError, WebhookCall};

pub(crate) const TIMESTAMP: &str = "x-chat-timestamp";
pub(crate) const SIGNATURE: &str = "x-chat-signature";

/// How far the signed time may be from ours, either way.
const TOLERANCE: Duration = Duration::minutes(5);

fn mac(secret: &SecretString, timestamp: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    Some(mac.chain_update(timestamp).chain_update(".").chain_update(body))
}

/// The header's value.
#[cfg(feature = "server")]
pub(crate) fn sign(secret: &SecretString, timestamp: i64, body: &[u8]) -> String {
    let mac = mac(secret, &timestamp.to_string(), body);
    format!("v1={}", mac.map(|mac| hex::encode(mac.finalize().into_bytes())).unwrap_or_default())
}

/// Checks a call against any of the secrets.
pub(crate) fn verify(secrets: &[SecretString], call: &WebhookCall<'_>) -> Result<(), VerifyError> {
    if secrets.is_empty() {
        return Err(VerifyError::NoSecret);
    }
    let (timestamp, proof) = (one(call, TIMESTAMP)?, one(call, SIGNATURE)?);
    let signed_at = timestamp.parse::<i64>().ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    let signed_at = signed_at.ok_or(VerifyError::Wrong)?;
    let digits = proof.strip_prefix("v1=").filter(|digits| !digits.bytes().any(|byte| byte.is_ascii_uppercase()));
    let proof = digits.and_then(|digits| hex::decode(digits).ok()).ok_or(VerifyError::Wrong)?;
    let genuine = secrets.iter().fold(false, |genuine, secret| {
        genuine | mac(secret, timestamp, call.body).is_some_and(|mac| mac.verify_slice(&proof).is_ok())
    });
    match genuine {
        false => Err(VerifyError::Wrong),
        true if (signed_at - call.received_at).abs() > TOLERANCE => Err(VerifyError::Stale),
        true => Ok(()),
    }
}

/// The one header of that name.
fn one<'c>(call: &WebhookCall<'c>, name: &str) -> Result<&'c str, VerifyError> {
    let mut values = call.headers.get_all(name).iter();
    let value = values.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    match values.next() {
        Some(_) => Err(VerifyError::Wrong),
        None if value.is_empty() => Err(VerifyError::Missing),
        None => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, Method};

    fn checked(proof: &str, timestamp: i64, late: i64) -> Result<(), VerifyError> {
        // The sheet's vector of this scheme.
        let body = br#"{"event":"message_created","id":1}"#;
        let headers = HeaderMap::from_iter([
            (http::HeaderName::from_static(TIMESTAMP), timestamp.to_string().parse().unwrap()),
            (http::HeaderName::from_static(SIGNATURE), proof.parse().unwrap()),
        ]);
        let call = WebhookCall {
            method: &Method::POST,
            url: &"https://hooks.example/webhooks/1".parse().unwrap(),
            headers: &headers,
            body: &body.as_slice().into(),
            received_at: OffsetDateTime::from_unix_timestamp(1_760_000_000 + late).unwrap(),
        };
        verify(&["another-secret".into(), "cwsecret".into()], &call)
    }

    const PROOF: &str = "v1=aeea03b1dcbf64f4e912254a3ecbd30f04b3bb7e7885cca36afebdc1c7f40de2";

    #[test]
    fn the_sheets_vector_holds_for_five_minutes() {
        assert_eq!(checked(PROOF, 1_760_000_000, 0), Ok(()));
        assert_eq!(checked(PROOF, 1_760_000_000, 300), Ok(()));
        assert_eq!(checked(PROOF, 1_760_000_000, 301), Err(VerifyError::Stale));
        assert_eq!(checked(PROOF, 1_760_000_001, 0), Err(VerifyError::Wrong));
        assert_eq!(checked(&PROOF.replace("v1=", ""), 1_760_000_000, 0), Err(VerifyError::Wrong));
        assert_eq!(checked(&PROOF.replace('a', "A"), 1_760_000_000, 0), Err(VerifyError::Wrong));
    }
}
