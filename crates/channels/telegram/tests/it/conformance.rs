//! Every law of the channel contract, for a bot and for a business connection.

use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;
use transom_channel::conformance::{Harness, PATIENCE, Proof, Sample, SignedCall, Webhooks};
use transom_sandbox::CallRecord;
use transom_telegram::Telegram;

use crate::world::{BOT, CONNECTION, SECRET, World};

mod bot {
    async fn harness() -> transom_channel::conformance::Harness {
        super::harness(None).await
    }

    transom_channel::conformance!(harness);
}

mod business {
    async fn harness() -> transom_channel::conformance::Harness {
        super::harness(Some(super::CONNECTION)).await
    }

    transom_channel::conformance!(harness);
}

async fn harness(connection: Option<&'static str>) -> Harness {
    let world = World::new(PATIENCE).await;
    let quotable = Some(world.ann_writes("hello", connection));
    let settings = world.settings.clone().with("account_id", connection.unwrap_or(BOT));
    Harness {
        platform: Arc::new(Telegram),
        revoked: settings.clone().with("bot_token", "5550001:AAF-taken-back"),
        settings,
        ports: world.ports.clone(),
        account: connection.unwrap_or(BOT).to_owned(),
        identity: world.identity.clone(),
        quotable,
        template: None,
        policy: if connection.is_some() { "telegram_business" } else { "telegram" },
        opening: ("message", None),
        webhooks: Webhooks {
            secret: "webhook_secret",
            sign: Box::new(|body| {
                SignedCall::json(body.to_vec()).with_header("x-telegram-bot-api-secret-token", SECRET)
            }),
            proof: Proof::Header("x-telegram-bot-api-secret-token"),
            covers_body: false,
            events: if connection.is_some() { business_events() } else { bot_events() },
            unknown: unknown(connection.is_some()),
            states_retry_after: true,
        },
        double: world.0.double(could_reach),
    }
}

/// Messages and what stands at them; files travel with their message.
fn could_reach(call: &CallRecord) -> bool {
    let method = call.path.rsplit('/').next().unwrap_or_default();
    method == "setMessageReaction" || method.starts_with("send")
}

const DATE: i64 = 1_760_000_000;

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

fn ann() -> Value {
    json!({"id": 700_100_200, "is_bot": false, "first_name": "Ann", "last_name": "Lee", "language_code": "en"})
}

fn private() -> Value {
    json!({"id": 700_100_200, "first_name": "Ann", "type": "private"})
}

/// Samples with update ids that count up.
#[derive(Default)]
struct Samples(Vec<Sample>);

impl Samples {
    fn body(&self, kind: &str, content: &Value) -> String {
        json!({"update_id": 900_000 + self.0.len(), kind: content}).to_string()
    }

    fn timed(&mut self, name: &'static str, kind: &str, seconds: i64, content: &Value) {
        self.0.push(Sample::at(name, at(seconds), self.body(kind, content)));
    }

    fn timeless(&mut self, name: &'static str, kind: &str, content: &Value) {
        self.0.push(Sample::timeless(name, self.body(kind, content)));
    }
}

/// A message of this kind of update for each sort of content, numbered.
fn messages(samples: &mut Samples, kind: &str, connection: Option<&str>) {
    let file = json!({"file_id": "BQAC1", "file_unique_id": "d1", "file_name": "inv.pdf", "mime_type": "application/pdf", "file_size": 45_000});
    let sizes =
        json!([{"file_id": "AgAC-s", "width": 90, "height": 67}, {"file_id": "AgAC-x", "width": 1280, "height": 960}]);
    let place = json!({"latitude": 48.2, "longitude": 16.37});
    let contents = [
        ("a text", json!({"text": "Where is my order?"})),
        (
            "a start link",
            json!({"text": "/start k3Jf_9a", "entities": [{"type": "bot_command", "offset": 0, "length": 6}]}),
        ),
        (
            "a quote",
            json!({"text": "this one", "reply_to_message": {"message_id": 40, "date": DATE, "chat": private()}}),
        ),
        ("a photo of an album", json!({"photo": sizes, "caption": "box is broken", "media_group_id": "g1"})),
        ("a document", json!({"document": file})),
        ("an animation", json!({"animation": file, "document": file})),
        ("a video", json!({"video": file})),
        ("a video note", json!({"video_note": {"file_id": "DQAC"}})),
        ("a sound", json!({"audio": file})),
        ("a voice message", json!({"voice": {"file_id": "AwAC", "mime_type": "audio/ogg"}})),
        ("a sticker", json!({"sticker": {"file_id": "CAAC", "emoji": "👍"}})),
        ("a place", json!({"location": place})),
        ("a venue", json!({"venue": {"location": place, "title": "Shop", "address": "1 Square"}, "location": place})),
        ("a card", json!({"contact": {"phone_number": "15005550006", "first_name": "Ann", "user_id": 700_100_200}})),
        ("a die", json!({"dice": {"emoji": "🎲", "value": 4}})),
    ];
    for (number, (name, content)) in (41..).zip(contents) {
        let mut message = json!({"message_id": number, "from": ann(), "chat": private(), "date": DATE + number});
        message.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
        if let Some(connection) = connection {
            message["business_connection_id"] = json!(connection);
        }
        samples.timed(name, kind, DATE + number, &message);
    }
}

