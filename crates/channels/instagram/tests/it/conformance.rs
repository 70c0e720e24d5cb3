//! Every law of the channel contract, against the sandbox.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use time::OffsetDateTime;
use time::macros::datetime;
use transom_channel::conformance::{Harness, Proof, Sample, SignedCall, Webhooks};
use transom_instagram::Instagram;

use crate::world::{ACCOUNT, IGSID, SECRET, Stage};

mod with_facebook_login {
    transom_channel::conformance!(super::through_the_page);
}

mod with_instagram_login {
    transom_channel::conformance!(super::by_itself);
}

async fn through_the_page() -> Harness {
    harness(Stage::open().await)
}

async fn by_itself() -> Harness {
    let mut stage = Stage::open().await;
    stage.settings = stage.settings.clone().with("login", "instagram").with("page_id", "");
    harness(stage)
}

fn harness(stage: Stage) -> Harness {
    Harness {
        platform: Arc::new(Instagram),
        settings: stage.settings.clone(),
        revoked: stage.settings.clone().with("access_token", "EAArevoked"),
        ports: stage.ports.clone(),
        account: ACCOUNT.to_owned(),
        identity: stage.identity.clone(),
        quotable: Some(stage.quotable.clone()),
        template: None,
        policy: "instagram",
        opening: ("message", None),
        webhooks: Webhooks {
            secret: "app_secret",
            sign: Box::new(|body| SignedCall::json(body.to_vec()).with_header("x-hub-signature-256", &signature(body))),
            proof: Proof::Header("x-hub-signature-256"),
            covers_body: true,
            events: events(),
            unknown: unknown(),
            states_retry_after: true,
        },
        double: stage.stage.double(|call| call.method == "POST" && call.path.ends_with("/messages")),
    }
}

/// The proof that Meta puts into its header.
fn signature(body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// 1790000000100 in Unix milliseconds.
const HAPPENED: OffsetDateTime = datetime!(2026-09-21 14:13:20.1 UTC);

fn entry(list: &str, element: &Value) -> Vec<u8> {
    json!({"object": "instagram", "entry": [{"id": ACCOUNT, "time": 1_790_000_000_123_u64, list: [element]}]})
        .to_string()
        .into_bytes()
}

fn framed(fields: &Value) -> Value {
    let mut event = json!({"sender": {"id": IGSID}, "recipient": {"id": ACCOUNT}, "timestamp": 1_790_000_000_100_u64});
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    event
}

fn event(fields: &Value) -> Vec<u8> {
    entry("messaging", &framed(fields))
}

fn change(field: &str, value: &Value) -> Vec<u8> {
    entry("changes", &json!({"field": field, "value": value}))
}

fn events() -> Vec<Sample> {
    let echo = json!({"sender": {"id": ACCOUNT}, "recipient": {"id": IGSID},
        "message": {"mid": "aWdfout01", "text": "Your parcel left Graz.", "is_echo": true}});
    let from = json!({"id": IGSID, "username": "mara_k"});
    let comment = json!({"comment_id": "17900000000000001", "parent_id": "17900000000000000", "from": from, "text": "price?",
        "media": {"id": "18000000000000001", "ad_id": "120000000000001"}});
    let flat = json!({"object": "instagram", "entry": [{"id": ACCOUNT, "time": 1_790_000_000_123_u64, "field": "comments",
        "value": {"id": "17900000000000002", "from": from, "text": "price?", "media": {"id": "1"}}}]});
    let ad = json!({"ref": "spring", "ad_id": "120000000000001", "source": "ADS", "type": "OPEN_THREAD"});
    let attached = |mid: &str, attachment: Value| event(&json!({"message": {"mid": mid, "attachments": [attachment]}}));
    let story = json!({"type": "story_mention", "payload": {"url": "https://lookaside.example/story"}});
    let entry_time = |name: &'static str, body: Vec<u8>| Sample::at(name, datetime!(2026-09-21 14:13:20.123 UTC), body);
    let mut events: Vec<Sample> = [
        ("text", event(&json!({"message": {"mid": "aWdfin01", "text": "Where is A-1001?"}}))),
        ("image", attached("aWdfin02", json!({"type": "image", "payload": {"url": "https://lookaside.example/1"}}))),
        ("story mention", attached("aWdfin03", story)),
        ("not passed on", event(&json!({"message": {"mid": "aWdfin04", "is_unsupported": true}}))),
        ("quote", event(&json!({"message": {"mid": "aWdfin05", "text": "this one", "reply_to": {"mid": "aWdfout01"}}}))),
        ("story reply", event(&json!({"message": {"mid": "aWdfin06", "text": "nice!", "reply_to": {"story": {"url": "https://a.example", "id": "18"}}}}))),
        ("quick reply", event(&json!({"message": {"mid": "aWdfin07", "text": "Late parcel", "quick_reply": {"payload": "LATE"}}}))),
        ("advertisement", event(&json!({"message": {"mid": "aWdfin08", "text": "Hi", "referral": ad}}))),
        ("unsent", event(&json!({"message": {"mid": "aWdfin01", "is_deleted": true}}))),
        ("postback", event(&json!({"postback": {"mid": "aWdfpb01", "title": "Talk to agent", "payload": "AGENT"}}))),
        ("link", event(&json!({"referral": {"ref": "qr7", "source": "https://ig.me/m/shop", "type": "OPEN_THREAD"}}))),
        ("reaction", event(&json!({"reaction": {"mid": "aWdfout01", "action": "react", "reaction": "love", "emoji": "❤️"}}))),
        ("reaction taken back", event(&json!({"reaction": {"mid": "aWdfout01", "action": "unreact"}}))),
        ("edit", event(&json!({"message_edit": {"mid": "aWdfin01", "text": "Where is A-1002?", "num_edit": "1"}}))),
        ("seen", event(&json!({"read": {"mid": "aWdfout01"}}))),
        ("echo", event(&echo)),
        ("standby", entry("standby", &framed(&json!({"message": {"mid": "aWdfin09", "text": "to the other app"}})))),
        ("test button", change("messages", &framed(&json!({"message": {"mid": "aWdfin10", "text": "test"}})))),
    ]
    .map(|(name, body)| Sample::at(name, HAPPENED, body))
    .into();
    events.push(entry_time("comment", change("comments", &comment)));
    events.push(entry_time("comment in the entry", flat.to_string().into_bytes()));
    events
}

fn unknown() -> Vec<Sample> {
    let at = |name: &'static str, body: Vec<u8>| Sample::at(name, HAPPENED, body);
    let later = |name: &'static str, body: Vec<u8>| Sample::at(name, datetime!(2026-09-21 14:13:20.123 UTC), body);
    let own = json!({"id": "1", "from": {"id": "2", "self_ig_scoped_id": "3"}, "text": "ours"});
    vec![
        at("an event of tomorrow", event(&json!({"hologram": {"beam": 1}}))),
        at("thread control", event(&json!({"pass_thread_control": {"new_owner_app_id": "1"}}))),
        at("an opt-in for marketing", event(&json!({"optin": {"type": "notification_messages"}}))),
        at("a message without an id", event(&json!({"message": {"text": "lost"}}))),
        at(
            "a message to oneself",
            event(&json!({"message": {"mid": "aWdfself1", "text": "test", "is_echo": true, "is_self": true}})),
        ),
        later("a list of tomorrow", entry("holograms", &json!({"beam": 1}))),
        later("a field of tomorrow", change("holograms", &json!({"beam": 1}))),
        later("a mention", change("mentions", &json!({"media_id": "1", "comment_id": "2"}))),
        later("one's own comment", change("comments", &own)),
    ]
}
