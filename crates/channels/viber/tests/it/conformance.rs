//! Every law of the channel contract.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use time::OffsetDateTime;
use transom_channel::conformance::{Harness, PATIENCE, Proof, Sample, SignedCall, Webhooks};
use transom_viber::Viber;

use crate::world::{ANN, BOT, TOKEN, World};

transom_channel::conformance!(harness);

const SIGNATURE: &str = "x-viber-content-signature";

async fn harness() -> Harness {
    let world = World::new(PATIENCE).await;
    world.writes("hello");
    Harness {
        platform: Arc::new(Viber),
        revoked: world.settings.clone().with("auth_token", "4453b6ac12345678-taken-back"),
        settings: world.settings.clone(),
        ports: world.ports.clone(),
        account: BOT.to_owned(),
        identity: world.identity.clone(),
        quotable: None,
        template: None,
        policy: "viber",
        opening: ("message", None),
        webhooks: Webhooks {
            secret: "auth_token",
            sign: Box::new(|body| SignedCall::json(body.to_vec()).with_header(SIGNATURE, &signature(body))),
            proof: Proof::Header(SIGNATURE),
            covers_body: true,
            events: events(),
            unknown: unknown(),
            states_retry_after: false,
        },
        double: world.0.double(|call| call.path.ends_with("/send_message")),
    }
}

pub(crate) fn signature(body: &[u8]) -> String {
    let mac = Hmac::<sha2::Sha256>::new_from_slice(TOKEN.as_bytes()).unwrap();
    hex::encode(mac.chain_update(body).finalize().into_bytes())
}

const MILLIS: i64 = 1_767_225_600_000;
const FIRST_TOKEN: u64 = 5_098_034_272_017_990_000;

/// Samples with tokens and times that count up.
#[derive(Default)]
struct Samples(Vec<Sample>);

impl Samples {
    fn add(&mut self, name: &'static str, event: &str, fields: &Value) {
        let number = self.0.len();
        let millis = MILLIS + i64::try_from(number).unwrap() * 1_001;
        let mut body = json!({"event": event, "timestamp": millis, "chat_hostname": "SN-CHAT-07_",
            "message_token": FIRST_TOKEN + number as u64});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap();
        self.0.push(Sample::at(name, at, body.to_string()));
    }
}

fn user() -> Value {
    json!({"id": ANN, "name": "Ann", "avatar": "https://media.example/u1.jpg", "language": "en", "country": "DE",
        "api_version": 10})
}

fn message(content: Value) -> Value {
    json!({"sender": user(), "message": content, "silent": false})
}

fn events() -> Vec<Sample> {
    let mut samples = Samples::default();
    let picture = "https://dl-media.example/x/abc.jpg?sig=1";
    let contents = [
        ("a text", json!({"type": "text", "text": "Hello", "tracking_data": "conv-42"})),
        ("a picture", json!({"type": "picture", "media": picture, "thumbnail": picture, "text": "broken"})),
        ("a film", json!({"type": "video", "media": "https://dl-media.example/v.mp4", "size": 70_000, "duration": 4})),
        (
            "a file",
            json!({"type": "file", "media": "https://dl-media.example/f", "file_name": "i.pdf", "file_size": 18_350}),
        ),
        ("a sticker", json!({"type": "sticker", "sticker_id": 46_105})),
        ("a sticker by text", json!({"type": "sticker", "sticker_id": "46105", "media": "https://st.example/1.png"})),
        ("a card", json!({"type": "contact", "contact": {"name": "Depot", "phone_number": "+15005550006"}})),
        ("a link", json!({"type": "url", "media": "https://shop.example/track/77"})),
        ("a place", json!({"type": "location", "location": {"lat": 52.52, "lon": 13.40}})),
    ];
    for (name, content) in contents {
        samples.add(name, "message", &message(content));
    }
    samples.add("subscribed", "subscribed", &json!({"user": user()}));
    samples.add("unsubscribed", "unsubscribed", &json!({"user_id": ANN}));
    let started = json!({"type": "open", "context": "promo-7", "user": user(), "subscribed": false});
    samples.add("the chat was opened", "conversation_started", &started);
    samples.add("delivered", "delivered", &json!({"user_id": ANN}));
    samples.add("seen", "seen", &json!({"user_id": ANN}));
    samples.add("failed", "failed", &json!({"user_id": ANN, "desc": "message validation failed"}));
    samples.add("registered", "webhook", &json!({}));
    samples.0
}

fn unknown() -> Vec<Sample> {
    let mut samples = Samples::default();
    samples.add("an event that is not there yet", "time_travel", &json!({"user_id": ANN}));
    samples.add("a client's state", "client_status", &json!({"user": user()}));
    samples.add("content that is not there yet", "message", &message(json!({"type": "hologram", "id": 1})));
    samples.add("a message of another shape", "message", &json!({"sender": 7}));
    samples.add("a picture without one", "message", &message(json!({"type": "picture"})));
    samples.0
}
