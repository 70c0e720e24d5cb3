//! From webhook calls to what happened (4.4).

use time::OffsetDateTime;
use transom_channel::{
    Inbound, InboundMessage, Item, Opening, ParseError, Person, ReceiptFor, ReceiptState, SendError, Standing,
};
use transom_domain::{Address, Content, Profile};

use crate::capabilities::OPENID;
use crate::error::own_report;
use crate::xml::Node;

mod content;

/// Reads one call: one message or one event.
pub(crate) fn read(call: &Node, received_at: OffsetDateTime) -> Result<Vec<Inbound>, ParseError> {
    let missing = |what: &str| ParseError::new(format!("not a call of WeChat: `{what}` is missing"));
    let account = call.text("ToUserName").ok_or_else(|| missing("ToUserName"))?;
    let kind = call.text("MsgType").ok_or_else(|| missing("MsgType"))?;
    let stated = call.text("CreateTime").and_then(|at| at.trim().parse().ok());
    let stated = stated.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    let reader = Reader {
        call,
        account,
        kind,
        from: call.text("FromUserName"),
        stated,
        // "Whichever is earlier": their clock or ours may be fast (1.1).
        at: stated.unwrap_or(received_at).min(received_at),
    };
    Ok(if kind.eq_ignore_ascii_case("event") { reader.event() } else { vec![reader.message()] })
}

struct Reader<'c> {
    call: &'c Node,
    account: &'c str,
    kind: &'c str,
    from: Option<&'c str>,
    stated: Option<OffsetDateTime>,
    at: OffsetDateTime,
}

