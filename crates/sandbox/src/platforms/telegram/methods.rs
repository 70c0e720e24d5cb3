//! The methods that do not send.

use std::time::Duration as Pause;

use serde_json::{Value, json};
use time::Duration;

use super::bot::{Bots, Connection, bot, is_secret, private_chat, user, user_id};
use super::errors::{BotError, ok};
use super::params::Params;
use super::rules::{Target, permission};
use super::{files, send};
use crate::chats::{Author, Chat, Entry, Progress};
use crate::deliveries::DeliveryState;
use crate::http::Reply;
use crate::sandbox::Shared;
use crate::world::World;

/// Carries a method out; its name is in lower case, since the server does not mind.
pub(super) async fn call(shared: &Shared, account: &str, method: &str, params: &Params) -> Result<Reply, BotError> {
    if method == "getupdates" {
        return get_updates(shared, account, params).await;
    }
    if sends(method) {
        return send::send(shared, account, method, params).await;
    }
    let world = &mut *shared.world();
    match method {
        "getme" => {
            let bot = bot_of(world, account)?;
            let mut me = bot.user();
            if let Value::Object(me) = &mut me {
                me.insert("can_join_groups".to_owned(), json!(true));
                me.insert("can_read_all_group_messages".to_owned(), json!(!bot.settings.privacy_mode));
                me.insert("supports_inline_queries".to_owned(), json!(false));
                me.insert("can_connect_to_business".to_owned(), json!(true));
            }
            Ok(ok(&me))
        }
        "setwebhook" => set_webhook(world, account, params),
        "deletewebhook" => {
            change_webhook(world, account, None, params.flag("drop_pending_updates"));
            Ok(ok(&json!(true)))
        }
        "getwebhookinfo" => webhook_info(world, account),
        "getfile" => files::get_file(world, account, &params.needed("file_id")?),
        "getchat" => get_chat(world, account, params),
        "getuserprofilephotos" => Ok(ok(&json!({"total_count": 0, "photos": []}))),
        "getbusinessconnection" => {
            let id = params.needed("business_connection_id")?;
            let connection = bot_of(world, account)?.connections.get(&id).cloned();
            let connection = connection.ok_or_else(|| BotError::bad("BUSINESS_CONNECTION_INVALID"))?;
            Ok(ok(&connection_view(world, &connection)))
        }
        "readbusinessmessage" => read_business_message(world, account, params),
        "answercallbackquery" => answer_callback(world, account, params),
        "sendchataction" => {
            params.needed("action")?;
            let target = Target::find(world, account, params)?;
            permission(world, &target, world.now())?;
            Ok(ok(&json!(true)))
        }
        "setmessagereaction" => set_reaction(world, account, params),
        "editmessagetext" | "editmessagecaption" | "editmessagereplymarkup" => edit(world, account, method, params),
        "deletemessage" => delete(world, account, params),
        "logout" | "close" | "setmycommands" | "deletemycommands" | "setmydescription" => Ok(ok(&json!(true))),
        "getmycommands" => Ok(ok(&json!([]))),
        _ => Err(BotError::not_found()),
    }
}

/// Does what an answer to a webhook asks for; nobody hears what came of it. Only answers to taps are known here.
pub(super) fn asked_for(world: &mut World, account: &str, answer: &[u8]) {
    let Some((method, params)) = Params::of_answer(answer) else { return };
    let done = match method.as_str() {
        "answercallbackquery" => answer_callback(world, account, &params).err().map(|error| error.description),
        _ => Some("the sandbox does nothing else that is asked for so".to_owned()),
    };
    if let Some(why) = done {
        tracing::warn!(method, why, "asked for in the answer to a webhook");
    }
}

/// Whether a method puts a message into a chat.
pub(super) fn sends(method: &str) -> bool {
    (method.starts_with("send") && method != "sendchataction") || matches!(method, "copymessage" | "forwardmessage")
}

fn bot_of<'a>(world: &'a mut World, account: &str) -> Result<&'a mut super::bot::Bot, BotError> {
    bot(world, account).map_err(|_| BotError::new(401, "Unauthorized"))
}

