//! Webhooks: the handshake and the signature, the same on all three platforms (whatsapp.md 4.1 and 4.2).

use http::Method;
use secrecy::{ExposeSecret, SecretString};
use transom_channel::{Answer, VerifyError, WebhookCall, signature};

/// The header of the proof; its older sister with SHA-1 proves nothing.
const SIGNATURE: &str = "x-hub-signature-256";

/// What calls are checked with. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Hub {
    app_secrets: Vec<SecretString>,
    verify_token: SecretString,
}

impl Hub {
    /// With the app's secrets, several while they are being changed, and the token of the handshake.
    pub fn new(app_secrets: Vec<SecretString>, verify_token: SecretString) -> Self {
        Self { app_secrets, verify_token }
    }

    /// Answers the handshake (GET), or checks the proof over the raw bytes (POST).
    ///
    /// # Errors
    /// [`VerifyError`] for anything that Meta did not send.
    pub fn verify(&self, call: &WebhookCall<'_>) -> Result<Answer, VerifyError> {
        match *call.method {
            Method::GET => self.handshake(call),
            Method::POST => self.check_signature(call).map(|()| Answer::accepted()),
            _ => Err(VerifyError::Unexpected("a method other than GET and POST")),
        }
    }

    fn handshake(&self, call: &WebhookCall<'_>) -> Result<Answer, VerifyError> {
        if call.query("hub.mode").as_deref() != Some("subscribe") {
            return Err(VerifyError::Unexpected("a GET without hub.mode=subscribe"));
        }
        signature::shared_token(
            [self.verify_token.expose_secret()],
            call.query("hub.verify_token").as_deref().unwrap_or_default(),
        )?;
        call.query("hub.challenge")
            .map(Answer::handshake)
            .ok_or(VerifyError::Unexpected("a handshake without a challenge"))
    }

