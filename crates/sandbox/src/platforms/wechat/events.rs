//! What customers do, and what the platform tells of it: XML, one message or event a call.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::account::official;
use super::crypto;
use crate::Problem;
use crate::acts::{Act, Acted, Action};
use crate::chats::{Author, ChatKey, Entry, Happened};
use crate::media::Media;
use crate::platforms::Wire;
use crate::world::{Account, World};

/// A field of a call, with its text.
type Field<'f> = (&'f str, String);

/// Puts a call into the account's queue.
pub(super) fn report(
    world: &mut World,
    account: &str,
    from: &str,
    at: OffsetDateTime,
    kind: &str,
    fields: &[Field<'_>],
) -> Option<u64> {
    let head = [("ToUserName", account.to_owned()), ("FromUserName", from.to_owned())];
    let tags: String = head.iter().map(|(name, text)| tag(name, text)).collect();
    let created = format!("<CreateTime>{}</CreateTime>", at.unix_timestamp());
    let fields: String = fields.iter().map(|(name, text)| tag(name, text)).collect();
    let document = format!("<xml>{tags}{created}{}{fields}</xml>", tag("MsgType", kind));
    // Bodies are kept as JSON: here a text of it.
    world.report(account, kind, json!(document).to_string())
}

fn tag(name: &str, text: &str) -> String {
    let is_number = !text.is_empty() && text.len() < 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    match name {
        // Elements inside elements come ready made.
        "ScanCodeInfo" | "SubscribeMsgPopupEvent" => format!("<{name}>{text}</{name}>"),
        "MsgId" | "MsgID" if is_number => format!("<{name}>{text}</{name}>"),
        _ => format!("<{name}><![CDATA[{}]]></{name}>", text.replace("]]>", "]]]]><![CDATA[>")),
    }
}

/// The document as it goes over the wire.
pub(super) fn wire(body: &str) -> Wire {
    let document = serde_json::from_str::<String>(body).unwrap_or_default();
    Wire { content_type: "text/xml", url: None, body: document }
}

/// The proof goes into the address, and in the secure mode the document into a ciphertext.
pub(super) fn seal(world: &mut World, account: &Account, wire: Wire, url: &str, badly: bool) -> Wire {
    let (at, nonce) = (world.now().unix_timestamp().to_string(), world.names.digits('1', 9));
    let random = world.names.token(16);
    let Ok(official) = official(world, &account.id) else { return wire };
    let settings = &official.settings;
    let token = if badly { "not-the-token" } else { &settings.token };
    let mut query = vec![
        ("signature", crypto::signature(&[token, &at, &nonce])),
        ("timestamp", at.clone()),
        ("nonce", nonce.clone()),
    ];
    let mut body = wire.body;
    let key = settings.encoding_aes_key.as_deref().and_then(crypto::key);
    if let Some(encrypted) = key.and_then(|key| crypto::encrypt(&key, &random, &body, &settings.app_id)) {
        query.push(("encrypt_type", "aes".to_owned()));
        query.push(("msg_signature", crypto::signature(&[token, &at, &nonce, &encrypted])));
        body = format!("<xml>{}{}</xml>", tag("ToUserName", &settings.original_id), tag("Encrypt", &encrypted));
    }
    let url = url::Url::parse_with_params(url, &query).map_or_else(|_| url.to_owned(), String::from);
    Wire { url: Some(url), body, ..wire }
}

/// A customer does something.
pub(super) fn act(world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
    let customer = world.customer(&key.customer)?.clone();
    if key.via.is_some() {
        return Err(Problem::invalid("WeChat has one conversation with each customer: leave `via` out"));
    }
    if action.reply_to.is_some() {
        return Err(Problem::invalid("WeChat does not tell businesses what a message quotes: leave `reply_to` out"));
    }
    // Whole seconds are all that an event carries.
    let at = action.at.unwrap_or_else(|| world.now()).replace_nanosecond(0).unwrap_or_else(|_| world.now());
    // Whoever left was a follower until then: what they did before, and is told late, neither fails nor brings them back.
    let chat = world.chat_mut(key);
    let blocked = chat.blocked && chat.latest(|kind| kind == "unsubscribe").is_none_or(|left| left <= at);
    let gone = customer.unreachable_on.contains("wechat");
    let comes_back = matches!(action.act, Act::Unblock | Act::Start { .. });
    let says_nothing = matches!(action.act, Act::Block | Act::OptIn | Act::OptOut | Act::Deactivate);
    if (gone || blocked && !comes_back) && !says_nothing {
        return Err(Problem::conflict(format!("customer `{}` does not follow this account", customer.id)));
    }
    let id = format!("2{}", world.names.digits('4', 17));
    Scene { openid: customer.address("wechat").to_owned(), world, key, at, id, blocked }.play(&action.act)
}

struct Scene<'a> {
    world: &'a mut World,
    key: &'a ChatKey,
    openid: String,
    at: OffsetDateTime,
    id: String,
    blocked: bool,
}

