//! Signatures, in both directions: Standard Webhooks 1.0, symmetric (`v1`).
//!
//! The signed bytes are `{webhook-id}.{webhook-timestamp}.{body}`, the signature is `v1,` and the HMAC-SHA256 in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;
use time::{Duration, OffsetDateTime};
use transom_channel::{VerifyError, WebhookCall};

pub(crate) const ID: &str = "webhook-id";
pub(crate) const TIMESTAMP: &str = "webhook-timestamp";
pub(crate) const SIGNATURE: &str = "webhook-signature";

/// How far the signed time may be from ours, either way.
const TOLERANCE: Duration = Duration::minutes(5);

/// One key.
pub(crate) struct Key(SecretBox<[u8]>);

impl Key {
    /// Reads `whsec_` and 24 to 64 bytes in base64.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text.trim().strip_prefix("whsec_")?).ok()?;
        (24..=64).contains(&bytes.len()).then(|| Self(SecretBox::new(bytes.into_boxed_slice())))
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
        let mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).ok()?;
        Some(mac.chain_update(id).chain_update(".").chain_update(timestamp).chain_update(".").chain_update(body))
    }

    /// The header's value.
    pub(crate) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mac = self.mac(id, &timestamp.to_string(), body);
        format!("v1,{}", mac.map(|mac| BASE64.encode(mac.finalize().into_bytes())).unwrap_or_default())
    }
}

/// Checks a call against any of the keys. Several signatures stand behind each other with a blank between them while a key is
/// changed; those of other versions are left out.
pub(crate) fn verify(keys: &[Key], call: &WebhookCall<'_>) -> Result<(), VerifyError> {
    let (id, timestamp) = (one(call, ID)?, one(call, TIMESTAMP)?);
    let proofs = one(call, SIGNATURE)?;
    let signed_at = timestamp.parse::<i64>().ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    let signed_at = signed_at.ok_or(VerifyError::Wrong)?;
    let decoded = proofs.split(' ').filter_map(|proof| BASE64.decode(proof.strip_prefix("v1,")?).ok());
    let mut genuine = false;
    for proof in decoded {
        for key in keys {
            let mac = key.mac(id, timestamp, call.body);
            genuine |= mac.is_some_and(|mac| mac.verify_slice(&proof).is_ok());
        }
    }
    match genuine {
        false => Err(VerifyError::Wrong),
        true if (signed_at - call.received_at).abs() > TOLERANCE => Err(VerifyError::Stale),
        true => Ok(()),
    }
}

/// The one header of that name.
fn one<'c>(call: &WebhookCall<'c>, name: &str) -> Result<&'c str, VerifyError> {
    let mut values = call.headers.get_all(name).iter();
    let value = values.next().and_then(|value| value.to_str().ok()).map(str::trim).unwrap_or_default();
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
    use rstest::rstest;

    /// The example of the specification's libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const MESSAGE: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNED_AT: i64 = 1_614_265_330;
    const PROOF: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn checked(proof: &str, late: i64) -> Result<(), VerifyError> {
        let mut headers = HeaderMap::new();
        headers.insert(ID, MESSAGE.parse().unwrap());
        headers.insert(TIMESTAMP, SIGNED_AT.to_string().parse().unwrap());
        headers.insert(SIGNATURE, proof.parse().unwrap());
        let (method, url, body) = (Method::POST, "https://x.example/".parse().unwrap(), BODY.into());
        let received_at = OffsetDateTime::from_unix_timestamp(SIGNED_AT + late).unwrap();
        let call = WebhookCall { method: &method, url: &url, headers: &headers, body: &body, received_at };
        verify(&[Key::read(SECRET).unwrap()], &call)
    }

    #[test]
    fn we_sign_as_the_specification_does() {
        assert_eq!(Key::read(SECRET).unwrap().sign(MESSAGE, SIGNED_AT, BODY), PROOF);
    }

    #[rstest]
    #[case(PROOF, 0, Ok(()))]
    #[case(PROOF, 300, Ok(()))]
    #[case(PROOF, 301, Err(VerifyError::Stale))]
    #[case(PROOF, -301, Err(VerifyError::Stale))]
    #[case(&format!("v1,AAAA v2,xyz {PROOF}"), 0, Ok(()))]
    #[case("v1,AAAA", 0, Err(VerifyError::Wrong))]
    #[case(&PROOF.replace("v1", "v2"), 0, Err(VerifyError::Wrong))]
    #[case(&PROOF[3..], 0, Err(VerifyError::Wrong))]
    #[case("", 0, Err(VerifyError::Missing))]
    fn only_a_right_and_fresh_proof_passes(
        #[case] proof: &str,
        #[case] late: i64,
        #[case] expected: Result<(), VerifyError>,
    ) {
        assert_eq!(checked(proof, late), expected);
    }

    #[rstest]
    #[case("")]
    #[case("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    #[case("whsec_short")]
    #[case("whsec_AAAA")]
    fn a_weak_secret_is_none(#[case] text: &str) {
        assert!(Key::read(text).is_none());
    }
}