fn bot_events() -> Vec<Sample> {
    let mut samples = Samples::default();
    messages(&mut samples, "message", None);
    let message = |fields: Value| {
        let mut message = json!({"message_id": 90, "from": ann(), "chat": private(), "date": DATE});
        message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        message
    };
    let write_access = message(json!({"write_access_allowed": {"from_request": true}}));
    samples.timed("write access", "message", DATE, &write_access);
    samples.timed("an edit", "edited_message", DATE + 60, &message(json!({"text": "now", "edit_date": DATE + 60})));
    let tapped = json!({"message_id": 42, "date": DATE, "chat": private(),
        "reply_markup": {"inline_keyboard": [[{"text": "Good", "callback_data": "csat:5"}]]}});
    samples.timeless(
        "a tap",
        "callback_query",
        &json!({"id": "771", "from": ann(), "message": tapped, "data": "csat:5"}),
    );
    let reaction = json!({"chat": private(), "message_id": 42, "user": ann(), "date": DATE, "old_reaction": [],
        "new_reaction": [{"type": "emoji", "emoji": "👍"}]});
    samples.timed("a reaction", "message_reaction", DATE, &reaction);
    for (name, status) in [("a block", "kicked"), ("an unblock", "member")] {
        let member = json!({"chat": private(), "from": ann(), "date": DATE, "new_chat_member": {"status": status}});
        samples.timed(name, "my_chat_member", DATE, &member);
    }
    let asked = json!({"chat": {"id": -100_123, "type": "supergroup"}, "from": ann(), "user_chat_id": 700_100_200, "date": DATE});
    samples.timed("a join request", "chat_join_request", DATE, &asked);
    let group = json!({"message_id": 9, "from": ann(), "chat": {"id": -100_123, "type": "group"}, "date": DATE, "text": "hi all"});
    samples.timeless("a text in a group", "message", &group);
    samples.timeless("a post in a channel", "channel_post", &group);
    samples.0
}

fn business_events() -> Vec<Sample> {
    let mut samples = Samples::default();
    messages(&mut samples, "business_message", Some(CONNECTION));
    let owner = json!({"id": 800_300, "is_bot": false, "first_name": "Owner"});
    let message = |number: i64, from: &Value, text: &str| {
        json!({"business_connection_id": CONNECTION, "message_id": number, "from": from, "chat": private(), "date": DATE,
            "edit_date": DATE, "text": text})
    };
    samples.timed("the owner's text", "business_message", DATE, &message(95, &owner, "I will look"));
    samples.timed("an edit", "edited_business_message", DATE, &message(41, &ann(), "now"));
    let deleted = json!({"business_connection_id": CONNECTION, "chat": private(), "message_ids": [12, 13]});
    samples.timeless("two deletions", "deleted_business_messages", &deleted);
    for (name, can_reply) in [("the right to reply", true), ("the right taken back", false)] {
        let connection = json!({"id": CONNECTION, "user": owner, "user_chat_id": 800_300, "date": DATE,
            "rights": {"can_reply": can_reply}, "is_enabled": true});
        samples.timeless(name, "business_connection", &connection);
    }
    let tapped = json!({"message_id": 42, "date": 0, "chat": private(), "business_connection_id": CONNECTION});
    samples.timeless("a tap", "callback_query", &json!({"id": "773", "from": ann(), "message": tapped, "data": "x"}));
    samples.0
}

fn unknown(business: bool) -> Vec<Sample> {
    let message = json!({"message_id": 99, "from": ann(), "chat": private(), "date": DATE, "hologram": {"id": "1"}});
    let mut samples = Samples::default();
    samples.timeless("a kind of update that is not there yet", "time_travel", &json!({"id": "1"}));
    samples.timeless("a kind of content that is not there yet", "message", &message);
    samples.timeless("a message of another shape", "message", &json!({"message_id": {"chat": 1}}));
    if business {
        samples.timeless("a connection of another shape", "business_connection", &json!([1]));
    }
    samples.0
}
