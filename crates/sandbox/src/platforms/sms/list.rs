//! What can be asked about messages of both directions: the list, and a message's files.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};

use super::account::{Senders, SmsSettings};
use super::send;
use crate::chats::{Author, Progress};
use crate::http::{Call, Reply};
use crate::ledger::Send;
use crate::world::World;

/// `GET /Messages.json?To=…&DateSent>=…&DateSent<=…&PageSize=…&Page=…`: of the whole Twilio account, the newest first.
pub(super) fn messages(world: &mut World, account: &str, call: &Call) -> Reply {
    let edge = |name: &str| call.query(name).and_then(|at| OffsetDateTime::parse(at, &Rfc3339).ok());
    let (from, until, to) = (edge("DateSent>"), edge("DateSent<"), call.query("To"));
    let is_asked = |at: OffsetDateTime, sent_to: &str| {
        let at = at.unix_timestamp();
        from.is_none_or(|from| at >= from.unix_timestamp())
            && until.is_none_or(|until| at <= until.unix_timestamp())
            && to.is_none_or(|to| to == sent_to)
    };
    // What waits in the queue has no date of sending yet.
    let is_known = |send: &Send| (from.is_none() && until.is_none()) || send.receipt != Progress::Accepted;
    let senders: Vec<SmsSettings> = {
        let all = &world.shelves.of::<Senders>().0;
        let sid = all.get(account).map(|sender| sender.settings.account_sid.clone());
        let same = all.values().filter(|sender| Some(&sender.settings.account_sid) == sid.as_ref());
        same.map(|sender| sender.settings.clone()).collect()
    };
    let mut found: Vec<(OffsetDateTime, Value)> = Vec::new();
    for settings in &senders {
        let sends = world.ledger.sends.iter().filter(|send| send.account == settings.sender);
        found.extend(
            sends
                .filter(|send| is_known(send) && is_asked(send.at, &send.recipient))
                .map(|send| (send.at, send::shown(settings, send))),
        );
        for (key, chat) in world.chats.iter().filter(|(key, _)| key.account == settings.sender) {
            let from = world.customers.get(&key.customer).map(|customer| customer.address("sms").to_owned());
            let theirs = chat.entries.iter().filter(|entry| entry.author == Author::Customer);
            let asked = theirs.filter(|entry| is_asked(entry.at, &settings.number));
            found.extend(asked.map(|entry| {
                let shown = json!({"sid": entry.id, "status": "received", "direction": "inbound", "from": from,
                    "to": settings.number, "body": entry.text, "num_media": usize::from(entry.media.is_some()).to_string(),
                    "messaging_service_sid": settings.is_service().then_some(&settings.sender),
                    "date_created": entry.at.format(&Rfc2822).ok(), "date_sent": entry.at.format(&Rfc2822).ok(),
                    "error_code": null});
                (entry.at, shown)
            }));
        }
    }
    found.sort_by_key(|(at, _)| *at);
    found.reverse();
    let number = |name: &str| call.query(name).and_then(|text| text.parse::<usize>().ok());
    let longest = world.shelves.of::<Senders>().0.get(account).map_or(1, |sender| sender.settings.longest_page);
    let (page, size) = (number("Page").unwrap_or(0), number("PageSize").unwrap_or(50).min(longest).max(1));
    let is_last = found.len() <= (page + 1) * size;
    let messages: Vec<Value> = found.into_iter().skip(page * size).take(size).map(|(_, shown)| shown).collect();
    let next = (!is_last).then(|| next_page(call, page + 1));
    Reply::json(200, &json!({"messages": messages, "page": page, "page_size": size, "next_page_uri": next}))
}

/// The same question for the next page.
fn next_page(call: &Call, page: usize) -> String {
    let path = call.pieces().join("/");
    let asked = call.query.iter().filter(|(name, _)| name != "Page");
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(asked)
        .append_pair("Page", &page.to_string())
        .finish();
    format!("/{path}?{query}")
}

/// `GET /Messages/{sid}/Media.json`.
pub(super) fn files(world: &mut World, account: &str, message: &str) -> Reply {
    let sid = world.shelves.of::<Senders>().0.get(account).map(|sender| sender.settings.account_sid.clone());
    let sid = sid.unwrap_or_default();
    let entries = world.chats.values().flat_map(|chat| chat.entries.iter());
    let ids = entries.filter(|entry| entry.id == message).filter_map(|entry| entry.media.as_deref());
    let files = ids.filter_map(|id| Some((id, world.files.get(id)?)));
    let shown = files.map(|(id, file)| {
        let uri = format!("/2010-04-01/Accounts/{sid}/Messages/{message}/Media/{id}.json");
        json!({"sid": id, "content_type": file.mime, "uri": uri})
    });
    Reply::json(200, &json!({"media_list": shown.collect::<Vec<_>>()}))
}
