//! Addresses that need no token: of files, signed and over after a while, and those under which a person wants no more mail.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;
use time::{Duration, OffsetDateTime};
use url::Url;

/// What the signature is for: the same secret signs other things, too.
const FILE: &[u8] = b"transom file link 1";
const NAMED_FILE: &[u8] = b"transom named file link 1";
const UNSUBSCRIBE: &[u8] = b"transom unsubscribe link 1";
/// How long a platform's address works after its message was accepted: phones fetch a file whenever its chat is opened.
const FOR_PLATFORMS: Duration = Duration::days(365);

/// What an address of a file says.
#[derive(Debug, Clone, Copy)]
pub struct FileLink<'l> {
    /// The file's public id.
    pub public_id: &'l str,
    /// The name that the path ends in, where it does.
    pub name: Option<&'l str>,
    /// Until when it works, in seconds since 1970.
    pub expires: &'l str,
    /// That we made it.
    pub signature: &'l str,
}

/// Makes and checks addresses of files, and of persons' last word on mail.
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
        let mac = self.mac(FILE, &[public_id, &expires]);
        signed(base, &["attachments", public_id], &[("expires", &expires)], mac)
    }

    /// The address for a platform in a message of that time, the same for every attempt and for a year; `None` where the
    /// service has no public one. It ends in the name, by whose ending some tell what they fetch.
    pub fn public_url(&self, public_id: &str, name: &str, accepted_at: OffsetDateTime) -> Option<Url> {
        let base = self.public.as_ref()?;
        let expires = accepted_at.saturating_add(FOR_PLATFORMS).unix_timestamp().to_string();
        let mac = self.mac(NAMED_FILE, &[public_id, name, &expires]);
        Some(signed(base, &["attachments", public_id, name], &[("expires", &expires)], mac))
    }

    /// The address under a base at which a person wants no more mail, as long as we write to them (RFC 8058).
    pub fn unsubscribe_url(&self, base: &Url, public_id: &str) -> Url {
        signed(base, &["unsubscribe", public_id], &[], self.mac(UNSUBSCRIBE, &[public_id]))
    }

    /// The address of this service, where it has a public one.
    pub(crate) fn public(&self) -> Option<&Url> {
        self.public.as_ref()
    }

    /// Whether such an address was made here. Compared in constant time.
    pub(crate) fn is_signed_to_unsubscribe(&self, public_id: &str, signature: &str) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        self.mac(UNSUBSCRIBE, &[public_id]).verify_slice(&signature).is_ok()
    }

    /// Whether an address was made here and is not over yet. Compared in constant time.
    pub(super) fn is_signed(&self, link: &FileLink<'_>, now: OffsetDateTime) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(link.signature) else { return false };
        let mac = match link.name {
            None => self.mac(FILE, &[link.public_id, link.expires]),
            Some(name) => self.mac(NAMED_FILE, &[link.public_id, name, link.expires]),
        };
        // Only what we wrote is read as a number.
        let is_ours = mac.verify_slice(&signature).is_ok();
        is_ours && link.expires.parse::<i64>().is_ok_and(|expires| now.unix_timestamp() < expires)
    }

    fn mac(&self, purpose: &[u8], texts: &[&str]) -> Hmac<Sha256> {
        // HMAC takes keys of any length.
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mac = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret()).expect("a key of any length");
        // No id, name or number of ours holds a line break: no two lists have the same text.
        let texts = texts.iter().map(|text| text.as_bytes());
        [purpose].into_iter().chain(texts).fold(mac, |mac, text| mac.chain_update(text).chain_update(b"\n"))
    }
}

fn signed(base: &Url, place: &[&str], query: &[(&str, &str)], mac: Hmac<Sha256>) -> Url {
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(place);
    }
    url.query_pairs_mut().clear().extend_pairs(query).append_pair("signature", &signature);
    url
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
        let link = FileLink { public_id: &id, name: None, expires: &expires, signature: &signature };
        assert!(links.is_signed(&link, NOW));
        assert!(links.is_signed(&link, NOW + Duration::seconds(3_599)));
        assert!(!links.is_signed(&link, NOW + Duration::HOUR), "the end itself is outside");
        assert!(!links.is_signed(&FileLink { public_id: "other", ..link }, NOW));
        assert!(!links.is_signed(&FileLink { name: Some("file.jpg"), ..link }, NOW));
        let later = (expires.parse::<i64>().unwrap() + 1).to_string();
        assert!(!links.is_signed(&FileLink { expires: &later, ..link }, NOW));
        for wrong in ["", "x", &signature[1..], &"A".repeat(43)] {
            assert!(!links.is_signed(&FileLink { signature: wrong, ..link }, NOW), "{wrong}");
        }
        assert!(!Links::new(&[8; 32], Duration::HOUR, None).is_signed(&link, NOW));
        assert_eq!(links.public_url("file", "file.jpg", NOW), None);
    }

    #[test]
    fn a_platforms_address_ends_in_a_name_and_lasts_a_year_from_its_message() {
        let public = Url::parse("https://desk.example/transom").unwrap();
        let links = Links::new(&[7; 32], Duration::HOUR, Some(public));
        let url = links.public_url("abc", "file.jpg", NOW).unwrap();
        assert!(url.as_str().starts_with("https://desk.example/transom/attachments/abc/file.jpg?expires="), "{url}");
        assert_eq!(links.public_url("abc", "file.jpg", NOW), Some(url.clone()), "as at the next attempt");
        let (name, expires, signature) = parts(&url);
        let link = FileLink { public_id: "abc", name: Some(&name), expires: &expires, signature: &signature };
        assert!(links.is_signed(&link, NOW + Duration::days(365) - Duration::SECOND));
        assert!(!links.is_signed(&link, NOW + Duration::days(365)));
        for name in [None, Some("file.html"), Some("")] {
            assert!(!links.is_signed(&FileLink { name, ..link }, NOW), "{name:?}");
        }
    }

    #[test]
    fn who_wants_no_more_is_named_by_us_alone() {
        let public = Url::parse("https://desk.example/transom").unwrap();
        let links = Links::new(&[7; 32], Duration::HOUR, None);
        let url = links.unsubscribe_url(&public, "person");
        assert!(url.as_str().starts_with("https://desk.example/transom/unsubscribe/person?signature="), "{url}");
        let signature = url.query_pairs().next().unwrap().1.into_owned();
        assert!(links.is_signed_to_unsubscribe("person", &signature));
        assert!(!links.is_signed_to_unsubscribe("another", &signature));
        assert!(!Links::new(&[8; 32], Duration::HOUR, None).is_signed_to_unsubscribe("person", &signature));
        // A file's signature is for a file.
        let of_file = parts(&links.url(&url, "person", NOW)).2;
        assert!(!links.is_signed_to_unsubscribe("person", &of_file));
    }

    #[test]
    fn the_secret_is_never_shown() {
        assert!(!format!("{:?}", Links::new(&[0xab; 32], Duration::HOUR, None)).contains("171"));
    }
}
