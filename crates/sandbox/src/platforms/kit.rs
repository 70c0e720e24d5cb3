//! What several platforms do alike.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::Sha256;

use crate::Problem;
use crate::chats::{ChatKey, Progress};
use crate::world::{Receipts, World};

/// Settings with the changes that an object names; unknown names are refused where the type refuses them.
pub(crate) fn merged<T: Serialize + DeserializeOwned>(base: &T, changes: &Value) -> Result<T, Problem> {
    let mut whole = serde_json::to_value(base).map_err(|error| Problem::invalid(error.to_string()))?;
    let Value::Object(changes) = changes else { return Err(Problem::invalid("settings is an object")) };
    if let Value::Object(whole) = &mut whole {
        whole.extend(changes.clone());
    }
    serde_json::from_value(whole).map_err(|error| Problem::invalid(format!("settings: {error}")))
}

/// Where receipts come by themselves: each of these steps of a message in its time.
pub(crate) fn in_time(
    world: &mut World,
    key: &ChatKey,
    message: &str,
    steps: &[Progress],
    moves: impl Fn(&mut World, &ChatKey, &str, Progress) + Clone + Send + 'static,
) {
    let Ok(Receipts::Auto(pauses)) = world.account(&key.account).map(|account| account.receipts) else { return };
    for progress in steps.iter().copied() {
        let pause = match progress {
            Progress::Sent => Some(pauses.sent_ms),
            Progress::Delivered => Some(pauses.delivered_ms),
            Progress::Read => pauses.read_ms,
            Progress::Accepted | Progress::Played | Progress::Failed => None,
        };
        let Some(pause) = pause else { continue };
        let (key, message, moves) = (key.clone(), message.to_owned(), moves.clone());
        world.later(Duration::from_millis(pause), move |world| moves(world, &key, &message, progress));
    }
}

/// HMAC-SHA256 of the raw body: the bytes that most platforms sign a webhook with.
pub(crate) fn hmac_sha256(secret: &[u8], body: &[u8]) -> Vec<u8> {
    match Hmac::<Sha256>::new_from_slice(secret) {
        Ok(mut mac) => {
            mac.update(body);
            mac.finalize().into_bytes().to_vec()
        }
        Err(_) => unreachable!("HMAC takes keys of any length"),
    }
}

/// Meta's `X-Hub-Signature-256`, keyed by the app secret.
pub(crate) fn hub_signature(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(hmac_sha256(secret.as_bytes(), body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_metas() {
        let body = br#"{"object":"whatsapp_business_account","entry":[]}"#;
        let expected = "sha256=6c7d563c694361f705fbaae1cc200fe77ac07b50943250a6931917db3ee09a78";
        assert_eq!(hub_signature("test-app-secret-0001", body), expected);
    }

    #[derive(serde::Deserialize)]
    struct Vector {
        id: String,
        app_secret: String,
        body: String,
        signature: String,
    }

    /// Requests that the platform's best-known SDKs accept.
    #[test]
    fn the_signature_is_what_the_sdks_accept() {
        let vectors: Vec<Vector> =
            serde_json::from_str(include_str!("../../tests/fixtures/whatsapp_signatures.json")).unwrap();
        assert!(vectors.len() > 5);
        for vector in vectors {
            let body = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &vector.body).unwrap();
            let signature = hub_signature(&vector.app_secret, &body);
            assert_eq!(signature, format!("sha256={}", vector.signature), "{}", vector.id);
        }
    }
}
