//! What customers do, as forms.

use super::account::{SmsSettings, sender, sid};
use super::segments;
use crate::Problem;
use crate::acts::{Act, Acted, Action, MediaAct};
use crate::chats::{Author, ChatKey, Entry, Happened};
use crate::media::Media;
use crate::world::World;
use time::OffsetDateTime;

/// What a whole text means, in any case and with blanks around it.
fn keyword(text: &str, our_number: &str) -> Option<&'static str> {
    let word = text.trim().to_uppercase();
    let toll_free = ["800", "833", "844", "855", "866", "877", "888"]
        .iter()
        .any(|code| our_number.starts_with(&format!("+1{code}")));
    match (word.as_str(), toll_free) {
        ("STOP", _) | ("STOPALL" | "UNSUBSCRIBE" | "CANCEL" | "END" | "QUIT" | "REVOKE" | "OPTOUT", false) => {
            Some("STOP")
        }
        ("START" | "UNSTOP", _) | ("YES", false) => Some("START"),
        ("HELP" | "INFO", _) => Some("HELP"),
        _ => None,
    }
}

/// A customer does something.
pub(super) fn act(world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
    let settings = sender(world, &key.account)?.settings.clone();
    let customer = world.customer(&key.customer)?.clone();
    if key.via.is_some() || action.reply_to.is_some() {
        return Err(Problem::invalid("text messages have neither groups nor quotes: leave `via` and `reply_to` out"));
    }
    if customer.unreachable_on.contains("sms") {
        return Err(Problem::conflict(format!("customer `{}` has no phone any more", customer.id)));
    }
    // Twilio's forms state no time: a keyword counts when it is received, whatever `at` says.
    let at = world.now();
    let says = |world: &mut World, text: &str| writes(world, &settings, key, at, text, None);
    match &action.act {
        Act::Text { text } => Ok(says(world, text)),
        Act::Start { payload } => Ok(says(world, payload.as_deref().unwrap_or("Hello"))),
        Act::OptOut => Ok(says(world, "STOP")),
        Act::OptIn => Ok(says(world, "START")),
        Act::Media(file) => {
            let text = file.caption.clone().unwrap_or_default();
            file.content().map(|_| ())?;
            Ok(writes(world, &settings, key, at, &text, Some(file)))
        }
        // The carrier or the phone blocks the sender: nobody is told before a message fails.
        Act::Block | Act::Unblock => {
            world.chat_mut(key).blocked = matches!(action.act, Act::Block);
            Ok(Acted { message_id: None, deliveries: Vec::new(), at })
        }
        Act::Deactivate => {
            if let Some(customer) = world.customers.get_mut(&key.customer) {
                customer.unreachable_on.insert("sms".to_owned());
            }
            Ok(Acted { message_id: None, deliveries: Vec::new(), at })
        }
        Act::Read => Ok(Acted { message_id: None, deliveries: Vec::new(), at }),
        _ => Err(Problem::invalid("a text message carries words and files, and nothing else")),
    }
}

fn writes(
    world: &mut World,
    settings: &SmsSettings,
    key: &ChatKey,
    at: OffsetDateTime,
    text: &str,
    file: Option<&MediaAct>,
) -> Acted {
    let message = sid(world, if file.is_some() { "MM" } else { "SM" });
    let mut form = header(world, settings, key, &message, text);
    let media = file.and_then(|file| {
        let (mime, bytes) = file.content().ok()?;
        let id = sid(world, "ME");
        let address = format!(
            "https://api.twilio.com/2010-04-01/Accounts/{}/Messages/{message}/Media/{id}",
            settings.account_sid
        );
        form.extend([("MediaContentType0", mime.clone()), ("MediaUrl0", address)]);
        let (account, file_name) = (key.account.clone(), file.file_name.clone());
        world.files.keep(Media { id: id.clone(), account, mime, file_name, bytes, at });
        Some(id)
    });
    form.push(("NumMedia", usize::from(media.is_some()).to_string()));
    let word = keyword(text, &settings.number);
    if let Some(word) = word.filter(|_| settings.advanced_opt_out) {
        form.push(("OptOutType", word.to_owned()));
    }
    let mut entry = Entry::new(&message, Author::Customer, at, if media.is_some() { "mms" } else { "sms" }, text);
    entry.media = media;
    let chat = world.chat_mut(key);
    chat.entries.push(entry);
    chat.history.push(Happened { at, kind: "message".to_owned() });
    if let Some(word) = word {
        chat.history.push(Happened { at, kind: word.to_lowercase() });
        // Twilio answers the keywords itself.
        let answer = match word {
            "STOP" => {
                "You have successfully been unsubscribed. You will not receive any more messages. Reply START to resubscribe."
            }
            "START" => "You have successfully been re-subscribed. Reply HELP for help. Reply STOP to unsubscribe.",
            _ => "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
        };
        chat.entries.push(Entry::new(format!("auto-{message}"), Author::Elsewhere, at, "sms", answer));
    }
    let deliveries = super::report(world, &key.account, "message", None, &form).into_iter().collect();
    Acted { message_id: Some(message), deliveries, at }
}

/// What every inbound message says.
fn header(
    world: &World,
    settings: &SmsSettings,
    key: &ChatKey,
    message: &str,
    text: &str,
) -> Vec<(&'static str, String)> {
    let from = world.customers.get(&key.customer).map(|customer| customer.address("sms").to_owned());
    let mut form = vec![
        ("ToCountry", "US".to_owned()),
        ("ToState", String::new()),
        ("SmsMessageSid", message.to_owned()),
        ("SmsSid", message.to_owned()),
        ("SmsStatus", "received".to_owned()),
        ("Body", text.to_owned()),
        ("To", settings.number.clone()),
        ("NumSegments", segments::count(text).to_string()),
        ("MessageSid", message.to_owned()),
        ("AccountSid", settings.account_sid.clone()),
        ("From", from.unwrap_or_default()),
        ("ApiVersion", "2010-04-01".to_owned()),
    ];
    if settings.is_service() {
        form.push(("MessagingServiceSid", settings.sender.clone()));
    }
    form
}
