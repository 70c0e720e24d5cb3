//! Every law of the channel contract.

use std::sync::Arc;

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use time::OffsetDateTime;
use time::macros::datetime;
use transom_channel::conformance::{Harness, PATIENCE, Proof, Sample, SignedCall, Webhooks};
use transom_line::Line;

use crate::world::{AKI, BOT, SECRET, World};

transom_channel::conformance!(harness);

async fn harness() -> Harness {
    let world = World::new(PATIENCE).await;
    world.writes("hello");
    Harness {
        platform: Arc::new(Line),
        revoked: world.settings.clone().with("channel_access_token", "a-token-taken-back"),
        settings: world.settings.clone(),
        ports: world.ports.clone(),
        account: BOT.to_owned(),
        identity: world.identity.clone(),
        quotable: None,
        template: None,
        policy: "line",
        opening: ("message", None),
        webhooks: Webhooks {
            secret: "channel_secret",
            sign: Box::new(|body| SignedCall::json(body.to_vec()).with_header("x-line-signature", &signature(body))),
            proof: Proof::Header("x-line-signature"),
            covers_body: true,
            events: events(),
            unknown: unknown(),
            states_retry_after: false,
        },
        double: world.0.double(|call| call.path.ends_with("/message/push") || call.path.ends_with("/message/reply")),
    }
}

/// base64(HMAC-SHA256) over the raw body (line.md 4.2).
fn signature(body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(body);
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}

const HAPPENED: OffsetDateTime = datetime!(2026-01-01 00:00:00.123 UTC);
const STAMP: i64 = 1_767_225_600_123;

/// A call with one event, told from the others by its number.
fn call(number: usize, kind: &str, source: &Value, fields: &Value) -> String {
    let mut event = json!({"type": kind, "mode": "active", "timestamp": STAMP, "source": source,
        "webhookEventId": format!("01JGEXAMPLE00000000000{number:04}"), "deliveryContext": {"isRedelivery": false}});
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"destination": BOT, "events": [event]}).to_string()
}

fn user() -> Value {
    json!({"type": "user", "userId": AKI})
}

/// Events of Aki's, numbered.
fn numbered(from: usize, events: Vec<(&'static str, &str, Value)>) -> Vec<Sample> {
    let sample = |(n, (name, kind, fields)): (usize, (&'static str, &str, Value))| {
        Sample::at(name, HAPPENED, call(from + n, kind, &user(), &fields))
    };
    events.into_iter().enumerate().map(sample).collect()
}

fn message(id: usize, content: Value) -> Value {
    let mut message = json!({"id": format!("{id}"), "quoteToken": "qt", "markAsReadToken": "mrt"});
    message.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
    json!({"replyToken": format!("a1b2c3d4e5f60718293a4b5c6d7e{id:04}"), "message": message})
}

fn events() -> Vec<Sample> {
    let provider = json!({"type": "line"});
    let elsewhere = json!({"type": "external", "originalContentUrl": "https://cdn.example.com/v.mp4", "previewImageUrl": "https://cdn.example.com/v.jpg"});
    let emojis = json!([{"index": 0, "length": 7, "productId": "1", "emojiId": "2"}]);
    let contents = vec![
        ("a text", json!({"type": "text", "text": "(brown) where is it?", "emojis": emojis})),
        ("a quote", json!({"type": "text", "text": "this one", "quotedMessageId": "500000000000000101"})),
        (
            "a picture of a set",
            json!({"type": "image", "contentProvider": provider, "imageSet": {"id": "s1", "index": 1, "total": 2}}),
        ),
        ("a film from elsewhere", json!({"type": "video", "contentProvider": elsewhere, "duration": 1_000})),
        ("a sound", json!({"type": "audio", "contentProvider": provider, "duration": 1_000})),
        ("a file", json!({"type": "file", "fileName": "inv.pdf", "fileSize": 2_138})),
        (
            "a place",
            json!({"type": "location", "title": "Shop", "address": "1 Square", "latitude": 35.67, "longitude": 139.73}),
        ),
        ("a bare place", json!({"type": "location", "latitude": 35.67, "longitude": 139.73})),
        (
            "a sticker",
            json!({"type": "sticker", "packageId": "446", "stickerId": "1988", "stickerResourceType": "STATIC", "keywords": ["hi"]}),
        ),
        (
            "a sticker with words",
            json!({"type": "sticker", "packageId": "1", "stickerId": "2", "stickerResourceType": "MESSAGE", "text": "hi"}),
        ),
    ];
    let said = contents.into_iter().enumerate().map(|(n, (name, content))| (name, "message", message(n, content)));
    let mut samples = numbered(100, said.collect());
    let token = |n: usize| json!({"replyToken": format!("b1b2c3d4e5f60718293a4b5c6d7e{n:04}")});
    let with = |n: usize, fields: Value| {
        let mut token = token(n);
        token.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        token
    };
    samples.extend(numbered(
        200,
        vec![
            ("an edit", "messageEdited", json!({"message": {"type": "text", "id": "1", "text": "now"}})),
            ("an unsend", "unsend", json!({"unsend": {"messageId": "1"}})),
            ("a new friend", "follow", with(1, json!({"follow": {"isUnblocked": false}}))),
            ("an unblock", "follow", with(2, json!({"follow": {"isUnblocked": true}}))),
            ("a block", "unfollow", json!({})),
            ("a tap", "postback", with(3, json!({"postback": {"data": "s=1"}}))),
            ("a date", "postback", with(4, json!({"postback": {"data": "d", "params": {"date": "2026-01-02"}}}))),
            ("a linked account", "accountLink", with(5, json!({"link": {"result": "ok", "nonce": "n"}}))),
            ("a film seen", "videoPlayComplete", with(6, json!({"videoPlayComplete": {"trackingId": "t1"}}))),
            ("a beacon", "beacon", with(7, json!({"beacon": {"hwid": "1", "type": "enter"}}))),
            ("a member", "membership", with(8, json!({"membership": {"type": "joined", "membershipId": 1}}))),
            (
                "a text elsewhere",
                "message",
                json!({"mode": "standby", "message": {"type": "text", "id": "77", "text": "hi"}}),
            ),
            ("a module", "module", json!({"module": {"type": "attached"}})),
            ("taken over", "deactivated", json!({})),
            ("given back", "activated", json!({})),
            ("suspended", "botSuspended", json!({})),
            ("resumed", "botResumed", json!({})),
            ("a notification", "delivery", json!({"delivery": {"data": "d"}})),
            (
                "delivered again",
                "message",
                json!({"deliveryContext": {"isRedelivery": true}, "replyToken": "c1",
            "message": {"type": "text", "id": "78", "text": "again"}}),
            ),
        ],
    ));
    let group = json!({"type": "group", "groupId": "C0000000000000000000000000000b001", "userId": AKI});
    let fields = json!({"message": {"type": "text", "id": "79", "text": "hi all"}});
    samples.push(Sample::at("a text in a group", HAPPENED, call(300, "message", &group, &fields)));
    samples.push(Sample::at("an invitation", HAPPENED, call(301, "join", &group, &json!({"replyToken": "g1"}))));
    samples
}

fn unknown() -> Vec<Sample> {
    numbered(
        400,
        vec![
            ("an event of tomorrow", "timeTravel", json!({"replyToken": "d1", "timeTravel": {"to": 1}})),
            ("a content of tomorrow", "message", json!({"message": {"type": "hologram", "id": "80"}})),
            ("a message of another shape", "message", json!({"message": {"type": "text", "id": {"n": 1}}})),
            ("a text without one", "message", json!({"message": {"type": "text", "id": "81"}})),
        ],
    )
}
