//! `X-Twilio-Signature`, exactly (sms.md 4).

use http::Method;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use transom_channel::{VerifyError, WebhookCall, signature};
use url::Url;

const SIGNATURE: &str = "x-twilio-signature";
/// Announces a signature by a shared key (a public beta of Twilio's).
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";

/// What calls are checked with.
pub(super) struct Proofs {
    pub(super) auth_tokens: Vec<SecretString>,
    /// The id and the secret of a shared key.
    pub(super) signing_key: Option<(String, SecretString)>,
    /// The address as Twilio calls it, where it is not our own.
    pub(super) webhook_url: Option<String>,
}

impl Proofs {
    pub(super) fn verify(&self, call: &WebhookCall<'_>) -> Result<(), VerifyError> {
        let proof = only_header(call, SIGNATURE)?.ok_or(VerifyError::Missing)?;
        let settings = only_header(call, SETTINGS)?;
        let fields = signed_fields(call)?;
        // The sender is not consistent about the port: the official libraries try both.
        let texts = self.addresses(call.url).into_iter().map(|address| address + &fields);
        let mut outcome = Err(VerifyError::Wrong);
        for text in texts {
            outcome = match settings {
                None => {
                    let tokens = self.auth_tokens.iter().map(ExposeSecret::expose_secret);
                    signature::hmac_sha1_base64(tokens, text.as_bytes(), proof)
                }
                Some(settings) => {
                    let secret = self.announced(settings).map(ExposeSecret::expose_secret);
                    signature::hmac_sha256_base64(Some(secret.ok_or(VerifyError::Wrong)?), text.as_bytes(), proof)
                }
            };
            if !matches!(outcome, Err(VerifyError::Wrong)) {
                return outcome;
            }
        }
        outcome
    }

    /// The shared key that `key=…,algorithm=HMAC_SHA256` names, if it is ours.
    fn announced(&self, settings: &str) -> Option<&SecretString> {
        let (id, secret) = self.signing_key.as_ref()?;
        let value = |name: &str| {
            settings.split(',').filter_map(|pair| pair.trim().split_once('=')).find(|(key, _)| *key == name)
        };
        let ours = value("key").is_some_and(|(_, key)| key == id);
        let known = value("algorithm").is_some_and(|(_, algorithm)| algorithm == "HMAC_SHA256");
        (ours && known).then_some(secret)
    }

    /// The address in every form in which Twilio may have signed it, the likeliest first.
    fn addresses(&self, called: &Url) -> Vec<String> {
        let (own, fragment) = match &self.webhook_url {
            Some(configured) => as_configured(configured, called),
            None => (called.as_str().to_owned(), None),
        };
        let mut forms = vec![own.clone()];
        forms.extend(other_port(&own));
        if let Some(fragment) = fragment {
            forms.push(format!("{own}#{fragment}"));
        }
        forms
    }
}

/// The configured address with the query that came, and its fragment. What stands before an `@` is dropped before signing.
fn as_configured(configured: &str, called: &Url) -> (String, Option<String>) {
    let (address, fragment) = match configured.split_once('#') {
        Some((address, fragment)) => (address, Some(fragment.to_owned())),
        None => (configured, None),
    };
    let address = address.split('?').next().unwrap_or_default();
    let address = match address.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => address.to_owned(),
    };
    match called.query() {
        Some(query) => (format!("{address}?{query}"), fragment),
        None => (address, fragment),
    }
}

/// The same address without its port, or with the one that its scheme implies.
fn other_port(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // An IPv6 literal has colons of its own.
    let port = authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let other = match (port, scheme) {
        (Some((host, _)), _) => host.to_owned(),
        (None, "http") => format!("{authority}:80"),
        (None, _) => format!("{authority}:443"),
    };
    Some(format!("{scheme}://{other}{path}"))
}

/// What follows the address in the signed text: the form's fields, or nothing where a hash in the address covers the body.
fn signed_fields(call: &WebhookCall<'_>) -> Result<String, VerifyError> {
    if *call.method == Method::GET {
        // They stand in the address.
        return Ok(String::new());
    }
    if *call.method != Method::POST {
        return Err(VerifyError::Unexpected("calls come by POST or GET"));
    }
    if let Some(hash) = call.query("bodySHA256") {
        let ours = hex::encode(Sha256::digest(call.body));
        return if hash == ours { Ok(String::new()) } else { Err(VerifyError::Wrong) };
    }
    let kind = call.header("content-type").unwrap_or_default().to_ascii_lowercase();
    if kind.split(';').next().is_some_and(|kind| kind.trim().ends_with("json")) {
        // Nothing protects the body.
        return Err(VerifyError::Wrong);
    }
    let mut fields: Vec<(String, String)> = url::form_urlencoded::parse(call.body).into_owned().collect();
    // By name, and one name's values by value, each once.
    fields.sort();
    fields.dedup();
    Ok(fields.into_iter().map(|(name, value)| name + &value).collect())
}

