//! Checking webhook signatures, in constant time.

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::VerifyError;

/// Checks `sha256=<lower-case hex>` style or bare hexadecimal HMAC-SHA256 proofs against any of the secrets.
///
/// # Errors
/// [`VerifyError::NoSecret`] without a non-empty secret, [`VerifyError::Missing`] for an empty proof, else
/// [`VerifyError::Wrong`].
pub fn hmac_sha256_hex<'s>(
    secrets: impl IntoIterator<Item = &'s str>,
    message: &[u8],
    proof: &str,
) -> Result<(), VerifyError> {
    // Upper case would decode as well, but no platform writes it: what is not exactly theirs is not theirs.
    if proof.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(VerifyError::Wrong);
    }
    let expected = hex::decode(proof).map_err(|_| VerifyError::Wrong);
    any_secret(secrets, proof, |secret| expected.as_deref().is_ok_and(|proof| sha256_matches(secret, message, proof)))
}

/// Checks base64 HMAC-SHA256 proofs against any of the secrets.
///
/// # Errors
/// As [`hmac_sha256_hex`].
pub fn hmac_sha256_base64<'s>(
    secrets: impl IntoIterator<Item = &'s str>,
    message: &[u8],
    proof: &str,
) -> Result<(), VerifyError> {
    let expected = base64::engine::general_purpose::STANDARD.decode(proof).map_err(|_| VerifyError::Wrong);
    any_secret(secrets, proof, |secret| expected.as_deref().is_ok_and(|proof| sha256_matches(secret, message, proof)))
}

/// Checks base64 HMAC-SHA1 proofs against any of the secrets.
///
/// # Errors
/// As [`hmac_sha256_hex`].
pub fn hmac_sha1_base64<'s>(
    secrets: impl IntoIterator<Item = &'s str>,
    message: &[u8],
    proof: &str,
) -> Result<(), VerifyError> {
    let expected = base64::engine::general_purpose::STANDARD.decode(proof).map_err(|_| VerifyError::Wrong);
    any_secret(secrets, proof, |secret| {
        expected.as_deref().is_ok_and(|proof| {
            Hmac::<Sha1>::new_from_slice(secret.as_bytes())
                .is_ok_and(|mac| mac.chain_update(message).verify_slice(proof).is_ok())
        })
    })
}

/// Checks a token that is sent as it is, against any of the secrets.
///
/// # Errors
/// As [`hmac_sha256_hex`].
pub fn shared_token<'s>(secrets: impl IntoIterator<Item = &'s str>, proof: &str) -> Result<(), VerifyError> {
    any_secret(secrets, proof, |secret| secret.as_bytes().ct_eq(proof.as_bytes()).into())
}

fn sha256_matches(secret: &str, message: &[u8], proof: &[u8]) -> bool {
    Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .is_ok_and(|mac| mac.chain_update(message).verify_slice(proof).is_ok())
}

/// Tries every secret, so that the time taken does not tell which one was right.
fn any_secret<'s>(
    secrets: impl IntoIterator<Item = &'s str>,
    proof: &str,
    matches: impl Fn(&str) -> bool,
) -> Result<(), VerifyError> {
    let mut tried = false;
    let mut found = false;
    for secret in secrets.into_iter().filter(|secret| !secret.trim().is_empty()) {
        tried = true;
        found |= matches(secret);
    }
    match (tried, proof.is_empty(), found) {
        (false, ..) => Err(VerifyError::NoSecret),
        (true, true, _) => Err(VerifyError::Missing),
        (true, false, false) => Err(VerifyError::Wrong),
        (true, false, true) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// From whatsapp.md 4.2.
    const BODY: &[u8] = br#"{"object":"whatsapp_business_account","entry":[]}"#;
    const PROOF: &str = "6c7d563c694361f705fbaae1cc200fe77ac07b50943250a6931917db3ee09a78";

    #[rstest]
    #[case(&["test-app-secret-0001"], PROOF, Ok(()))]
    #[case(&["old", "test-app-secret-0001"], PROOF, Ok(()))]
    #[case(&["test-app-secret-0002"], PROOF, Err(VerifyError::Wrong))]
    #[case(&["test-app-secret-0001"], "", Err(VerifyError::Missing))]
    #[case(&["test-app-secret-0001"], &PROOF[..62], Err(VerifyError::Wrong))]
    #[case(&["test-app-secret-0001"], "not hex", Err(VerifyError::Wrong))]
    #[case(&["", "  "], PROOF, Err(VerifyError::NoSecret))]
    fn only_the_right_secret_and_proof_pass(
        #[case] secrets: &[&str],
        #[case] proof: &str,
        #[case] expected: Result<(), VerifyError>,
    ) {
        assert_eq!(hmac_sha256_hex(secrets.iter().copied(), BODY, proof), expected);
    }

    #[test]
    fn base64_proofs_pass() {
        // From line.md 4.2 and sms.md 4.
        let line = br#"{"destination":"U00000000000000000000000000000001","events":[]}"#;
        let secret = "0123456789abcdef0123456789abcdef";
        assert_eq!(hmac_sha256_base64([secret], line, "YQU0voYIh8lUA1XaYoIEZg9trJlhjyu9qVt6HqVvWf4="), Ok(()));
        let url = "https://hooks.example.test/sms/json?bodySHA256=015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862";
        assert_eq!(hmac_sha1_base64([secret], url.as_bytes(), "qJclR35QaTZhOWSJ64+WmYVPlZw="), Ok(()));
    }

    #[test]
    fn shared_tokens_must_be_equal() {
        assert_eq!(shared_token(["abc"], "abc"), Ok(()));
        assert_eq!(shared_token(["abc"], "abcd"), Err(VerifyError::Wrong));
    }
}
