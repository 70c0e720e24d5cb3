//! Who a visitor is, by the site's proof (webchat.md 3): an HMAC over the id, or a signed statement.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::Sha256;
use time::{Duration, OffsetDateTime};

/// How far the site's clock may be from ours.
const SKEW: Duration = Duration::seconds(60);
/// How long a statement may be good.
const LONGEST: Duration = Duration::HOUR;
/// The longest statement that is read, in bytes.
const LONGEST_TEXT: usize = 8 * 1024;
/// The longest id of a person, in bytes: as the desk takes them.
pub(crate) const LONGEST_ID: usize = 512;

/// A secret that the site proves identities with; `kid` names it in statements.
pub(crate) struct IdentitySecret {
    pub(crate) kid: Option<String>,
    pub(crate) secret: SecretString,
}

impl IdentitySecret {
    fn mac(&self, text: &[u8]) -> Option<Hmac<Sha256>> {
        Hmac::<Sha256>::new_from_slice(self.secret.expose_secret().as_bytes()).ok().map(|mac| mac.chain_update(text))
    }
}

/// Who somebody has been proven to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Proven {
    pub(crate) external_id: String,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) phone: Option<String>,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotProven {
    /// The proof is wrong, of another widget, or of no form that is taken.
    #[error("the proof of identity is wrong: sign with a secret of this widget, HS256, and `aud` as its id")]
    Invalid,
    /// Its time is over.
    #[error("the statement has expired: ask the site for a new one")]
    Expired,
}

/// An HMAC over an id, with any of the secrets. It never ends, and covers the id only.
pub(crate) fn by_hash(secrets: &[IdentitySecret], external_id: &str, user_hash: &str) -> Result<Proven, NotProven> {
    let proof = hex::decode(user_hash).map_err(|_| NotProven::Invalid)?;
    // The proof is written in lower case.
    let is_lower = !user_hash.bytes().any(|byte| byte.is_ascii_uppercase());
    // Each secret is tried, so that the time tells nothing.
    let fits = secrets.iter().fold(false, |fits, secret| {
        fits | secret.mac(external_id.as_bytes()).is_some_and(|mac| mac.verify_slice(&proof).is_ok())
    });
    match fits && is_lower && is_id(external_id) {
        true => Ok(Proven { external_id: external_id.to_owned(), ..Proven::default() }),
        false => Err(NotProven::Invalid),
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that must be understood (RFC 7515 section 4.1.11): none is.
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    #[serde(default)]
    iat: Option<i64>,
    #[serde(default)]
    nbf: Option<i64>,
    aud: Audience,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    phone: Option<String>,
}

/// One or several (RFC 7519 section 4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn is(&self, widget: &str) -> bool {
        match self {
            Audience::One(one) => one == widget,
            Audience::Several(all) => all.iter().any(|one| one == widget),
        }
    }
}

/// A statement of the site (RFC 7519), HS256 and nothing else, good for an hour at most.
pub(crate) fn by_jwt(
    secrets: &[IdentitySecret],
    widget: &str,
    jwt: &str,
    now: OffsetDateTime,
) -> Result<Proven, NotProven> {
    let claims = signed(secrets, jwt).ok_or(NotProven::Invalid)?;
    let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| NotProven::Invalid);
    let ends = at(claims.exp)?;
    if !claims.aud.is(widget) || !is_id(&claims.sub) {
        return Err(NotProven::Invalid);
    }
    if now >= ends.saturating_add(SKEW) {
        return Err(NotProven::Expired);
    }
    let begins = claims.iat.map(at).transpose()?;
    // Without its beginning a statement is as long as it still is.
    let too_long = ends - begins.unwrap_or(now.saturating_add(SKEW)) > LONGEST;
    let not_before = claims.nbf.map(at).transpose()?.max(begins);
    if too_long || not_before.is_some_and(|begins| begins > now.saturating_add(SKEW)) {
        return Err(NotProven::Invalid);
    }
    Ok(Proven { external_id: claims.sub, name: claims.name, email: claims.email, phone: claims.phone })
}

fn signed(secrets: &[IdentitySecret], jwt: &str) -> Option<Claims> {
    if jwt.len() > LONGEST_TEXT {
        return None;
    }
    let (signed, proof) = jwt.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let part = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let header: Header = serde_json::from_slice(&part(header)?).ok()?;
    let is_jwt = header.typ.as_deref().is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
    if header.alg != "HS256" || !is_jwt || header.crit.is_some() {
        return None;
    }
    let proof = part(proof)?;
    let meant = |secret: &&IdentitySecret| header.kid.is_none() || secret.kid == header.kid;
    let fits = secrets.iter().filter(meant).fold(false, |fits, secret| {
        fits | secret.mac(signed.as_bytes()).is_some_and(|mac| mac.verify_slice(&proof).is_ok())
    });
    if !fits {
        return None;
    }
    serde_json::from_slice(&part(claims)?).ok()
}

