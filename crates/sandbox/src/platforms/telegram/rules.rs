//! Telegram's rules, from its documents and the raw history.
//!
//! A bot may write to whoever has started it and does not block it, without end. For a business account it may write within
//! 24 hours of the customer's last message in that chat. A join request gives five minutes.

use time::{Duration, OffsetDateTime};

use super::bot::{Bots, Connection, Group, bot, private_chat, user_id};
use super::errors::BotError;
use super::params::Params;
use crate::chats::ChatKey;
use crate::ledger::{Window, WindowState};
use crate::people::Customer;
use crate::platforms::{Ask, Because, Verdict};
use crate::world::World;
use serde_json::Value;

const BUSINESS_WINDOW: Duration = Duration::hours(24);
const JOIN_REQUEST: Duration = Duration::minutes(5);

/// Where a message is to go.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) key: ChatKey,
    pub(super) chat_id: i64,
    pub(super) chat: Value,
    pub(super) customer: Option<Customer>,
    pub(super) connection: Option<Connection>,
    group: Option<Group>,
}

impl Target {
    /// The chat that the parameters name.
    pub(super) fn find(world: &mut World, account: &str, params: &Params) -> Result<Self, BotError> {
        let chat_id = params.needed("chat_id")?;
        let connection = params.text("business_connection_id");
        let number: i64 = chat_id.parse().map_err(|_| BotError::bad("chat not found"))?;
        let found = world.shelves.of::<Bots>().0.get(account).ok_or_else(BotError::not_found)?;
        let connection = match connection {
            None => None,
            Some(id) => {
                Some(found.connections.get(&id).cloned().ok_or_else(|| BotError::bad("BUSINESS_CONNECTION_INVALID"))?)
            }
        };
        if let Some(group) = found.groups.get(&number) {
            let key = ChatKey { account: account.to_owned(), customer: String::new(), via: Some(chat_id) };
            return Ok(Self {
                key,
                chat_id: number,
                chat: group.chat(),
                customer: None,
                connection: None,
                group: Some(group.clone()),
            });
        }
        let customer =
            world.customer_at("telegram", &chat_id).cloned().ok_or_else(|| BotError::bad("chat not found"))?;
        let via = connection.as_ref().map(|connection| connection.id.clone());
        let key = ChatKey { via, ..ChatKey::direct(account, &customer.id) };
        Ok(Self {
            key,
            chat_id: user_id(&customer),
            chat: private_chat(&customer),
            customer: Some(customer),
            connection,
            group: None,
        })
    }

    /// The id of a message of this chat, as a caller would store it.
    pub(super) fn full_id(&self, message: i64) -> String {
        format!("{}:{message}", self.chat_id)
    }
}

/// Whether the bot may write there now; the window at that instant if it may.
pub(super) fn permission(world: &World, target: &Target, now: OffsetDateTime) -> Result<Window, BotError> {
    if let Some(group) = &target.group {
        if let Some(moved) = group.migrated_to {
            let mut error = BotError::bad("group chat was upgraded to a supergroup chat");
            error.parameters = Some(serde_json::json!({"migrate_to_chat_id": moved}));
            return Err(error);
        }
        if group.kicked {
            return Err(BotError::forbidden(&format!("bot was kicked from the {} chat", group.kind)));
        }
        return Ok(Window::unlimited(Some(now)));
    }
    let deactivated = target.customer.as_ref().is_some_and(|customer| customer.unreachable_on.contains("telegram"));
    if deactivated {
        return Err(BotError::forbidden("user is deactivated"));
    }
    let window = window(world, &target.key, now);
    if let Some(connection) = &target.connection {
        if !connection.is_enabled || !connection.can_reply {
            return Err(BotError::bad("not enough rights to send messages on behalf of the business account"));
        }
        if connection.excluded.contains(&target.key.customer) {
            return Err(BotError::bad("BUSINESS_PEER_INVALID"));
        }
        return if window.is_open() { Ok(window) } else { Err(BotError::bad("BUSINESS_PEER_USAGE_MISSING")) };
    }
    if world.chats.get(&target.key).is_some_and(|chat| chat.blocked) {
        return Err(BotError::forbidden("bot was blocked by the user"));
    }
    if window.is_open() { Ok(window) } else { Err(BotError::forbidden("bot can't initiate conversation with a user")) }
}

/// The window of a private or business chat.
pub(super) fn window(world: &World, key: &ChatKey, now: OffsetDateTime) -> Window {
    let Some(chat) = world.chats.get(key) else { return Window::unlimited(None) };
    if key.via.is_some() {
        return Window::rolling(chat.latest(|kind| kind == "business_message"), BUSINESS_WINDOW, now);
    }
    let first = chat.history.iter().filter(|happened| starts(&happened.kind)).map(|happened| happened.at).min();
    match (first, chat.latest(|kind| kind == "chat_join_request")) {
        (None, Some(asked)) => Window::rolling(Some(asked), JOIN_REQUEST, now),
        (first, _) => Window::unlimited(first),
    }
}

/// What makes a person one who has started the bot.
fn starts(kind: &str) -> bool {
    matches!(kind, "message" | "callback_query")
}

/// What the window says to a message now. There are no quotas here.
pub(super) fn would_accept(world: &mut World, key: &ChatKey, _ask: &Ask, now: OffsetDateTime) -> Verdict {
    let in_group = key.via.as_deref().and_then(|via| via.parse::<i64>().ok());
    let in_group = in_group.is_some_and(|id| bot(world, &key.account).is_ok_and(|bot| bot.groups.contains_key(&id)));
    let window = if in_group { Window::unlimited(Some(now)) } else { window(world, key, now) };
    let because = match window.state {
        WindowState::Open | WindowState::None => None,
        WindowState::NeverOpened => Some(Because::NeverOpened),
        WindowState::Closed => Some(Because::WindowClosed),
    };
    let code = because.map(|_| if key.via.is_some() { 400 } else { 403 });
    let blocked = world.chats.get(key).is_some_and(|chat| chat.blocked);
    Verdict { allowed: because.is_none(), because, code, window, quota: None, blocked, opted_out: false }
}
