//! What an IMAP server's refusal means (RFC 5530, sheet 4).

use async_imap::error::Error;
use transom_channel::SendError;

use crate::error::{own, scrubbed};

/// The response codes that matter.
const CODES: &[(&str, Meaning)] = &[
    ("AUTHENTICATIONFAILED", Meaning::Auth),
    ("AUTHORIZATIONFAILED", Meaning::Auth),
    ("EXPIRED", Meaning::Auth),
    ("PRIVACYREQUIRED", Meaning::Auth),
    ("CONTACTADMIN", Meaning::Account),
    ("NOPERM", Meaning::Account),
    ("NONEXISTENT", Meaning::Account),
    ("TRYCREATE", Meaning::Account),
    ("UNAVAILABLE", Meaning::Later),
    ("INUSE", Meaning::Later),
    ("SERVERBUG", Meaning::Later),
    ("LIMIT", Meaning::Slower),
    ("OVERQUOTA", Meaning::Slower),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Auth,
    Account,
    Later,
    Slower,
}

pub(super) fn of_imap(error: &Error) -> SendError {
    match error {
        Error::No(said) => told(said).unwrap_or_else(|| SendError::Temporary { report: own(&words(said)) }),
        Error::Bad(said) => told(said).unwrap_or_else(|| SendError::Invalid { report: own(&words(said)) }),
        Error::Io(_) | Error::ConnectionLost => {
            SendError::NotConnected { detail: "the IMAP connection ended".to_owned() }
        }
        Error::Validate(_) => {
            SendError::Invalid { report: own("a name or password holds a character that IMAP can't carry") }
        }
        _ => SendError::Temporary { report: own("the IMAP server's answer can't be read") },
    }
}

/// A refused sign-in without a code is about the credentials.
pub(super) fn of_sign_in(error: &Error) -> SendError {
    match error {
        Error::No(said) | Error::Bad(said) => {
            told(said).unwrap_or_else(|| SendError::AuthFailed { report: own(&words(said)) })
        }
        other => of_imap(other),
    }
}

fn told(said: &str) -> Option<SendError> {
    let upper = said.to_uppercase();
    let is_word = |code: &str| upper.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == code);
    let (_, meaning) = CODES.iter().find(|(code, _)| is_word(code))?;
    let report = own(&words(said));
    Some(match meaning {
        Meaning::Auth => SendError::AuthFailed { report },
        Meaning::Account => SendError::AccountStopped { report },
        Meaning::Later => SendError::Temporary { report },
        Meaning::Slower => SendError::RateLimited { retry_after_ms: None, report },
    })
}

/// The server's words out of what the client makes of them: `code: None, info: Some("words")`.
fn words(said: &str) -> String {
    let told = said.split_once("info: Some(").map_or(said, |(_, info)| info.trim_end_matches(')'));
    format!("the IMAP server refuses: {}", scrubbed(&told.replace(['"', '\''], " ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("code: None, info: Some(\"[AUTHENTICATIONFAILED] Authentication failed.\")", "auth_failed")]
    #[case("[EXPIRED] password", "auth_failed")]
    #[case("[CONTACTADMIN] locked", "account_stopped")]
    #[case("[NONEXISTENT] no such folder", "account_stopped")]
    #[case("[UNAVAILABLE] try later", "temporary")]
    #[case("[INUSE] mailbox", "temporary")]
    #[case("[LIMIT] too many connections", "rate_limited")]
    #[case("[OVERQUOTA] full", "rate_limited")]
    #[case("who knows", "temporary")]
    fn refusals_are_told_apart(#[case] said: &str, #[case] code: &str) {
        assert_eq!(of_imap(&Error::No(said.to_owned())).code(), code);
    }

    #[test]
    fn a_refused_sign_in_is_about_the_credentials() {
        assert_eq!(of_sign_in(&Error::No("LOGIN failed for ann@example.test".to_owned())).code(), "auth_failed");
        assert_eq!(of_sign_in(&Error::No("[UNAVAILABLE] later".to_owned())).code(), "temporary");
        assert_eq!(of_sign_in(&Error::ConnectionLost).code(), "not_connected");
        let told = of_imap(&Error::No("code: None, info: Some(\"[UNAVAILABLE] try later\")".to_owned())).to_string();
        assert!(told.ends_with("the IMAP server refuses: [UNAVAILABLE] try later"), "{told}");
        let shown = of_sign_in(&Error::No("LOGIN failed for ann@example.test".to_owned())).to_string();
        assert!(!shown.contains("ann@"), "{shown}");
    }
}
