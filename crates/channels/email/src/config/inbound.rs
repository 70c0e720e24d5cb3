//! Whose webhook brings mail, and what our own addresses prove.

use secrecy::{ExposeSecret, SecretString};
use transom_channel::{SettingValues, SettingsError};

use super::settings::{
    INBOUND_PARSE, MAILGUN_SIGNING_KEY, TOKEN_SECRET, TOKEN_SECRET_PREVIOUS, WEBHOOK_PASSWORD, WEBHOOK_USER,
};
use super::value::wrong;
use crate::token::Tokens;

/// Nobody guesses so many characters.
const LEAST_SECRET: usize = 16;

/// Whose webhook brings mail, and what proves it.
pub(crate) enum InboundParse {
    Mailgun { signing_keys: Vec<SecretString> },
    Postmark { credentials: SecretString },
}

pub(super) fn inbound_parse(settings: &SettingValues) -> Result<Option<InboundParse>, SettingsError> {
    match settings.get(INBOUND_PARSE).map(str::trim) {
        None => Ok(None),
        Some("mailgun") => {
            let signing_keys = several(settings.require(MAILGUN_SIGNING_KEY)?);
            match signing_keys.is_empty() {
                true => Err(wrong(MAILGUN_SIGNING_KEY, "there is no key in it")),
                false => Ok(Some(InboundParse::Mailgun { signing_keys })),
            }
        }
        Some("postmark") => {
            let (user, password) = (settings.require(WEBHOOK_USER)?, settings.require(WEBHOOK_PASSWORD)?);
            if user.contains(':') {
                return Err(wrong(WEBHOOK_USER, "a user name holds no colon"));
            }
            Ok(Some(InboundParse::Postmark { credentials: format!("{user}:{password}").into() }))
        }
        Some(_) => Err(wrong(INBOUND_PARSE, "mailgun or postmark is expected")),
    }
}

/// What tokens are proved with: the present secret, and the one before it while that is still about.
pub(super) fn tokens(settings: &SettingValues) -> Result<Option<Tokens>, SettingsError> {
    let secret = |name: &str| match settings.secret(name).ok() {
        Some(secret) if secret.expose_secret().trim().len() < LEAST_SECRET => {
            Err(wrong(name, &format!("at least {LEAST_SECRET} characters are expected")))
        }
        secret => Ok(secret),
    };
    let (present, previous) = (secret(TOKEN_SECRET)?, secret(TOKEN_SECRET_PREVIOUS)?);
    match (present, previous) {
        (None, Some(_)) => Err(SettingsError::Missing(TOKEN_SECRET.to_owned())),
        (None, None) => Ok(None),
        (Some(present), previous) => Ok(Some(Tokens::new([present].into_iter().chain(previous).collect()))),
    }
}

fn several(text: &str) -> Vec<SecretString> {
    text.split(',').map(str::trim).filter(|secret| !secret.is_empty()).map(SecretString::from).collect()
}
