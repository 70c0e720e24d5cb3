//! Every law of the channel contract, against the sandbox.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use time::OffsetDateTime;
use time::macros::datetime;
use transom_channel::conformance::{Harness, Proof, Sample, SignedCall, Webhooks};
use transom_domain::TemplateParameters;
use transom_domain::template::TextParameters;
use transom_messenger::Messenger;

use crate::world::{PAGE, PSID, SECRET, Stage};

transom_channel::conformance!(harness);

async fn harness() -> Harness {
    let stage = Stage::open().await;
    let parameters = TemplateParameters {
        body: TextParameters::Positional(vec!["Mara".into(), "A-1001".into()]),
        ..TemplateParameters::default()
    };
    Harness {
        platform: Arc::new(Messenger),
        settings: stage.settings.clone(),
        revoked: stage.settings.clone().with("access_token", "EAArevoked"),
        ports: stage.ports.clone(),
        account: PAGE.to_owned(),
        identity: stage.identity.clone(),
        quotable: Some(stage.quotable.clone()),
        template: Some(stage.template("order_shipped", parameters).await),
        policy: "messenger",
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
    json!({"object": "page", "entry": [{"id": PAGE, "time": 1_790_000_000_123_u64, list: [element]}]})
        .to_string()
        .into_bytes()
}

fn event(fields: &Value) -> Vec<u8> {
    let mut event = json!({"sender": {"id": PSID}, "recipient": {"id": PAGE}, "timestamp": 1_790_000_000_100_u64});
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    entry("messaging", &event)
}

fn change(field: &str, value: &Value) -> Vec<u8> {
    entry("changes", &json!({"field": field, "value": value}))
}

fn events() -> Vec<Sample> {
    let echo = json!({"sender": {"id": PAGE}, "recipient": {"id": PSID}, "message": {"mid": "m_out01", "is_echo": true,
        "app_id": 880_000_000_000_001_u64, "metadata": "msg-42", "text": "Your parcel left Graz."}});
    let comment = json!({"item": "comment", "verb": "add", "comment_id": "1_2", "post_id": "3_1",
        "from": {"id": PSID, "name": "Mara"}, "message": "price?", "created_time": 1_790_000_000});
    let post = json!({"item": "post", "verb": "add", "post_id": "3_4", "from": {"id": PSID, "name": "Mara"},
        "message": "hello", "created_time": 1_790_000_000});
    let template = json!({"event": "PAUSED", "message_template_id": 1, "message_template_name": "order_shipped",
        "message_template_language": "en", "reason": "NONE"});
    let link = json!({"ref": "qr7", "source": "SHORTLINK", "type": "OPEN_THREAD"});
    let ad = json!({"ref": "spring", "ad_id": "120000000000001", "source": "ADS", "type": "OPEN_THREAD"});
    let whole_second = |name: &'static str, body: Vec<u8>| Sample::at(name, datetime!(2026-09-21 14:13:20 UTC), body);
    let entry_time = |name: &'static str, body: Vec<u8>| Sample::at(name, datetime!(2026-09-21 14:13:20.123 UTC), body);
    let mut events: Vec<Sample> = [
        ("text", event(&json!({"message": {"mid": "m_in01", "text": "Where is A-1001?"}}))),
        ("image", event(&json!({"message": {"mid": "m_in02", "attachments": [{"type": "image", "payload": {"url": "https://scontent.example/x.jpg"}}]}}))),
        ("sticker", event(&json!({"message": {"mid": "m_in03", "attachments": [{"type": "sticker", "payload": {"url": "https://scontent.example/s", "sticker_id": 369_000_000_000_001_u64}}]}}))),
        ("link", event(&json!({"message": {"mid": "m_in04", "text": "see", "attachments": [{"type": "fallback", "payload": {"url": "https://example.com", "title": "Example"}}]}}))),
        ("quote", event(&json!({"message": {"mid": "m_in05", "text": "this one", "reply_to": {"mid": "m_out01", "is_self_reply": false}}}))),
        ("quick reply", event(&json!({"message": {"mid": "m_in06", "text": "Late parcel", "quick_reply": {"payload": "TOPIC_LATE"}}}))),
        ("advertisement", event(&json!({"message": {"mid": "m_in07", "text": "Hi", "referral": ad}}))),
        ("postback", event(&json!({"postback": {"mid": "m_pb01", "title": "Get started", "payload": "GET_STARTED", "referral": link}}))),
        ("postback without an id", event(&json!({"postback": {"title": "Agent", "payload": "AGENT"}}))),
        ("referral", event(&json!({"referral": link}))),
        ("reaction", event(&json!({"reaction": {"mid": "m_out01", "action": "react", "reaction": "love", "emoji": "❤"}}))),
        ("reaction taken back", event(&json!({"reaction": {"mid": "m_out01", "action": "unreact"}}))),
        ("edit", event(&json!({"message_edit": {"mid": "m_in01", "text": "Where is A-1002?", "num_edit": 1}}))),
        ("delivery", event(&json!({"delivery": {"mids": ["m_out01", "m_out02"], "watermark": 1_790_000_000_090_u64}}))),
        ("read", event(&json!({"read": {"watermark": 1_790_000_000_090_u64}}))),
        ("echo", event(&echo)),
        ("opt-in", event(&json!({"optin": {"ref": "cart9"}}))),
        ("policy", event(&json!({"policy_enforcement": {"action": "block", "reason": "spam"}}))),
        ("standby", entry("standby", &json!({"sender": {"id": PSID}, "recipient": {"id": PAGE}, "timestamp": 1_790_000_000_100_u64,
            "message": {"mid": "m_in08", "text": "to the other app"}}))),
    ]
    .map(|(name, body)| Sample::at(name, HAPPENED, body))
    .into();
    events.push(whole_second("comment", change("feed", &comment)));
    events.push(whole_second("visitor post", change("feed", &post)));
    events.push(entry_time("template", change("message_template_status_update", &template)));
    events
}

fn unknown() -> Vec<Sample> {
    let at = |name: &'static str, body: Vec<u8>| Sample::at(name, HAPPENED, body);
    let later = |name: &'static str, body: Vec<u8>| Sample::at(name, datetime!(2026-09-21 14:13:20.123 UTC), body);
    vec![
        at("an event of tomorrow", event(&json!({"hologram": {"beam": 1}}))),
        at("thread control", event(&json!({"pass_thread_control": {"new_owner_app_id": "1"}}))),
        at(
            "an opt-in for marketing",
            event(&json!({"optin": {"type": "notification_messages", "notification_messages_token": "1"}})),
        ),
        at(
            "the Checkbox plugin",
            entry(
                "messaging",
                &json!({"recipient": {"id": PAGE}, "timestamp": 1_790_000_000_100_u64,
            "optin": {"ref": "cart9", "user_ref": "u-1"}}),
            ),
        ),
        at("a message without an id", event(&json!({"message": {"text": "lost"}}))),
        at("a policy of tomorrow", event(&json!({"policy_enforcement": {"action": "warn"}}))),
        later("a list of tomorrow", entry("holograms", &json!({"beam": 1}))),
        later("a field of tomorrow", change("holograms", &json!({"beam": 1}))),
        later(
            "a comment taken back",
            change("feed", &json!({"item": "comment", "verb": "remove", "comment_id": "1_2"})),
        ),
        later(
            "the Page's own comment",
            change("feed", &json!({"item": "comment", "verb": "add", "comment_id": "1_3", "from": {"id": PAGE}})),
        ),
    ]
}
