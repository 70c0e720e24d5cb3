//! Proofs of webhook calls (sheet 4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use time::Duration;
use transom_channel::signature::{hmac_sha256_hex, shared_token};
use transom_channel::{Answer, Once, VerifyError, WebhookCall};

use super::form::{self, Field, Value};
use crate::config::InboundParse;

/// How far ahead of ours a signed time may be.
const AHEAD: Duration = Duration::minutes(5);
/// How old one may be: Mailgun tries for 8 hours, and whether it signs anew then is not documented.
const RETRIED: Duration = Duration::hours(9);

/// Checks a provider's proof. All that is taken is answered 200; Mailgun's 406 would drop a mail for good.
pub(crate) fn verify(parse: Option<&InboundParse>, call: &WebhookCall<'_>) -> Result<Answer, VerifyError> {
    let parse = parse.ok_or(VerifyError::NoSecret)?;
    if call.method != Method::POST {
        return Err(VerifyError::Unexpected("mail comes by POST"));
    }
    match parse {
        InboundParse::Postmark { credentials } => {
            let expected = format!("Basic {}", STANDARD.encode(credentials.expose_secret()));
            shared_token([expected.as_str()], call.header("authorization").unwrap_or_default())?;
        }
        InboundParse::Mailgun { signing_keys } => {
            let fields = form::read(call.body).ok_or(VerifyError::Missing)?;
            let text = |name: &str| {
                fields.iter().find(|field| field.name == name).and_then(|field| match &field.value {
                    Value::Text(text) => Some(text.as_str()),
                    Value::File { .. } => None,
                })
            };
            let (Some(timestamp), Some(token), Some(signature)) = (text("timestamp"), text("token"), text("signature"))
            else {
                return Err(VerifyError::Missing);
            };
            // A form that states a field twice is read as whoever comes first.
            let keys = signing_keys.iter().map(ExposeSecret::expose_secret);
            hmac_sha256_hex(keys, format!("{timestamp}{token}").as_bytes(), signature)?;
            let at: i64 = timestamp.parse().map_err(|_| VerifyError::Wrong)?;
            let age = call.received_at.unix_timestamp().saturating_sub(at);
            if !(-AHEAD.whole_seconds()..=RETRIED.whole_seconds()).contains(&age) {
                return Err(VerifyError::Stale);
            }
            // Only time and token are signed: whoever saw them could put them under any mail.
            let kept_until = call.received_at.saturating_add(RETRIED + AHEAD);
            let once = Once { proof: token.to_owned(), said: said(&fields), kept_until };
            return Ok(Answer { once: Some(once), ..Answer::accepted() });
        }
    }
    Ok(Answer::accepted())
}

