//! What customers do, as Meta's webhooks tell it.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::envelope::{from_customer, report, report_change, to_customer};
use super::page::{self, Comment, Comments, millis};
use super::send::object;
use super::{Side, receipts};
use crate::Problem;
use crate::acts::{Act, Acted, Action, MediaAct};
use crate::chats::{Author, Button, ChatKey, Entry, Happened};
use crate::media::Media;
use crate::people::Customer;
use crate::world::{Receipts, World};

/// One act of one customer on one account, on its way into the world.
struct Scene<'a> {
    world: &'a mut World,
    side: &'static Side,
    key: &'a ChatKey,
    customer: Customer,
    at: OffsetDateTime,
    id: String,
    reply_to: Option<String>,
}

/// A customer does something.
pub(super) fn act(world: &mut World, side: &'static Side, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
    page::settings(world, &key.account)?;
    let customer = world.customer(&key.customer)?.clone();
    if key.via.is_some() {
        return Err(Problem::invalid(format!(
            "{} has no business connections and groups here: leave `via` out",
            side.name
        )));
    }
    let at = whole_millis(action.at.unwrap_or_else(|| world.now()));
    let chat = world.chat_mut(key);
    let talks = !matches!(action.act, Act::Block | Act::Unblock | Act::Deactivate | Act::Echo { .. });
    if talks && (chat.blocked || customer.unreachable_on.contains(side.name)) {
        let why = if chat.blocked { "blocks this account" } else { "is not there any more" };
        return Err(Problem::conflict(format!("customer `{}` {why}", customer.id)));
    }
    if let Some(quoted) = &action.reply_to
        && chat.entry(quoted).is_none()
    {
        return Err(Problem::not_found(format!("there is no message `{quoted}` to quote")));
    }
    let id = format!("{}{:012X}{:08X}", side.mid, world.names.seed(), world.names.number());
    Scene { world, side, key, customer, at, id, reply_to: action.reply_to.clone() }.play(&action.act)
}

/// Cut to the millisecond, which is all that a webhook carries.
fn whole_millis(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(at.nanosecond() / 1_000_000 * 1_000_000).unwrap_or(at)
}