/// A header that may come once; blanks around its value are HTTP's own.
fn only_header<'c>(call: &WebhookCall<'c>, name: &str) -> Result<Option<&'c str>, VerifyError> {
    let mut values = call.headers.get_all(name).iter();
    let value = values.next().map(|value| value.as_bytes().trim_ascii());
    if values.next().is_some() {
        return Err(VerifyError::Wrong);
    }
    value.map(|value| std::str::from_utf8(value).map_err(|_| VerifyError::Wrong)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use rstest::rstest;
    use time::OffsetDateTime;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    const FORM: &str = "Body=Hi+%26+bye&From=%2B12025550123&MessageSid=SM00000000000000000000000000000001&NumMedia=0&To=%2B12025550199";
    const PROOF: &str = "kcQaLuHpXajglFdyIT1khJfaxXc=";
    const JSON_URL: &str = "https://hooks.example.test/sms/json?bodySHA256=015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862";

    fn verify(
        configured: Option<&str>,
        url: &str,
        kind: &str,
        body: &'static str,
        proof: &str,
    ) -> Result<(), VerifyError> {
        let proofs =
            Proofs { auth_tokens: vec![TOKEN.into()], signing_key: None, webhook_url: configured.map(str::to_owned) };
        let mut headers = HeaderMap::new();
        headers.insert("content-type", kind.parse().unwrap());
        headers.insert(SIGNATURE, proof.parse().unwrap());
        let (url, body) = (Url::parse(url).unwrap(), body.into());
        let received_at = OffsetDateTime::UNIX_EPOCH;
        proofs.verify(&WebhookCall { method: &Method::POST, url: &url, headers: &headers, body: &body, received_at })
    }

    /// The vectors of sms.md 4, and the ports.
    #[rstest]
    #[case(None, "https://hooks.example.test/sms/in?tenant=7", true)]
    #[case(None, "https://hooks.example.test:443/sms/in?tenant=7", true)]
    #[case(None, "https://hooks.example.test:8443/sms/in?tenant=7", true)]
    #[case(None, "https://hooks.example.test/sms/in?tenant=8", false)]
    #[case(None, "https://inside.test/sms/in?tenant=7", false)]
    #[case(Some("https://hooks.example.test/sms/in"), "https://inside.test/webhooks/1?tenant=7", true)]
    #[case(
        Some("https://user:pass@hooks.example.test/sms/in?tenant=7#rc=5&rp=all"),
        "https://inside.test/webhooks/1?tenant=7",
        true
    )]
    fn a_form_is_signed_with_its_address(#[case] configured: Option<&str>, #[case] url: &str, #[case] genuine: bool) {
        let kind = "application/x-www-form-urlencoded";
        assert_eq!(verify(configured, url, kind, FORM, PROOF).is_ok(), genuine);
    }

    #[rstest]
    #[case(JSON_URL, r#"{"a":1}"#, true)]
    #[case(JSON_URL, r#"{"a":2}"#, false)]
    #[case("https://hooks.example.test/sms/json", r#"{"a":1}"#, false)]
    fn json_is_covered_by_a_hash(#[case] url: &str, #[case] body: &'static str, #[case] genuine: bool) {
        let proof = "qJclR35QaTZhOWSJ64+WmYVPlZw=";
        assert_eq!(verify(None, url, "application/json", body, proof).is_ok(), genuine);
    }

    #[rstest]
    #[case("https://a.example/x", "https://a.example:443/x")]
    #[case("http://a.example?x", "http://a.example:80?x")]
    #[case("https://a.example:8443/x", "https://a.example/x")]
    #[case("https://[2001:db8::1]/x", "https://[2001:db8::1]:443/x")]
    #[case("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]/x")]
    fn ports_come_and_go(#[case] address: &str, #[case] other: &str) {
        assert_eq!(other_port(address).as_deref(), Some(other));
    }
}
