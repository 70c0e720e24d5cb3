//! Single values: read, or refused by name.

use transom_channel::{SettingValues, SettingsError};

use crate::address::Mailbox;
use crate::token::Purpose;

pub(super) fn address(setting: &str, text: &str) -> Result<Mailbox, SettingsError> {
    Mailbox::parse(text.trim()).map_err(|reason| wrong(setting, reason))
}

/// Whether a token fits before the @.
pub(super) fn room(setting: &str, text: &str, purpose: Purpose) -> Result<(), SettingsError> {
    let (local, longest) = (text.split('@').next().unwrap_or_default(), purpose.longest_local());
    match local.len() > longest || local.contains('+') {
        true => Err(wrong(
            setting,
            &format!(
                "with a token secret, at most {longest} characters stand before the @, and no plus sign among them"
            ),
        )),
        false => Ok(()),
    }
}

pub(super) fn number(
    settings: &SettingValues,
    name: &str,
    range: std::ops::RangeInclusive<u64>,
) -> Result<Option<u64>, SettingsError> {
    match settings.get(name).map(|text| text.trim().parse::<u64>()) {
        None => Ok(None),
        Some(Ok(value)) if range.contains(&value) => Ok(Some(value)),
        Some(_) => Err(wrong(name, &format!("a number from {} to {} is expected", range.start(), range.end()))),
    }
}

pub(super) fn small(settings: &SettingValues, name: &str, max: u32) -> Result<Option<u32>, SettingsError> {
    Ok(number(settings, name, 1..=u64::from(max))?.and_then(|value| u32::try_from(value).ok()))
}

pub(super) fn yes_or_no(settings: &SettingValues, name: &str) -> Result<bool, SettingsError> {
    match settings.get(name).map(str::trim) {
        None | Some("no") => Ok(false),
        Some("yes") => Ok(true),
        Some(_) => Err(wrong(name, "yes or no is expected")),
    }
}

pub(super) fn wrong(name: &str, reason: &str) -> SettingsError {
    SettingsError::Wrong { name: name.to_owned(), reason: reason.to_owned() }
}
