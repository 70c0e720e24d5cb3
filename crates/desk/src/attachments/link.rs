//! Addresses of files that need no token: signed, and over after a while.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;
use time::{Duration, OffsetDateTime};
use url::Url;

/// What the signature is for: the same secret signs other things, too.
const PURPOSE: &[u8] = b"transom file link 1";

/// Makes and checks addresses of files.
#[derive(Debug, Clone)]
pub struct Links {
    secret: SecretSlice<u8>,
    lasts: Duration,
    public: Option<Url>,
}

impl Links {
    /// Addresses that last so long, at least ten minutes. `public` is how platforms reach this service, where they do.
    pub fn new(secret: &[u8], lasts: Duration, public: Option<Url>) -> Self {
        Self { secret: secret.to_vec().into(), lasts: lasts.max(Duration::minutes(10)), public }
    }

    /// The address under a base.
    pub fn url(&self, base: &Url, public_id: &str, now: OffsetDateTime) -> Url {
        let expires = now.saturating_add(self.lasts).unix_timestamp().to_string();
        let signature = URL_SAFE_NO_PAD.encode(self.mac(public_id, &expires).finalize().into_bytes());
        let mut url = base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("attachments").push(public_id);
        }
        url.query_pairs_mut().clear().append_pair("expires", &expires).append_pair("signature", &signature);
        url
    }

    /// The address for a platform; `None` where the service has no public one.
    pub fn public_url(&self, public_id: &str, now: OffsetDateTime) -> Option<Url> {
        self.public.as_ref().map(|base| self.url(base, public_id, now))
    }

    /// Whether an address was made here and is not over yet. Compared in constant time.
    pub(super) fn is_signed(&self, public_id: &str, expires: &str, signature: &str, now: OffsetDateTime) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        let is_ours = self.mac(public_id, expires).verify_slice(&signature).is_ok();
        // Only what we wrote is read as a number.
        is_ours && expires.parse::<i64>().is_ok_and(|expires| now.unix_timestamp() < expires)
    }

    fn mac(&self, public_id: &str, expires: &str) -> Hmac<Sha256> {
        // HMAC takes keys of any length.
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mac = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret()).expect("a key of any length");
        // Neither an id nor a number holds a line break: no two pairs have the same text.
        [PURPOSE, public_id.as_bytes(), expires.as_bytes()]
            .into_iter()
            .fold(mac, |mac, text| mac.chain_update(text).chain_update(b"\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-21 10:00 UTC);

    fn parts(url: &Url) -> (String, String, String) {
        let value = |name| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        (url.path().rsplit('/').next().unwrap().to_owned(), value("expires"), value("signature"))
    }

    #[test]
    fn an_address_works_until_it_ends_and_for_its_file_only() {
        let links = Links::new(&[7; 32], Duration::HOUR, None);
        let url = links.url(&Url::parse("https://desk.example/transom/").unwrap(), "file", NOW);
        assert!(url.as_str().starts_with("https://desk.example/transom/attachments/file?expires="), "{url}");
        let (id, expires, signature) = parts(&url);
        assert!(links.is_signed(&id, &expires, &signature, NOW));
        assert!(links.is_signed(&id, &expires, &signature, NOW + Duration::seconds(3_599)));
        assert!(!links.is_signed(&id, &expires, &signature, NOW + Duration::HOUR), "the end itself is outside");
        assert!(!links.is_signed("other", &expires, &signature, NOW));
        let later = (expires.parse::<i64>().unwrap() + 1).to_string();
        assert!(!links.is_signed(&id, &later, &signature, NOW));
        for wrong in ["", "x", &signature[1..], &"A".repeat(43)] {
            assert!(!links.is_signed(&id, &expires, wrong, NOW), "{wrong}");
        }
        assert!(!Links::new(&[8; 32], Duration::HOUR, None).is_signed(&id, &expires, &signature, NOW));
        assert_eq!(links.public_url("file", NOW), None);
    }

    #[test]
    fn the_secret_is_never_shown() {
        assert!(!format!("{:?}", Links::new(&[0xab; 32], Duration::HOUR, None)).contains("171"));
    }
}