fn set_webhook(world: &mut World, account: &str, params: &Params) -> Result<Reply, BotError> {
    let drop = params.flag("drop_pending_updates");
    let Some(address) = params.text("url").filter(|address| !address.is_empty()) else {
        change_webhook(world, account, None, drop);
        return Ok(ok(&json!(true)));
    };
    let url = url::Url::parse(&address).map_err(|_| BotError::bad("bad webhook: URL is invalid"))?;
    let loopback = matches!(url.host(), Some(url::Host::Ipv4(ip)) if ip.is_loopback())
        || url.host_str().is_some_and(|host| host == "localhost" || host == "[::1]");
    if !loopback {
        if url.scheme() != "https" {
            return Err(BotError::bad("bad webhook: An HTTPS URL must be provided for webhook"));
        }
        if !matches!(url.port_or_known_default(), Some(443 | 80 | 88 | 8_443)) {
            return Err(BotError::bad("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443"));
        }
    }
    let secret = params.text("secret_token").filter(|secret| !secret.is_empty());
    if secret.as_deref().is_some_and(|secret| !is_secret(secret)) {
        return Err(BotError::bad("secret token contains unallowed characters"));
    }
    let allowed: Option<Vec<String>> = match params.nested("allowed_updates")? {
        None => None,
        Some(list) => Some(serde_json::from_value(list).map_err(|_| BotError::bad("can't parse allowed_updates"))?),
    };
    let bot = bot_of(world, account)?;
    bot.settings.secret_token = secret;
    // Left out means: as before.
    bot.settings.allowed_updates = allowed.or(bot.settings.allowed_updates.take());
    change_webhook(world, account, Some(address), drop);
    Ok(ok(&json!(true)))
}

fn change_webhook(world: &mut World, account: &str, url: Option<String>, drop_pending: bool) {
    let Some(account) = world.accounts.get_mut(account) else { return };
    account.webhook_url = url;
    if drop_pending {
        account.queue.waiting.clear();
    }
    account.queue.ring();
}

fn webhook_info(world: &mut World, account: &str) -> Result<Reply, BotError> {
    let allowed = bot_of(world, account)?.settings.allowed_updates.clone();
    let account = world.accounts.get(account).ok_or_else(BotError::not_found)?;
    let last =
        world.deliveries.all.values().rev().filter(|one| one.account == account.id).find_map(|one| one.tries.last());
    let mut info = json!({
        "url": account.webhook_url.as_deref().unwrap_or_default(),
        "has_custom_certificate": false,
        "pending_update_count": account.queue.waiting.len(),
        "max_connections": 1,
    });
    if let Value::Object(info) = &mut info {
        if let Some(allowed) = allowed {
            info.insert("allowed_updates".to_owned(), json!(allowed));
        }
        if let Some(failed) = last.filter(|one| !one.status.is_some_and(|status| (200..300).contains(&status))) {
            let why = match failed.status {
                Some(status) => format!("Wrong response from the webhook: {status}"),
                None => failed.error.clone().unwrap_or_default(),
            };
            info.insert("last_error_date".to_owned(), json!(failed.at.unix_timestamp()));
            info.insert("last_error_message".to_owned(), json!(why));
        }
    }
    Ok(ok(&info))
}

/// Long polling: the other way to receive.
async fn get_updates(shared: &Shared, account: &str, params: &Params) -> Result<Reply, BotError> {
    let conflict =
        "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";
    let patience = Pause::from_secs(u64::try_from(params.number("timeout").unwrap_or(0)).unwrap_or(0).min(50));
    let limit = usize::try_from(params.number("limit").unwrap_or(100)).unwrap_or(100).clamp(1, 100);
    let me = {
        let mut world = shared.world();
        if world.accounts.get(account).is_some_and(|account| account.webhook_url.is_some()) {
            return Err(BotError::new(409, conflict));
        }
        if let Some(list) = params.nested("allowed_updates")? {
            bot_of(&mut world, account)?.settings.allowed_updates = serde_json::from_value(list).ok();
        }
        let bot = bot_of(&mut world, account)?;
        bot.pollers += 1;
        let me = bot.pollers;
        if let Some(offset) = params.number("offset") {
            confirm(&mut world, account, offset);
        }
        me
    };
    let end = tokio::time::Instant::now() + patience;
    loop {
        let waiting = {
            let mut world = shared.world();
            if bot_of(&mut world, account)?.pollers != me {
                let why =
                    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
                return Err(BotError::new(409, why));
            }
            if world.accounts.get(account).is_some_and(|account| account.webhook_url.is_some()) {
                return Err(BotError::new(409, "Conflict: terminated by setWebhook request"));
            }
            waiting(&world, account, limit)
        };
        if !waiting.is_empty() || tokio::time::Instant::now() >= end {
            return Ok(ok(&Value::Array(waiting)));
        }
        tokio::time::sleep(Pause::from_millis(10)).await;
    }
}

