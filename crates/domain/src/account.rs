//! Connected apps and the accounts behind them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{ChannelAccountId, ConnectionId};

/// An app on a platform: its secrets and its webhook address. One connection serves one or more accounts.
///
/// The secrets themselves stay in the vault; this is what may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Its id, part of its public webhook address.
    pub id: ConnectionId,
    /// The platform's name, as the registry lists it.
    pub platform: String,
    /// A name for people.
    pub name: String,
}

/// One number, page, bot or mailbox that can be written from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelAccount {
    /// Its id.
    pub id: ChannelAccountId,
    /// The connection that holds its secrets.
    pub connection: ConnectionId,
    /// The platform's name, as the registry lists it.
    pub platform: String,
    /// The policy that decides what may be sent; the platform's own unless a variant was chosen.
    pub policy: String,
    /// A name for people.
    pub name: String,
    /// How the platform names this account in its webhooks.
    pub external_key: String,
    /// Features that the platform granted to this account, as the policy names them.
    pub features: BTreeSet<String>,
    /// Limits set for this account in place of the policy's defaults: quota name to limit, `None` for none at all.
    pub limits: BTreeMap<String, Option<u32>>,
    /// Accounts with the same group share the quotas of scope `group`.
    pub quota_group: Option<String>,
    /// The account's country (ISO 3166-1 alpha-2), where the policy asks for it.
    pub country: Option<String>,
    /// Whether anything is sent or accepted.
    pub enabled: bool,
    /// Why the platform, or we, stopped this account; `None` while it works.
    pub suspended: Option<String>,
    /// When it was removed: its conversations can still be read, and nothing goes in or out any more.
    pub removed_at: Option<OffsetDateTime>,
}