impl Scene<'_> {
    fn play(self, act: &Act) -> Result<Acted, Problem> {
        match act {
            Act::Text { text } => Ok(self.says("text", "message", text, None, &[("Content", text.clone())])),
            Act::Media(file) => {
                let (mime, bytes) = file.content()?;
                let kind = match file.media.as_str() {
                    kind @ ("image" | "voice" | "video") => kind,
                    other => return Err(Problem::invalid(format!("WeChat passes on no {other}"))),
                };
                let media = format!("MEDIA_IN_{}", self.world.names.token(32));
                let (account, file_name) = (self.key.account.clone(), file.file_name.clone());
                let at = self.world.now();
                self.world.files.keep(Media { id: media.clone(), account, mime, file_name, bytes, at });
                let mut fields = vec![("MediaId", media.clone())];
                match kind {
                    "voice" => fields.push(("Format", "amr".to_owned())),
                    "video" => fields.push(("ThumbMediaId", "THUMB".to_owned())),
                    _ => {}
                }
                Ok(self.says(kind, "message", "", Some(media), &fields))
            }
            Act::Location { latitude, longitude, name, .. } => {
                let fields = [
                    ("Location_X", latitude.to_string()),
                    ("Location_Y", longitude.to_string()),
                    ("Scale", "16".to_owned()),
                    ("Label", name.clone().unwrap_or_default()),
                ];
                Ok(self.says("location", "message", "(location)", None, &fields))
            }
            Act::Button { message_id, data, text } => self.taps(message_id, data, text.as_deref()),
            Act::Start { payload } => {
                let scene = payload.clone().unwrap_or_else(|| "1".to_owned());
                let ticket = ("Ticket", "TICKET_1".to_owned());
                if self.blocked {
                    let fields = [("EventKey", format!("qrscene_{scene}")), ticket];
                    return Ok(self.happens("subscribe", &["follow", "scan"], &fields));
                }
                Ok(self.happens("SCAN", &["scan"], &[("EventKey", scene), ticket]))
            }
            Act::Block => Ok(self.turns(true).happens("unsubscribe", &["unsubscribe"], &[("EventKey", String::new())])),
            Act::Unblock => Ok(self.turns(false).happens("subscribe", &["follow"], &[("EventKey", String::new())])),
            Act::OptOut => Ok(self.refuses_messages(true)),
            Act::OptIn => Ok(self.refuses_messages(false)),
            Act::Deactivate => {
                if let Some(customer) = self.world.customers.get_mut(&self.key.customer) {
                    customer.unreachable_on.insert("wechat".to_owned());
                }
                Ok(self.acted(None))
            }
            // Told to the merchant by WeChat Pay, and not by this webhook.
            Act::Other { kind, .. } if kind == "payment" => {
                self.world.chat_mut(self.key).history.push(Happened { at: self.at, kind: "payment".to_owned() });
                Ok(self.acted(None))
            }
            Act::Other { kind, data } => {
                let fields: Vec<(&str, String)> = data
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| {
                        (name.as_str(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                    })
                    .collect();
                let opens: &[&str] = match kind.to_ascii_lowercase().as_str() {
                    "click" | "scancode_push" | "scancode_waitmsg" => &["menu_click"],
                    "scan" => &["scan"],
                    _ => &[],
                };
                Ok(self.happens(kind, opens, &fields))
            }
            Act::Unsupported => Ok(self.says("sticker", "sticker", "(sticker)", None, &[])),
            _ => Err(Problem::invalid("WeChat tells businesses nothing of this kind")),
        }
    }

    fn says(self, kind: &str, opens: &str, shown: &str, media: Option<String>, fields: &[Field<'_>]) -> Acted {
        let mut entry = Entry::new(&self.id, Author::Customer, self.at, kind, shown);
        entry.media = media;
        let chat = self.world.chat_mut(self.key);
        chat.entries.push(entry);
        chat.history.push(Happened { at: self.at, kind: opens.to_owned() });
        let mut fields = fields.to_vec();
        fields.push(("MsgId", self.id.clone()));
        let delivery = report(self.world, &self.key.account, &self.openid, self.at, kind, &fields);
        Acted { message_id: Some(self.id), deliveries: delivery.into_iter().collect(), at: self.at }
    }

    /// An item of a menu message: a text that names it.
    fn taps(self, message: &str, data: &str, text: Option<&str>) -> Result<Acted, Problem> {
        let entry = self.world.chats.get(self.key).and_then(|chat| chat.entry(message));
        let entry = entry.ok_or_else(|| Problem::not_found(format!("there is no message `{message}` in this chat")))?;
        let label = entry.buttons.iter().find(|button| button.data == data).map(|button| button.text.clone());
        let label = text.map(str::to_owned).or(label).ok_or_else(|| Problem::not_found("there is no such button"))?;
        let fields = [("Content", label.clone()), ("bizmsgmenuid", data.to_owned())];
        Ok(self.says("text", "menu_click", &label, None, &fields))
    }

    fn happens(self, event: &str, opens: &[&str], fields: &[Field<'_>]) -> Acted {
        let chat = self.world.chat_mut(self.key);
        if event == "subscribe" {
            chat.blocked = false;
        }
        for kind in opens {
            chat.history.push(Happened { at: self.at, kind: (*kind).to_owned() });
        }
        let mut whole = vec![("Event", event.to_owned())];
        whole.extend_from_slice(fields);
        let delivery = report(self.world, &self.key.account, &self.openid, self.at, "event", &whole);
        self.acted(delivery)
    }

    fn turns(self, blocked: bool) -> Self {
        self.world.chat_mut(self.key).blocked = blocked;
        self
    }

    fn refuses_messages(self, refuses: bool) -> Acted {
        self.world.chat_mut(self.key).opted_out = refuses;
        self.acted(None)
    }

    fn acted(self, delivery: Option<u64>) -> Acted {
        Acted { message_id: None, deliveries: delivery.into_iter().collect(), at: self.at }
    }
}

/// Any event, as the control verb is told.
pub(super) fn made_to_order(world: &mut World, account: &str, order: &Value) -> Result<Option<u64>, Problem> {
    let text = |name: &str| order.get(name).and_then(Value::as_str);
    let (Some(event), Some(openid)) = (text("event"), text("openid")) else {
        return Err(Problem::invalid("event: {\"event\": \"…\", \"openid\": \"…\", \"fields\": {…}}"));
    };
    let mut fields = vec![("Event", event.to_owned())];
    for (name, value) in order.get("fields").and_then(Value::as_object).into_iter().flatten() {
        fields.push((name.as_str(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    }
    let at = world.now();
    Ok(report(world, account, openid, at, "event", &fields))
}
