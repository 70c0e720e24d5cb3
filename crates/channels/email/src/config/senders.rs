//! The addresses that may be written from.

use serde::Deserialize;
use transom_channel::{SettingValues, SettingsError};
use transom_domain::SenderAddress;

use super::settings::{SENDER_NAME, SENDERS};
use super::value::{address, wrong};
use crate::address::Mailbox;

/// A sender as the settings give it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sender {
    address: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    reply_to: Option<String>,
    #[serde(default)]
    default: bool,
}

pub(super) fn senders(settings: &SettingValues, mailbox: &Mailbox) -> Result<Vec<SenderAddress>, SettingsError> {
    let Some(list) = settings.get(SENDERS) else {
        let name = settings.get(SENDER_NAME).map(|name| shown(SENDER_NAME, name)).transpose()?;
        return Ok(vec![SenderAddress { address: mailbox.as_str().to_owned(), name, reply_to: None, default: true }]);
    };
    let expected = "a JSON list of objects with address, name, reply_to and default is expected";
    let list: Vec<Sender> = serde_json::from_str(list).map_err(|_| wrong(SENDERS, expected))?;
    let mut senders = Vec::with_capacity(list.len());
    for sender in list {
        let read = address(SENDERS, &sender.address)?;
        let reply_to = sender.reply_to.map(|text| address(SENDERS, &text)).transpose()?;
        senders.push(SenderAddress {
            address: read.as_str().to_owned(),
            name: sender.name.map(|name| shown(SENDERS, &name)).transpose()?,
            reply_to: reply_to.map(|reply_to| reply_to.as_str().to_owned()),
            default: sender.default,
        });
    }
    let mut keys: Vec<String> = senders.iter().map(|sender| sender.address.to_ascii_lowercase()).collect();
    keys.sort_unstable();
    keys.dedup();
    if senders.is_empty() || keys.len() < senders.len() {
        return Err(wrong(SENDERS, "at least one sender is needed, and each address once"));
    }
    match senders.iter().filter(|sender| sender.default).count() {
        0 => senders.iter_mut().take(1).for_each(|sender| sender.default = true),
        1 => {}
        _ => return Err(wrong(SENDERS, "only one sender is the default")),
    }
    Ok(senders)
}

/// A name for a header: one line.
fn shown(setting: &str, name: &str) -> Result<String, SettingsError> {
    let name = name.trim();
    match name.chars().any(char::is_control) || name.chars().count() > 100 {
        true => Err(wrong(setting, "a name is one line of at most 100 characters")),
        false => Ok(name.to_owned()),
    }
}