impl Scene<'_> {
    fn play(self, act: &Act) -> Result<Acted, Problem> {
        match act {
            Act::Text { text } => Ok(self.says(text, [("text", json!(text))], None)),
            Act::Start { payload } => {
                let payload = payload.as_deref().unwrap_or("GET_STARTED");
                Ok(self.taps_button("Get started", payload))
            }
            Act::Ad { text, headline } => {
                let referral = json!({
                    "ref": "spring", "ad_id": "120000000000001", "source": "ADS", "type": "OPEN_THREAD",
                    "ads_context_data": {"ad_title": headline.as_deref().unwrap_or("Sale"), "photo_url": "https://fb.example/ad.jpg"},
                });
                Ok(self.says(text, [("text", json!(text)), ("referral", referral)], None))
            }
            Act::Media(file) => self.sends_file(file),
            Act::Location { latitude, longitude, name, .. } if !self.side.is_instagram => {
                let title = name.as_deref().unwrap_or("Pinned location");
                let place = json!([{"type": "location", "title": title,
                    "payload": {"coordinates": {"lat": latitude, "long": longitude}}}]);
                Ok(self.says(title, [("attachments", place)], None))
            }
            Act::Reaction { message_id, emoji } => self.reacts(message_id, emoji.as_deref()),
            Act::Button { message_id, data, text } | Act::Choice { message_id, id: data, title: text } => {
                self.taps(message_id, data, text.as_deref())
            }
            Act::Edit { message_id, text } => self.edits(message_id, text),
            Act::Delete { message_id } if self.side.is_instagram => self.unsends(message_id),
            Act::Read => Ok(self.reads()),
            Act::Block => Ok(self.turns(|chat| chat.blocked = true)),
            Act::Unblock => Ok(self.turns(|chat| chat.blocked = false)),
            Act::Deactivate => {
                if let Some(customer) = self.world.customers.get_mut(&self.key.customer) {
                    customer.unreachable_on.insert(self.side.name.to_owned());
                }
                Ok(self.turns(|_| ()))
            }
            Act::Echo { text } => Ok(self.answered_elsewhere(text)),
            Act::Unsupported if self.side.is_instagram => {
                Ok(self.says("(not supported)", [("is_unsupported", json!(true))], None))
            }
            Act::Unsupported => {
                Ok(self.says("(not supported)", [("attachments", json!([{"type": "fallback"}]))], None))
            }
            Act::Other { kind, data } => self.does(kind, data),
            other => Err(Problem::invalid(format!("{} has nothing like {other:?}", self.side.name))),
        }
    }

    /// The customer says something that stands on the phone.
    fn says<const N: usize>(mut self, shown: &str, fields: [(&'static str, Value); N], media: Option<String>) -> Acted {
        let before = self.reads_first();
        let mut entry = Entry::new(&self.id, Author::Customer, self.at, "message", shown);
        (entry.media, entry.reply_to) = (media, self.reply_to.clone());
        self.world.chat_mut(self.key).entries.push(entry);
        let quoted = self.reply_to.as_ref().map_or(Value::Null, |mid| json!({"mid": mid}));
        let message = object([("mid", json!(self.id)), ("reply_to", quoted)].into_iter().chain(fields));
        let mut acted = self.tells("message", message, "message");
        acted.deliveries.splice(0..0, before);
        acted
    }

    /// An event reaches the webhook, and the history under the platform's word for it.
    fn tells(self, name: &str, content: Value, happened: &str) -> Acted {
        let event = from_customer(self.side, &self.key.account, &self.customer, self.at);
        self.tells_as(event, name, content, happened)
    }

    fn tells_as(self, event: Map<String, Value>, name: &str, content: Value, happened: &str) -> Acted {
        self.world.chat_mut(self.key).history.push(Happened { at: self.at, kind: happened.to_owned() });
        let delivery = report(self.world, self.side, &self.key.account, name, event, content);
        Acted { message_id: Some(self.id), deliveries: delivery.into_iter().collect(), at: self.at }
    }

    fn silently(self, deliveries: Vec<u64>) -> Acted {
        Acted { message_id: None, deliveries, at: self.at }
    }

    /// Who writes has the conversation open, and with automatic receipts has thereby read it.
    fn reads_first(&mut self) -> Vec<u64> {
        let account = self.world.account(&self.key.account);
        let automatic = account.is_ok_and(|account| matches!(account.receipts, Receipts::Auto(_)));
        if automatic { receipts::sees(self.world, self.side, self.key) } else { Vec::new() }
    }

    fn reads(self) -> Acted {
        let told = receipts::sees(self.world, self.side, self.key);
        self.silently(told)
    }

    fn turns(self, turn: impl FnOnce(&mut crate::chats::Chat)) -> Acted {
        turn(self.world.chat_mut(self.key));
        self.silently(Vec::new())
    }

    fn sends_file(self, file: &MediaAct) -> Result<Acted, Problem> {
        let kind = match file.media.as_str() {
            "voice" => "audio",
            "animation" | "video_note" => "video",
            "document" => "file",
            other => other,
        };
        let (mime, bytes) = file.content()?;
        let id = self.world.names.digits('8', 16);
        let url = format!("{}/{}/media-content/{id}", self.world.base_url, self.side.name);
        let payload = if kind == "sticker" {
            json!({"url": url, "sticker_id": 369_000_000_000_001_u64})
        } else {
            json!({"url": url})
        };
        let (account, file_name) = (self.key.account.clone(), file.file_name.clone());
        self.world.files.keep(Media { id: id.clone(), account, mime, file_name, bytes, at: self.at });
        let attachments = json!([{"type": kind, "payload": payload}]);
        // There are no captions: words are a message of their own.
        let text = file.caption.as_ref().map_or(Value::Null, |caption| json!(caption));
        let shown = file.caption.clone().unwrap_or_default();
        Ok(self.says(&shown, [("text", text), ("attachments", attachments)], Some(id)))
    }

    fn known(&self, message_id: &str) -> Result<&Entry, Problem> {
        let entry = self.world.chats.get(self.key).and_then(|chat| chat.entry(message_id));
        entry.ok_or_else(|| Problem::not_found(format!("there is no message `{message_id}` in this conversation")))
    }

    fn reacts(self, message_id: &str, emoji: Option<&str>) -> Result<Acted, Problem> {
        self.known(message_id)?;
        let who = self.customer.id.clone();
        if let Some(entry) = self.world.chat_mut(self.key).entry_mut(message_id) {
            match emoji {
                Some(emoji) => entry.reactions.insert(who, emoji.to_owned()),
                None => entry.reactions.remove(&who),
            };
        }
        Ok(match emoji {
            Some(emoji) => {
                let content = json!({"mid": message_id, "action": "react", "reaction": "other", "emoji": emoji});
                self.tells("reaction", content, "reaction")
            }
            None => self.tells("reaction", json!({"mid": message_id, "action": "unreact"}), "unreact"),
        })
    }

    fn taps(self, message_id: &str, data: &str, text: Option<&str>) -> Result<Acted, Problem> {
        let entry = self.known(message_id)?;
        let button = entry.buttons.iter().find(|button| button.data == data).cloned();
        let button = button.ok_or_else(|| {
            let known: Vec<_> =
                entry.buttons.iter().map(|Button { data, text, .. }| format!("{data} ({text})")).collect();
            Problem::invalid(format!("message `{message_id}` has no button `{data}`; it has: {}", known.join(", ")))
        })?;
        let title = text.unwrap_or(&button.text).to_owned();
        if button.choice {
            return Ok(self.says(&title, [("text", json!(title)), ("quick_reply", json!({"payload": data}))], None));
        }
        Ok(self.taps_button(&title, data))
    }

    fn taps_button(mut self, title: &str, payload: &str) -> Acted {
        let before = self.reads_first();
        self.world.chat_mut(self.key).entries.push(Entry::new(&self.id, Author::Customer, self.at, "postback", title));
        let content = json!({"mid": self.id, "title": title, "payload": payload});
        let mut acted = self.tells("postback", content, "postback");
        acted.deliveries.splice(0..0, before);
        acted
    }

    fn edits(self, message_id: &str, text: &str) -> Result<Acted, Problem> {
        self.known(message_id)?;
        let number = self.world.names.number();
        if let Some(entry) = self.world.chat_mut(self.key).entry_mut(message_id) {
            (entry.text, entry.edited) = (text.to_owned(), true);
        }
        // Seen as a number and as a text: here as either platform's documents show it.
        let number = if self.side.is_instagram { json!(number.to_string()) } else { json!(number) };
        Ok(self.tells("message_edit", json!({"mid": message_id, "text": text, "num_edit": number}), "edit"))
    }

    fn unsends(self, message_id: &str) -> Result<Acted, Problem> {
        self.known(message_id)?;
        if let Some(entry) = self.world.chat_mut(self.key).entry_mut(message_id) {
            entry.deleted = true;
        }
        Ok(self.tells("message", json!({"mid": message_id, "is_deleted": true}), "unsend"))
    }

    /// Somebody of the business answers in the platform's own inbox: no app of ours, and no window.
    fn answered_elsewhere(self, text: &str) -> Acted {
        let entry = Entry::new(&self.id, Author::Elsewhere, self.at, "text", text);
        self.world.chat_mut(self.key).entries.push(entry);
        let event = to_customer(self.side, &self.key.account, &self.customer, self.at);
        let content = json!({"mid": self.id, "text": text, "is_echo": true});
        self.tells_as(event, "message", content, "echo")
    }

    /// What these platforms alone have.
    fn does(self, kind: &str, data: &Value) -> Result<Acted, Problem> {
        let instagram = self.side.is_instagram;
        match kind {
            // A link to the conversation; the click on an advertisement opens nothing.
            "referral" => {
                let is_ad = data.get("source") == Some(&json!("ADS"));
                let opens = !is_ad && data.get("ref").is_some();
                Ok(self.tells("referral", data.clone(), if opens { "referral" } else { "click" }))
            }
            "optin" if !instagram => {
                let marketing = data.get("type").is_some();
                Ok(self.tells("optin", data.clone(), if marketing { "token" } else { "optin" }))
            }
            "comment" => Ok(self.comments(data, false)),
            "visitor_post" if !instagram => Ok(self.comments(data, true)),
            "story_reply" if instagram => {
                let text = data.get("text").and_then(Value::as_str).unwrap_or("nice!").to_owned();
                let story = json!({"story": {"url": "https://lookaside.example/story", "id": "18000000000000009"}});
                Ok(self.says(&text, [("text", json!(text)), ("reply_to", story)], None))
            }
            "story_mention" if instagram => {
                let attachment =
                    json!([{"type": "story_mention", "payload": {"url": "https://lookaside.example/story"}}]);
                Ok(self.says("(mentioned you in a story)", [("attachments", attachment)], None))
            }
            // A message of a sort of its own.
            "message" => {
                let Value::Object(fields) = data else { return Err(Problem::invalid("message: an object is needed")) };
                let mut message = object([("mid", json!(self.id))]);
                if let Value::Object(message) = &mut message {
                    message.extend(fields.clone());
                }
                Ok(self.tells("message", message, "message"))
            }
            other => Ok(self.tells(other, data.clone(), other)),
        }
    }

    /// A comment or visitor post: no window, and the right to one private reply.
    fn comments(mut self, data: &Value, is_post: bool) -> Acted {
        let given = data.get("id").and_then(Value::as_str).map(str::to_owned);
        let text = data.get("text").and_then(Value::as_str).unwrap_or("price?");
        let number = self.world.names.digits('9', 16);
        let made = match (self.side.is_instagram, is_post) {
            (true, _) => number,
            (false, true) => format!("{}_{number}", self.key.account),
            (false, false) => format!("300000000000009_{number}"),
        };
        let id = given.unwrap_or(made);
        let comment = Comment { customer: self.key.customer.clone(), at: self.at, answered: false, is_post };
        self.world.shelves.of::<Comments>().0.insert((self.key.account.clone(), id.clone()), comment);
        let kind = if is_post { "visitor_post" } else { "comment" };
        self.world.chat_mut(self.key).history.push(Happened { at: self.at, kind: kind.to_owned() });
        let author = self.customer.address(self.side.name);
        let (field, value) = if self.side.is_instagram {
            let username = self.customer.username.clone().unwrap_or_else(|| self.customer.id.clone());
            let value = json!({"id": id, "from": {"id": author, "username": username}, "text": text,
                "media": {"id": "18000000000000001", "media_product_type": "FEED"}});
            ("comments", value)
        } else {
            let seconds = millis(self.at) / 1_000;
            let from = json!({"id": author, "name": self.customer.name});
            let value = if is_post {
                json!({"item": "post", "verb": "add", "post_id": id, "from": from, "message": text, "created_time": seconds})
            } else {
                json!({"item": "comment", "verb": "add", "comment_id": id, "post_id": "300000000000009_1", "from": from,
                    "message": text, "created_time": seconds})
            };
            ("feed", value)
        };
        let delivery = report_change(self.world, self.side.object, &self.key.account, field, &value);
        self.id = id;
        Acted { message_id: Some(self.id), deliveries: delivery.into_iter().collect(), at: self.at }
    }
}