fn waiting(world: &World, account: &str, limit: usize) -> Vec<Value> {
    let Some(account) = world.accounts.get(account).filter(|account| !account.queue.held) else { return Vec::new() };
    let bodies = account.queue.waiting.iter().filter_map(|id| world.deliveries.get(*id));
    bodies.filter_map(|delivery| serde_json::from_str(delivery.body.get()).ok()).take(limit).collect()
}

/// Updates below the offset were received. A negative offset keeps the last ones only.
fn confirm(world: &mut World, account: &str, offset: i64) {
    let all: Vec<(u64, i64)> = {
        let Some(account) = world.accounts.get(account) else { return };
        let update = |id: &u64| {
            let body: Value = serde_json::from_str(world.deliveries.get(*id)?.body.get()).ok()?;
            Some((*id, body.get("update_id")?.as_i64()?))
        };
        account.queue.waiting.iter().filter_map(update).collect()
    };
    let kept = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
    let negative_from = all.len().saturating_sub(kept);
    let received: Vec<u64> = all
        .iter()
        .enumerate()
        .filter(|(at, (_, update))| if offset < 0 { *at < negative_from } else { *update < offset })
        .map(|(_, (id, _))| *id)
        .collect();
    for id in received {
        if let Some(account) = world.accounts.get_mut(account) {
            account.queue.done(id);
        }
        if let Some(delivery) = world.deliveries.get_mut(id) {
            delivery.state = DeliveryState::Delivered;
        }
    }
}

fn get_chat(world: &mut World, account: &str, params: &Params) -> Result<Reply, BotError> {
    let target = Target::find(world, account, params)?;
    let met = target.customer.is_none()
        || world.chats.iter().any(|(key, _)| key.account == account && key.customer == target.key.customer);
    if !met {
        return Err(BotError::bad("chat not found"));
    }
    let mut chat = target.customer.as_ref().map_or(target.chat.clone(), private_chat);
    if let (Value::Object(chat), Some(customer)) = (&mut chat, &target.customer) {
        chat.insert("bio".to_owned(), json!(format!("{} in the sandbox", customer.name)));
    }
    Ok(ok(&chat))
}

/// A business connection, as the API shows it.
pub(super) fn connection_view(world: &World, connection: &Connection) -> Value {
    let owner = world.customers.get(&connection.owner);
    json!({
        "id": connection.id,
        "user": owner.map(user),
        "user_chat_id": owner.map(user_id),
        "date": connection.date.unix_timestamp(),
        "rights": {"can_reply": connection.can_reply, "can_read_messages": true},
        "is_enabled": connection.is_enabled,
    })
}

fn read_business_message(world: &mut World, account: &str, params: &Params) -> Result<Reply, BotError> {
    params.needed("business_connection_id")?;
    let target = Target::find(world, account, params)?;
    let message = params.number("message_id").ok_or_else(|| BotError::bad("message not found"))?;
    let id = target.full_id(message);
    let entry = world.chats.get_mut(&target.key).and_then(|chat| chat.entry_mut(&id));
    entry.ok_or_else(|| BotError::bad("message not found"))?.progress = Progress::Read;
    Ok(ok(&json!(true)))
}

/// A tap waits for its answer for some minutes; the reference does not say how many.
const CALLBACK_LIFE: Duration = Duration::minutes(15);