    fn check_signature(&self, call: &WebhookCall<'_>) -> Result<(), VerifyError> {
        let secrets = || self.app_secrets.iter().map(ExposeSecret::expose_secret);
        let mut proofs = call.headers.get_all(SIGNATURE).iter();
        let proof = match (proofs.next(), proofs.next()) {
            (None, _) => return signature::hmac_sha256_hex(secrets(), call.body, ""),
            (Some(proof), None) => proof.to_str().ok().and_then(|proof| proof.strip_prefix("sha256=")),
            // Which of the two would be meant? Meta sends one.
            (Some(_), Some(_)) => None,
        };
        match proof {
            Some(proof) if !proof.is_empty() => signature::hmac_sha256_hex(secrets(), call.body, proof),
            _ => Err(VerifyError::Wrong),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue};
    use rstest::rstest;
    use time::OffsetDateTime;
    use url::Url;

    /// From messenger.md 4.2; the second body holds six ASCII characters for the é.
    const PAGE: &str = r#"{"object":"page","entry":[]}"#;
    const PAGE_PROOF: &str = "sha256=0cb2b5894cd63ad48851f0deef5e8d9038741d27cf704f529c7edbe63f3454fc";
    const ESCAPED: &str = r#"{"object":"page","entry":[{"id":"1","text":"caf\u00e9"}]}"#;
    const ESCAPED_PROOF: &str = "sha256=453124962e7015e7cfb03a68020ca99adff2004d7d6f523b25492cd757374b27";
    /// From whatsapp.md 4.2 and instagram.md 4.2.
    const WHATSAPP: &str = r#"{"object":"whatsapp_business_account","entry":[]}"#;
    const WHATSAPP_PROOF: &str = "sha256=6c7d563c694361f705fbaae1cc200fe77ac07b50943250a6931917db3ee09a78";
    const INSTAGRAM: &str = r#"{"object":"instagram","entry":[]}"#;
    const INSTAGRAM_PROOF: &str = "sha256=abd19942c52edd28978b200f4e9fcbbebf13f66ddff8ed17223d372cdb4faa35";

    fn hub(typed: &str) -> Hub {
        let secrets = transom_channel::SettingValues::default().with("s", typed).secrets("s").unwrap_or_default();
        Hub::new(secrets, SecretString::from("verify me".to_owned()))
    }

    fn verify(hub: &Hub, method: &Method, query: &str, body: &str, proofs: &[&str]) -> Result<Answer, VerifyError> {
        let mut headers = HeaderMap::new();
        for proof in proofs {
            headers.append(SIGNATURE, HeaderValue::from_str(proof).unwrap());
        }
        let url = Url::parse(&format!("https://hooks.example/webhooks/1?{query}")).unwrap();
        let body = Bytes::copy_from_slice(body.as_bytes());
        hub.verify(&WebhookCall {
            method,
            url: &url,
            headers: &headers,
            body: &body,
            received_at: OffsetDateTime::UNIX_EPOCH,
        })
    }

    #[rstest]
    #[case(PAGE, PAGE_PROOF)]
    #[case(ESCAPED, ESCAPED_PROOF)]
    #[case(WHATSAPP, WHATSAPP_PROOF)]
    #[case(INSTAGRAM, INSTAGRAM_PROOF)]
    fn the_sheets_vectors_pass(#[case] body: &str, #[case] proof: &str) {
        assert_eq!(verify(&hub("test-app-secret-0001"), &Method::POST, "", body, &[proof]), Ok(Answer::accepted()));
        assert_eq!(
            verify(&hub("new-secret,\n test-app-secret-0001"), &Method::POST, "", body, &[proof]),
            Ok(Answer::accepted())
        );
        assert_eq!(verify(&hub("another"), &Method::POST, "", body, &[proof]), Err(VerifyError::Wrong));
    }

    #[rstest]
    #[case(&[], VerifyError::Missing)]
    #[case(&[""], VerifyError::Wrong)]
    #[case(&["sha256="], VerifyError::Wrong)]
    #[case(&[&PAGE_PROOF[7..]], VerifyError::Wrong)]
    #[case(&[PAGE_PROOF, PAGE_PROOF], VerifyError::Wrong)]
    #[case(&[ESCAPED_PROOF], VerifyError::Wrong)]
    fn other_proofs_do_not(#[case] proofs: &[&str], #[case] expected: VerifyError) {
        assert_eq!(verify(&hub("test-app-secret-0001"), &Method::POST, "", PAGE, proofs), Err(expected));
    }

    #[test]
    fn without_a_secret_nothing_passes() {
        assert_eq!(verify(&hub(" , "), &Method::POST, "", PAGE, &[PAGE_PROOF]), Err(VerifyError::NoSecret));
        assert_eq!(verify(&hub(""), &Method::POST, "", PAGE, &[]), Err(VerifyError::NoSecret));
    }

    #[rstest]
    #[case("hub.mode=subscribe&hub.verify_token=verify+me&hub.challenge=42", Ok("42"))]
    #[case("hub.mode=subscribe&hub.verify_token=verify%20me&hub.challenge=a%2Bb%20%26", Ok("a+b &"))]
    #[case("hub.mode=subscribe&hub.verify_token=other&hub.challenge=42", Err(VerifyError::Wrong))]
    #[case("hub.mode=subscribe&hub.challenge=42", Err(VerifyError::Missing))]
    #[case(
        "hub.mode=unsubscribe&hub.verify_token=verify+me&hub.challenge=42",
        Err(VerifyError::Unexpected("a GET without hub.mode=subscribe"))
    )]
    #[case(
        "hub.mode=subscribe&hub.verify_token=verify+me",
        Err(VerifyError::Unexpected("a handshake without a challenge"))
    )]
    fn the_handshake_gives_back_the_challenge(#[case] query: &str, #[case] expected: Result<&str, VerifyError>) {
        assert_eq!(verify(&hub("s"), &Method::GET, query, "", &[]), expected.map(Answer::handshake));
        assert!(verify(&hub("s"), &Method::PUT, query, "", &[]).is_err());
    }
}
