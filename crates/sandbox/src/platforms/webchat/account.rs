//! A widget on a site, and the browsers of its visitors.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;

use crate::Problem;
use crate::names::mix;
use crate::platforms::kit::{hmac_sha256, merged};
use crate::world::World;

/// The settings of a widget. What is left out when it is made is made up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebchatSettings {
    /// The widget's id: the account's id.
    pub widget: String,
    /// The site that shows it.
    pub origin: String,
    /// What the site proves with who a visitor is.
    pub identity_secret: String,
    /// What the service signs visitors' events with for itself; no visitor knows it.
    pub event_secret: String,
    /// The service paces visitors, not the sandbox: taken, and without effect.
    pub pacing: bool,
}

/// A widget at work.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) settings: WebchatSettings,
    /// By the customer.
    pub(super) browsers: BTreeMap<String, Browser>,
    /// Rings when somebody opens the page.
    pub(super) bell: Arc<Notify>,
}

impl Site {
    /// Wakes everybody, to see that the widget is gone or has changed.
    pub(super) fn ring_all(&self) {
        self.bell.notify_one();
        self.browsers.values().for_each(|browser| browser.bell.notify_one());
    }
}

/// One visitor's browser: what it stores, and what waits there to be sent.
#[derive(Debug, Default)]
pub(super) struct Browser {
    pub(super) token: Option<String>,
    pub(super) visitor_id: Option<String>,
    pub(super) conversation: Option<String>,
    /// The newest event that is stored.
    pub(super) seq: u64,
    /// The site says who this is.
    pub(super) identified: bool,
    /// The page is open.
    pub(super) open: bool,
    /// Somebody keeps its line.
    pub(super) kept: bool,
    /// Counts the pages that were opened: who was told to start anew shows as a later one.
    pub(super) generation: u64,
    pub(super) out: VecDeque<Outgoing>,
    /// Rings when there is something new to do.
    pub(super) bell: Arc<Notify>,
}

/// What waits in a browser.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) frame: Value,
    /// Files to be uploaded first; their ids become the frame's attachments.
    pub(super) files: Vec<Upload>,
    /// The key of an answer; a frame without one is followed by a ping, whose pong says that it was read.
    pub(super) client_id: Option<String>,
}

/// A file on its way.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub(super) name: String,
    pub(super) mime: String,
    pub(super) bytes: bytes::Bytes,
}

/// All widgets of the sandbox, by their id.
#[derive(Debug, Default)]
pub(super) struct Sites(pub(super) BTreeMap<String, Site>);

/// A widget, by its id.
pub(super) fn site<'a>(world: &'a mut World, account: &str) -> Result<&'a mut Site, Problem> {
    let found = world.shelves.of::<Sites>().0.get_mut(account);
    found.ok_or_else(|| Problem::not_found(format!("there is no widget `{account}`")))
}

/// A visitor's browser, if they ever had one.
pub(super) fn browser<'a>(world: &'a mut World, account: &str, customer: &str) -> Option<&'a mut Browser> {
    site(world, account).ok()?.browsers.get_mut(customer)
}

/// Makes a widget.
pub(super) fn open(world: &mut World, _name: Option<&str>, given: &Value) -> Result<String, Problem> {
    let number = world.names.number();
    let made_up = WebchatSettings {
        widget: format!("wgt_{number}"),
        origin: "https://shop.example".to_owned(),
        identity_secret: world.names.token(32),
        event_secret: world.names.token(32),
        pacing: false,
    };
    let settings: WebchatSettings = merged(&made_up, given)?;
    let id = settings.widget.clone();
    if world.accounts.contains_key(&id) {
        return Err(Problem::conflict(format!("there is an account `{id}` already")));
    }
    let site = Site { settings, browsers: BTreeMap::new(), bell: Arc::default() };
    world.shelves.of::<Sites>().0.insert(id.clone(), site);
    Ok(id)
}

/// Changes a widget's settings.
pub(super) fn patch(world: &mut World, account: &str, given: &Value) -> Result<(), Problem> {
    let found = site(world, account)?;
    let changed: WebchatSettings = merged(&found.settings, given)?;
    if changed.widget != account {
        return Err(Problem::invalid("widget is the account's id and stays"));
    }
    found.settings = changed;
    Ok(())
}

/// A key of a visitor's message: a UUID.
pub(super) fn client_id(world: &mut World) -> String {
    let (seed, number) = (world.names.seed(), world.names.number());
    let digits = format!("{:016x}{:016x}", mix(seed ^ number), mix(seed.rotate_left(17) ^ number));
    let piece = |from, to| digits.get(from..to).unwrap_or_default();
    format!("{}-{}-4{}-a{}-{}", piece(0, 8), piece(8, 12), piece(13, 16), piece(17, 20), piece(20, 32))
}

/// What a site says who a visitor is with (webchat.md 3): HMAC-SHA256 of its own id of them, in lower-case hexadecimal digits.
pub fn proof(identity_secret: &str, external_id: &str) -> String {
    hex::encode(hmac_sha256(identity_secret.as_bytes(), external_id.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_the_sheets() {
        let expected = "dcf095e81804485db346fcd83e89b8b97f938355764f19d6627dd6acca78e903";
        assert_eq!(proof("idsecret", "cust-42"), expected);
    }
}