fn answer_callback(world: &mut World, account: &str, params: &Params) -> Result<Reply, BotError> {
    let (id, now) = (params.needed("callback_query_id")?, world.now());
    if params.text("text").is_some_and(|text| super::entities::units(&text) > 200) {
        return Err(BotError::bad("MESSAGE_TOO_LONG"));
    }
    match bot_of(world, account)?.callbacks.remove(&id) {
        Some(since) if now < since + CALLBACK_LIFE => Ok(ok(&json!(true))),
        _ => Err(BotError::bad("query is too old and response timeout expired or query ID is invalid")),
    }
}

/// The message that the parameters name, in its chat.
fn message<'a>(
    world: &'a mut World,
    account: &str,
    params: &Params,
    missing: &str,
) -> Result<(Target, &'a mut Entry), BotError> {
    let target = Target::find(world, account, params)?;
    let number = params.number("message_id").ok_or_else(|| BotError::bad("message identifier is not specified"))?;
    let id = target.full_id(number);
    let chat: Option<&mut Chat> = world.chats.get_mut(&target.key);
    let entry = chat.and_then(|chat| chat.entry_mut(&id)).filter(|entry| !entry.deleted);
    let entry = entry.ok_or_else(|| BotError::bad(missing))?;
    Ok((target, entry))
}

fn set_reaction(world: &mut World, account: &str, params: &Params) -> Result<Reply, BotError> {
    let wanted = params.nested("reaction")?.unwrap_or_else(|| json!([]));
    let emoji = wanted.get(0).and_then(|reaction| reaction.get("emoji")).and_then(Value::as_str).map(str::to_owned);
    let (_, entry) = message(world, account, params, "message to react not found")?;
    match emoji {
        Some(emoji) => entry.reactions.insert(String::new(), emoji),
        None => entry.reactions.remove(""),
    };
    Ok(ok(&json!(true)))
}

fn edit(world: &mut World, account: &str, method: &str, params: &Params) -> Result<Reply, BotError> {
    let (buttons, links) = send::buttons(params.nested("reply_markup")?.as_ref())?;
    let now = world.now();
    let text = match method {
        "editmessagetext" => Some(send::checked_text(params)?.0),
        "editmessagecaption" => Some(params.text("caption").unwrap_or_default()),
        _ => None,
    };
    if method == "editmessagecaption" && text.as_ref().is_some_and(|text| super::entities::units(text) > 1_024) {
        return Err(BotError::bad("message caption is too long"));
    }
    let me = bot_of(world, account)?.user();
    let (target, entry) = message(world, account, params, "message to edit not found")?;
    if entry.author != Author::Business {
        return Err(BotError::bad("message can't be edited"));
    }
    let same_text = text.as_ref().is_none_or(|text| *text == entry.text);
    if same_text && buttons == entry.buttons && links == entry.links {
        let why = "message is not modified: specified new message content and reply markup are exactly the same as a \
                   current content and reply markup of the message";
        return Err(BotError::bad(why));
    }
    entry.text = text.unwrap_or_else(|| std::mem::take(&mut entry.text));
    (entry.buttons, entry.links, entry.edited) = (buttons, links, true);
    let mut edited = send::stub(&target, entry);
    if let Value::Object(edited) = &mut edited {
        edited.insert("from".to_owned(), me);
        edited.insert("edit_date".to_owned(), json!(now.unix_timestamp()));
    }
    Ok(ok(&edited))
}

fn delete(world: &mut World, account: &str, params: &Params) -> Result<Reply, BotError> {
    let now = world.now();
    let (_, entry) = message(world, account, params, "message to delete not found")?;
    if now >= entry.at + Duration::hours(48) {
        return Err(BotError::bad("message can't be deleted for everyone"));
    }
    entry.deleted = true;
    Ok(ok(&json!(true)))
}

/// The bot that a token belongs to.
pub(super) fn account_of(world: &mut World, token: &str) -> Result<String, BotError> {
    let well_formed = token.split_once(':').is_some_and(|(id, _)| id.parse::<i64>().is_ok());
    if !well_formed {
        return Err(BotError::not_found());
    }
    let mut bots = world.shelves.of::<Bots>().0.iter();
    let found = bots.find(|(_, bot)| bot.settings.token == token).map(|(id, _)| id.clone());
    found.ok_or_else(|| BotError::new(401, "Unauthorized"))
}
