//! Every law of the channel contract.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use time::OffsetDateTime;
use transom_channel::conformance::{Harness, PATIENCE, Proof, Sample, SignedCall, Webhooks};
use transom_domain::Clock;
use transom_tiktok::TikTok;

use crate::world::{BUSINESS, CONVERSATION, SECRET, World};

transom_channel::conformance!(harness);

async fn harness() -> Harness {
    let world = World::new(PATIENCE).await;
    let quotable = Some(world.writes("hello"));
    let clock = world.clock.clone();
    Harness {
        platform: Arc::new(TikTok),
        revoked: world.settings.clone().with("refresh_token", "rft.taken-back"),
        settings: world.settings.clone(),
        ports: world.ports.clone(),
        account: BUSINESS.to_owned(),
        identity: world.identity.clone(),
        quotable,
        template: None,
        policy: "tiktok",
        opening: ("message", None),
        webhooks: Webhooks {
            secret: "app_secret",
            sign: Box::new(move |body| {
                SignedCall::json(body.to_vec()).with_header("tiktok-signature", &signature(&clock, body))
            }),
            proof: Proof::Header("tiktok-signature"),
            covers_body: true,
            events: events(),
            unknown: unknown(),
            states_retry_after: false,
        },
        double: world.0.double(|call| call.path.ends_with("/business/message/send/")),
    }
}

fn signature(clock: &dyn Clock, body: &[u8]) -> String {
    let at = clock.now().unix_timestamp();
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let mac = mac.chain_update(at.to_string()).chain_update(".").chain_update(body);
    format!("t={at},s={}", hex::encode(mac.finalize().into_bytes()))
}

const STAMP: i64 = 1_767_225_600_123;

fn call(event: &str, content: &Value) -> String {
    json!({"client_key": "7000000000000000001", "event": event, "create_time": STAMP / 1_000, "user_openid": BUSINESS,
        "content": content.to_string()})
    .to_string()
}

fn content(number: i64, more: Value) -> Value {
    let mut content = json!({"timestamp": STAMP + number, "conversation_id": CONVERSATION, "from": "mara_k",
        "from_user": {"id": "usr-open-0055", "role": "personal_account"}, "to": "acme",
        "to_user": {"id": BUSINESS, "role": "business_account"}, "unique_identifier": "usr-open-0055"});
    content.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    content
}

fn at(number: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(STAMP + number) * 1_000_000).unwrap()
}

fn events() -> Vec<Sample> {
    let ours =
        json!({"from_user": {"id": BUSINESS}, "to_user": {"id": "usr-open-0055"}, "from": "acme", "to": "mara_k"});
    let with = |mut base: Value, more: &Value| {
        base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        base
    };
    let out = |id: &str, source: &str| {
        with(
            json!({"message_id": id, "type": "text", "text": {"body": "Hi"}, "message_tag": {"source": source}}),
            &ours,
        )
    };
    let samples = [
        ("a text", "im_receive_msg", json!({"message_id": "m1", "type": "text", "text": {"body": "Hello"}})),
        ("a picture", "im_receive_msg", json!({"message_id": "m2", "type": "image", "image": {"media_id": "p9"}})),
        (
            "a shared post",
            "im_receive_msg",
            json!({"message_id": "m3", "type": "share_post", "share_post": {"video_id": 7_000_000_000_000_000_123_u64}}),
        ),
        (
            "a tap",
            "im_receive_msg",
            json!({"message_id": "m4", "type": "text", "text": {"body": "Order"}, "reply_source_payload": {"reply_source_unique_id": "b1"}}),
        ),
        ("a sticker", "im_receive_msg", json!({"message_id": "m5", "type": "sticker"})),
        ("our echo", "im_send_msg", out("m6", "API")),
        ("an echo of the app", "im_send_msg", out("m7", "APP")),
        ("a reading", "im_mark_read_msg", json!({"read": {"last_read_timestamp": STAMP}})),
        ("a referral", "im_referral_msg", json!({"referral": {"source": "ad"}})),
        (
            "a comment",
            "im_receive_high_intent_comment",
            json!({"comment_id": "7000000000000000456", "comment_text": "How much?"}),
        ),
        ("somebody out of reach", "im_receive_msg_eu", json!({})),
    ];
    let sample = |(number, (name, event, more))| Sample::at(name, at(number), call(event, &content(number, more)));
    (1..).zip(samples).map(sample).collect()
}

fn unknown() -> Vec<Sample> {
    let text = call("im_receive_msg", &json!([1, 2]));
    vec![
        Sample::timeless("an event that is not there yet", call("im_teleport", &content(90, json!({})))),
        Sample::timeless("a change of the set-up", call("im_auto_message_config_update", &content(91, json!({})))),
        Sample::timeless("a content of another shape", text),
        Sample::at(
            "a kind of message that is not there yet",
            at(92),
            call("im_receive_msg", &content(92, json!({"message_id": "m92", "type": "hologram"}))),
        ),
    ]
}