impl Reader<'_> {
    /// "Messages by MsgId" (4.5).
    fn message(&self) -> Inbound {
        let id = match self.call.text("MsgId") {
            Some(id) => id.to_owned(),
            None => self.key(self.kind, &[]),
        };
        let key = format!("message:{id}");
        // Any message may be answered in the response to its call (decision 011).
        let mut openings = vec![webhook_call(&id)];
        let Some(body) = content::body(self.call, self.kind).filter(|_| self.from.is_some()) else {
            let item = Item::Unsupported { what: word(self.kind), from_customer: true };
            return self.inbound(key, openings, item);
        };
        // "Documented as following the custom-menu row": an item of a menu message (1.1).
        let tapped = self.call.text("bizmsgmenuid").map(str::to_owned);
        if tapped.is_some() {
            openings.insert(0, Opening::of("menu_click"));
        } else if content::opens_the_window(self.kind) {
            openings.insert(0, Opening::of("message"));
        }
        let message = InboundMessage { payload: tapped, ..InboundMessage::new(id, Content { body, reply_to: None }) };
        self.inbound(key, openings, Item::Message(message))
    }

    /// Compared without case (4.4).
    fn event(&self) -> Vec<Inbound> {
        let name = self.call.text("Event").unwrap_or_default().to_ascii_lowercase();
        let key = self.call.text("EventKey").unwrap_or_default();
        if self.from.is_none() {
            return vec![self.unsupported(&name)];
        }
        match name.as_str() {
            "subscribe" => vec![self.followed(&name, key)],
            "unsubscribe" => vec![self.one(&name, key, &["leave"], Item::Standing(Standing::Unsubscribed))],
            "scan" => vec![self.one(&name, key, &["scan"], Item::Opening { what: word(&format!("scan {key}")) })],
            "click" => vec![self.tapped(&name, key, key)],
            "scancode_push" | "scancode_waitmsg" => {
                let scanned = self.call.child("ScanCodeInfo").and_then(|info| info.text("ScanResult"));
                vec![self.tapped(&name, key, scanned.unwrap_or(key))]
            }
            // Entries that grant nothing; what was chosen follows as a message (1.1).
            "view" | "view_miniprogram" | "pic_sysphoto" | "pic_photo_or_album" | "pic_weixin" | "location_select" => {
                vec![self.one(&name, key, &["menu_view"], Item::Opening { what: word(&name) })]
            }
            "location" => {
                let item = Item::Unsupported { what: "location report".to_owned(), from_customer: false };
                vec![self.one(&name, key, &["location"], item)]
            }
            "templatesendjobfinish" => vec![self.template_receipt(&name)],
            "subscribe_msg_popup_event" | "subscribe_msg_change_event" => self.permissions(&name),
            "subscribe_msg_sent_event" => self.subscription_receipts(&name),
            _ => vec![self.unsupported(&name)],
        }
    }

    /// A follow, by a code with a scene or without.
    fn followed(&self, name: &str, key: &str) -> Inbound {
        let kinds: &[&str] = if key.starts_with("qrscene_") { &["follow", "scan"] } else { &["follow"] };
        self.one(name, key, kinds, Item::Standing(Standing::Subscribed))
    }

    /// A tap on the menu: the answer that it carries, and the words that stand for it.
    fn tapped(&self, name: &str, key: &str, text: &str) -> Inbound {
        let id = self.key(name, &[key]);
        let message = InboundMessage {
            payload: Some(key.to_owned()),
            ..InboundMessage::new(id.clone(), Content::text(if text.is_empty() { name } else { text }))
        };
        let openings = vec![Opening::of("menu_click"), webhook_call(&id)];
        self.inbound(format!("event:{id}"), openings, Item::Message(message))
    }

    /// How a template message fared: under `MsgID`, with another spelling than a message's own (4.4).
    fn template_receipt(&self, name: &str) -> Inbound {
        let Some(id) = self.call.text("MsgID").or_else(|| self.call.text("MsgId")) else {
            return self.unsupported(name);
        };
        let state = match self.call.text("Status").unwrap_or_default() {
            "success" => ReceiptState::Delivered,
            status if status.contains("user block") => {
                ReceiptState::Failed(SendError::Blocked { report: own_report("the customer blocks template messages") })
            }
            _ => ReceiptState::Failed(SendError::TemplateRefused {
                status: None,
                report: own_report("the platform could not deliver the template message"),
            }),
        };
        self.receipt(name, id, state)
    }

    fn receipt(&self, name: &str, id: &str, state: ReceiptState) -> Inbound {
        let of = ReceiptFor::Message { provider_id: id.to_owned(), correlation: None };
        self.inbound(format!("event:{}", self.key(name, &[id])), Vec::new(), Item::Receipt { of, state })
    }

    /// The customer allowed subscription templates, or refused them.
    fn permissions(&self, name: &str) -> Vec<Inbound> {
        let read = |one: &Node| {
            let template = one.text("TemplateId")?;
            let status = one.text("SubscribeStatusString")?;
            let key = format!("event:{}", self.key(name, &[template, status]));
            Some(match status {
                "accept" => {
                    let opening = Opening { kind: "template_grant".to_owned(), reference: Some(template.to_owned()) };
                    self.inbound(
                        key,
                        vec![opening],
                        Item::Opening { what: "allowed a subscription template".to_owned() },
                    )
                }
                _ => {
                    let what = "refused a subscription template".to_owned();
                    self.inbound(key, Vec::new(), Item::Unsupported { what, from_customer: false })
                }
            })
        };
        self.each_of_the_list(name, read)
    }

    fn subscription_receipts(&self, name: &str) -> Vec<Inbound> {
        let read = |one: &Node| {
            let id = one.text("MsgID").or_else(|| one.text("MsgId"))?;
            let state = match one.text("ErrorCode") {
                None | Some("0") => ReceiptState::Delivered,
                Some(_) => {
                    let report = own_report("the platform could not deliver the subscription notification");
                    ReceiptState::Failed(SendError::TemplateRefused { status: None, report })
                }
            };
            Some(self.receipt(name, id, state))
        };
        self.each_of_the_list(name, read)
    }

    /// These events are lists: under an element that is named after them.
    fn each_of_the_list(&self, name: &str, read: impl Fn(&Node) -> Option<Inbound>) -> Vec<Inbound> {
        let outer = match name {
            "subscribe_msg_popup_event" => "SubscribeMsgPopupEvent",
            "subscribe_msg_change_event" => "SubscribeMsgChangeEvent",
            _ => "SubscribeMsgSentEvent",
        };
        let list = self.call.child(outer).unwrap_or(self.call);
        let mut items: Vec<Inbound> = Vec::new();
        for item in list.all("List").filter_map(read) {
            if items.iter().all(|known| known.event_key != item.event_key) {
                items.push(item);
            }
        }
        if items.is_empty() { vec![self.unsupported(name)] } else { items }
    }

    /// An event of the customer's; what opens something may be answered in the response to its call.
    fn one(&self, name: &str, event_key: &str, kinds: &[&str], item: Item) -> Inbound {
        let id = self.key(name, &[event_key]);
        let mut openings: Vec<Opening> = kinds.iter().map(|kind| Opening::of(*kind)).collect();
        if kinds.iter().any(|kind| matches!(*kind, "follow" | "scan")) {
            openings.push(webhook_call(&id));
        }
        self.inbound(format!("event:{id}"), openings, item)
    }

    /// What is kept because nobody knows what to do with it.
    fn unsupported(&self, name: &str) -> Inbound {
        let key = format!("event:{}", self.key(name, &[]));
        let item = Item::Unsupported { what: word(name), from_customer: false };
        Inbound { person: None, ..self.inbound(key, Vec::new(), item) }
    }

    /// "Events by FromUserName + CreateTime (add Event and EventKey)" (4.5). `more`: what else tells them apart.
    fn key(&self, name: &str, more: &[&str]) -> String {
        let at = self.stated.map(OffsetDateTime::unix_timestamp).unwrap_or_default();
        let whole: Vec<&str> = [name].into_iter().chain(more.iter().copied()).collect();
        let digest = fingerprint(&whole.join("\0"));
        format!("{}:{at}:{}:{digest:016x}", word(self.from.unwrap_or_default()), word(name))
    }

    fn inbound(&self, event_key: String, openings: Vec<Opening>, item: Item) -> Inbound {
        let person =
            self.from.map(|from| Person { addresses: vec![Address::new(OPENID, from)], profile: Profile::default() });
        Inbound { account: self.account.to_owned(), event_key, at: self.at, person, openings, item }
    }
}

/// The call itself, as a right of its own (decision 011).
fn webhook_call(id: &str) -> Opening {
    Opening { kind: "webhook_call".to_owned(), reference: Some(id.to_owned()) }
}

/// A word of the platform's, of a length that can be kept.
fn word(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(80).collect()
}

/// FNV-1a: equal contents are equal, on every machine and in every version.
fn fingerprint(content: &str) -> u64 {
    content.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