/// A digest of what a form says beside its proof. Of its bytes would not do: a form that is sent again has other boundaries.
fn said(fields: &[Field<'_>]) -> [u8; 32] {
    let mut digest = Sha256::new();
    let told = fields.iter().filter(|field| !["timestamp", "token", "signature"].contains(&field.name.as_str()));
    for field in told {
        let value = match &field.value {
            Value::Text(text) => text.as_bytes(),
            Value::File { bytes, .. } => bytes,
        };
        for piece in [field.name.as_bytes(), value] {
            digest.update(piece.len().to_be_bytes());
            digest.update(piece);
        }
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue};
    use rstest::rstest;
    use time::OffsetDateTime;
    use url::Url;

    /// The sheet's vector.
    const SIGNATURE: &str = "7f8d38ec33e1e0df787b10202d3593e9b8b6a82aae4c912ef6d1e76a1a119b8a";

    fn mailgun(body: String, at: i64) -> Result<Answer, VerifyError> {
        let keys = ["another", "key-example-1"].map(|key| key.to_owned().into()).to_vec();
        checked(&InboundParse::Mailgun { signing_keys: keys }, HeaderMap::new(), body, at)
    }

    fn checked(parse: &InboundParse, headers: HeaderMap, body: String, at: i64) -> Result<Answer, VerifyError> {
        let call = WebhookCall {
            method: &Method::POST,
            url: &Url::parse("https://hooks.example/1").unwrap(),
            headers: &headers,
            body: &Bytes::from(body),
            received_at: OffsetDateTime::from_unix_timestamp(at).unwrap(),
        };
        verify(Some(parse), &call)
    }

    #[rstest]
    #[case("1760000000", SIGNATURE, 1_760_000_000, Ok(()))]
    #[case("1760000000", SIGNATURE, 1_760_032_400, Ok(()))]
    #[case("1760000000", SIGNATURE, 1_760_032_401, Err(VerifyError::Stale))]
    #[case("1760000000", SIGNATURE, 1_759_999_700, Ok(()))]
    #[case("1760000000", SIGNATURE, 1_759_999_699, Err(VerifyError::Stale))]
    #[case("1760000001", SIGNATURE, 1_760_000_000, Err(VerifyError::Wrong))]
    #[case("1760000000", &SIGNATURE[1..], 1_760_000_000, Err(VerifyError::Wrong))]
    #[case("1760000000", "", 1_760_000_000, Err(VerifyError::Missing))]
    fn mailgun_signs_time_and_token(
        #[case] timestamp: &str,
        #[case] signature: &str,
        #[case] at: i64,
        #[case] expected: Result<(), VerifyError>,
    ) {
        let token = "t".repeat(50);
        let form = format!("timestamp={timestamp}&token={token}&signature={signature}&from=ann%40example.test");
        assert_eq!(mailgun(form, at).map(drop), expected);
        let part = |name: &str, value: &str| {
            format!("--b0\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let parts =
            part("timestamp", timestamp) + &part("token", &token) + &part("signature", signature) + "--b0--\r\n";
        assert_eq!(mailgun(parts, at).map(drop), expected);
    }

    #[test]
    fn a_form_that_is_sent_again_says_the_same_and_another_does_not() {
        let form = |boundary: &str, words: &str| {
            let token = "t".repeat(50);
            let fields = [("token", &*token), ("timestamp", "1760000000"), ("signature", SIGNATURE), ("body", words)];
            let part = |(name, value)| {
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            };
            let body = fields.map(part).concat() + &format!("--{boundary}--\r\n");
            mailgun(body, 1_760_000_000).unwrap().once.unwrap()
        };
        let first = form("b0", "Where is it?");
        assert_eq!(first, form("b1", "Where is it?"));
        let forged = form("b0", "Pay here");
        assert_eq!(first.proof, forged.proof);
        assert_ne!(first.said, forged.said);
    }

    #[test]
    fn what_is_unsigned_is_not_let_in() {
        for body in ["", "{}", "from=ann%40example.test", "timestamp=1&token=t"] {
            assert_eq!(mailgun(body.to_owned(), 1_760_000_000), Err(VerifyError::Missing), "{body}");
        }
    }

    #[rstest]
    #[case("Basic aG9vazpwdw==", Ok(()))]
    #[case("Basic aG9vazpwdA==", Err(VerifyError::Wrong))]
    #[case("", Err(VerifyError::Missing))]
    fn postmark_signs_in(#[case] header: &str, #[case] expected: Result<(), VerifyError>) {
        let parse = InboundParse::Postmark { credentials: "hook:pw".to_owned().into() };
        let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_str(header).unwrap())]);
        assert_eq!(checked(&parse, headers, "{}".to_owned(), 0).map(drop), expected);
    }

    #[test]
    fn a_mailbox_without_a_webhook_takes_no_calls() {
        let call = WebhookCall {
            method: &Method::POST,
            url: &Url::parse("https://hooks.example/1").unwrap(),
            headers: &HeaderMap::new(),
            body: &Bytes::new(),
            received_at: OffsetDateTime::UNIX_EPOCH,
        };
        assert_eq!(verify(None, &call), Err(VerifyError::NoSecret));
    }
}