/// Whether it can be the id of a person.
pub(crate) fn is_id(id: &str) -> bool {
    !id.trim().is_empty() && id.len() <= LONGEST_ID && !id.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    const HASH: &str = "dcf095e81804485db346fcd83e89b8b97f938355764f19d6627dd6acca78e903";
    const JWT: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJjdXN0LTQyIiwiaWF0IjoxNzYwMDAwMDAwLCJleHAiOjE3NjAwMDM2MDAsImF1ZCI6IndndF8xIn0.8G9ypPBbs3iwMPC3u-6s2NQ2cen943-4qKwdRW4Sr24";
    const ISSUED: i64 = 1_760_000_000;

    fn secrets() -> Vec<IdentitySecret> {
        let secret =
            |kid: Option<&str>, text: &str| IdentitySecret { kid: kid.map(str::to_owned), secret: text.into() };
        vec![secret(None, "another"), secret(Some("2"), "idsecret")]
    }

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(ISSUED + seconds).unwrap()
    }

    fn jwt(header: &Value, claims: &Value, secret: &str) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(&signed);
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    fn claims() -> Value {
        json!({"sub": "cust-42", "iat": ISSUED, "exp": ISSUED + 3_600, "aud": "wgt_1"})
    }

    #[test]
    fn the_sheets_hmac_vector_holds() {
        assert_eq!(by_hash(&secrets(), "cust-42", HASH).unwrap().external_id, "cust-42");
        assert_eq!(by_hash(&secrets(), "cust-43", HASH), Err(NotProven::Invalid));
        assert_eq!(by_hash(&[], "cust-42", HASH), Err(NotProven::Invalid));
        for wrong in ["", "x", &HASH[2..], &HASH.to_uppercase()] {
            assert_eq!(by_hash(&secrets(), "cust-42", wrong), Err(NotProven::Invalid), "{wrong}");
        }
    }

    #[test]
    fn the_sheets_jwt_vector_holds_from_its_beginning_to_its_end() {
        let check = |seconds| by_jwt(&secrets(), "wgt_1", JWT, at(seconds));
        assert_eq!(check(0).unwrap().external_id, "cust-42");
        assert!(check(-60).is_ok() && check(3_659).is_ok(), "a minute of skew either way");
        assert_eq!(check(-61), Err(NotProven::Invalid));
        assert_eq!(check(3_660), Err(NotProven::Expired));
        assert_eq!(by_jwt(&secrets(), "wgt_2", JWT, at(0)), Err(NotProven::Invalid));
        assert_eq!(by_jwt(&secrets()[..1], "wgt_1", JWT, at(0)), Err(NotProven::Invalid));
    }

    #[test]
    fn what_a_statement_tells_besides_comes_along() {
        let mut told = claims();
        told["name"] = json!("Ann");
        told["email"] = json!("ann@example.test");
        let proven = by_jwt(&secrets(), "wgt_1", &jwt(&json!({"alg": "HS256", "kid": "2"}), &told, "idsecret"), at(1));
        let proven = proven.unwrap();
        assert_eq!((proven.name.as_deref(), proven.email.as_deref()), (Some("Ann"), Some("ann@example.test")));
    }

    #[rstest]
    #[case::no_algorithm(json!({"alg": "none"}), claims())]
    #[case::another_algorithm(json!({"alg": "HS512"}), claims())]
    #[case::lower_case(json!({"alg": "hs256"}), claims())]
    #[case::unknown_key(json!({"alg": "HS256", "kid": "9"}), claims())]
    #[case::critical_extension(json!({"alg": "HS256", "crit": ["exp"]}), claims())]
    #[case::another_type(json!({"alg": "HS256", "typ": "at+jwt"}), claims())]
    #[case::too_long(json!({"alg": "HS256"}), json!({"sub": "cust-42", "iat": ISSUED, "exp": ISSUED + 3_601, "aud": "wgt_1"}))]
    #[case::too_long_without_beginning(json!({"alg": "HS256"}), json!({"sub": "cust-42", "exp": ISSUED + 7_200, "aud": "wgt_1"}))]
    #[case::no_end(json!({"alg": "HS256"}), json!({"sub": "cust-42", "iat": ISSUED, "aud": "wgt_1"}))]
    #[case::no_audience(json!({"alg": "HS256"}), json!({"sub": "cust-42", "iat": ISSUED, "exp": ISSUED + 60}))]
    #[case::other_audience(json!({"alg": "HS256"}), json!({"sub": "cust-42", "exp": ISSUED + 60, "aud": ["wgt_2"]}))]
    #[case::nobody(json!({"alg": "HS256"}), json!({"sub": " ", "exp": ISSUED + 60, "aud": "wgt_1"}))]
    #[case::not_yet(json!({"alg": "HS256"}), json!({"sub": "cust-42", "nbf": ISSUED + 100, "exp": ISSUED + 200, "aud": "wgt_1"}))]
    fn other_statements_prove_nothing(#[case] header: Value, #[case] claims: Value) {
        let proven = by_jwt(&secrets(), "wgt_1", &jwt(&header, &claims, "idsecret"), at(0));
        assert_eq!(proven, Err(NotProven::Invalid));
    }

    #[rstest]
    #[case("")]
    #[case("a.b")]
    #[case("a.b.c.d")]
    #[case("eyJhbGciOiJub25lIn0.e30.")]
    fn what_is_no_statement_proves_nothing(#[case] text: &str) {
        assert_eq!(by_jwt(&secrets(), "wgt_1", text, at(0)), Err(NotProven::Invalid));
        assert_eq!(by_jwt(&secrets(), "wgt_1", &"a".repeat(9_000), at(0)), Err(NotProven::Invalid));
    }
}
