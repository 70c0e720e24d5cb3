//! Every law of the channel contract, against the sandbox.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests may fail loudly"
)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use time::OffsetDateTime;
use time::macros::datetime;
use transom_channel::conformance::{Harness, Proof, Sample, SignedCall, Webhooks};
use transom_domain::TemplateParameters;
use transom_domain::template::TextParameters;
use transom_whatsapp::WhatsApp;

use crate::common::{NUMBER, SECRET, Stage, WABA};

transom_channel::conformance!(harness);

async fn harness() -> Harness {
    let stage = Stage::open().await;
    let parameters = TemplateParameters {
        body: TextParameters::Positional(vec!["Mara".into(), "A-1001".into()]),
        buttons: BTreeMap::from([(1, "A-1001".into())]),
        ..TemplateParameters::default()
    };
    Harness {
        platform: Arc::new(WhatsApp),
        settings: stage.settings.clone(),
        revoked: stage.settings.clone().with("access_token", "EAArevoked"),
        ports: stage.ports.clone(),
        account: NUMBER.to_owned(),
        identity: stage.identity.clone(),
        quotable: Some(stage.quotable.clone()),
        template: Some(stage.template("order_shipped", parameters).await),
        policy: "whatsapp",
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

/// 1790000000 in Unix seconds.
const HAPPENED: OffsetDateTime = datetime!(2026-09-21 14:13:20 UTC);

fn call(field: &str, value: &Value) -> Vec<u8> {
    json!({"object": "whatsapp_business_account", "entry": [{"id": WABA, "time": 1_790_000_000, "changes": [{"field": field, "value": value}]}]})
        .to_string()
        .into_bytes()
}

fn on_number(list: &str, element: &Value) -> Value {
    json!({"messaging_product": "whatsapp", "metadata": {"display_phone_number": "4312345678", "phone_number_id": NUMBER},
        "contacts": [{"profile": {"name": "Mara K."}, "wa_id": "4915550100001", "user_id": "DE.8800000000000001"}], list: [element]})
}

fn with(base: Value, fields: &Value) -> Value {
    let mut base = base;
    base.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    base
}

fn message(id: &str, fields: &Value) -> Vec<u8> {
    let message =
        json!({"from": "4915550100001", "from_user_id": "DE.8800000000000001", "id": id, "timestamp": "1790000000"});
    call("messages", &on_number("messages", &with(message, fields)))
}

fn status(word: &str, fields: &Value) -> Vec<u8> {
    let status = json!({"id": "wamid.OUT", "status": word, "timestamp": "1790000000", "recipient_id": "4915550100001", "biz_opaque_callback_data": "part-1"});
    call("messages", &on_number("statuses", &with(status, fields)))
}

fn events() -> Vec<Sample> {
    let template = json!({"message_template_id": 1, "message_template_name": "order_shipped", "message_template_language": "en_US"});
    let failed = json!({"errors": [{"code": 131_047, "title": "Re-engagement message", "error_data": {"details": "more than 24 hours"}}]});
    let preference = json!({"wa_id": "4915550100001", "category": "marketing_messages", "value": "stop", "timestamp": 1_790_000_000});
    let connect = json!({"id": "wacid.1", "from": "4915550100001", "event": "connect", "direction": "USER_INITIATED", "timestamp": "1790000000"});
    let echo = json!({"from": "4312345678", "to": "4915550100001", "id": "wamid.E", "timestamp": "1790000000", "type": "text", "text": {"body": "On its way"}});
    let changed = json!({"type": "system", "system": {"wa_id": "4915550100099", "user_id": "DE.8800000000000099", "type": "user_changed_number"}});
    let edit = json!({"type": "edit", "edit": {"original_message_id": "wamid.1", "message": {"type": "text", "text": {"body": "Where is A-1002?"}}}});
    [
        ("text", message("wamid.1", &json!({"type": "text", "text": {"body": "Where is A-1001?"}}))),
        ("quote", message("wamid.2", &json!({"type": "text", "text": {"body": "this one"}, "context": {"from": "4312345678", "id": "wamid.OUT"}}))),
        ("image", message("wamid.3", &json!({"type": "image", "image": {"caption": "box", "mime_type": "image/jpeg", "sha256": "aGFzaA==", "id": "800000000000001"}}))),
        ("voice", message("wamid.4", &json!({"type": "audio", "audio": {"mime_type": "audio/ogg; codecs=opus", "id": "800000000000002", "voice": true}}))),
        ("place", message("wamid.5", &json!({"type": "location", "location": {"latitude": 47.07, "longitude": 15.43}}))),
        ("card", message("wamid.6", &json!({"type": "contacts", "contacts": [{"name": {"formatted_name": "Mara"}, "phones": [{"phone": "+49155"}]}]}))),
        ("order", message("wamid.7", &json!({"type": "order", "order": {"product_items": [{"product_retailer_id": "sku1", "quantity": 2, "item_price": 12.5, "currency": "EUR"}]}}))),
        ("button", message("wamid.8", &json!({"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "yes", "title": "Yes"}}}))),
        ("row", message("wamid.9", &json!({"type": "interactive", "interactive": {"type": "list_reply", "list_reply": {"id": "t1", "title": "Late"}}}))),
        ("flow", message("wamid.10", &json!({"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": {"body": "Sent", "response_json": "{}"}}}))),
        ("template button", message("wamid.11", &json!({"type": "button", "button": {"payload": "HELP", "text": "Help"}}))),
        ("reaction", message("wamid.12", &json!({"type": "reaction", "reaction": {"message_id": "wamid.OUT", "emoji": "👍"}}))),
        ("advertisement", message("wamid.13", &json!({"type": "text", "text": {"body": "Hi"}, "referral": {"source_type": "ad", "ctwa_clid": "Ainvented"}}))),
        ("unsupported", message("wamid.14", &json!({"type": "unsupported", "errors": [{"code": 131_051, "title": "Message type unknown"}]}))),
        ("number changed", message("wamid.15", &changed)),
        ("edit", message("wamid.16", &edit)),
        ("revoke", message("wamid.17", &json!({"type": "revoke", "revoke": {"original_message_id": "wamid.1"}}))),
        ("sent", status("sent", &json!({"pricing": {"billable": true, "pricing_model": "PMP", "type": "regular", "category": "utility"}}))),
        ("delivered", status("delivered", &json!({}))),
        ("read", status("read", &json!({}))),
        ("played", status("played", &json!({}))),
        ("failed", status("failed", &failed)),
        ("preference", call("user_preferences", &on_number("user_preferences", &preference))),
        ("call", call("calls", &on_number("calls", &connect))),
        ("echo", call("smb_message_echoes", &on_number("message_echoes", &echo))),
        ("error", call("messages", &on_number("errors", &json!({"code": 131_031, "title": "Account has been locked"})))),
        ("template status", call("message_template_status_update", &with(template.clone(), &json!({"event": "PAUSED", "reason": "NONE"})))),
        ("template quality", call("message_template_quality_update", &with(template.clone(), &json!({"new_quality_score": "YELLOW"})))),
        ("template category", call("template_category_update", &with(template, &json!({"new_category": "MARKETING"})))),
        ("quality", call("phone_number_quality_update", &json!({"event": "UPGRADE", "current_limit": "TIER_10K"}))),
        ("capability", call("business_capability_update", &json!({"max_daily_conversation_per_phone": 2_000}))),
        ("ban", call("account_update", &json!({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "DISABLE"}}))),
        ("alert", call("account_alerts", &json!({"alert_info": {"alert_type": "OBA_REJECTED", "alert_description": "Sorry"}}))),
    ]
    .map(|(name, body)| Sample::at(name, HAPPENED, body))
    .into()
}

fn unknown() -> Vec<Sample> {
    vec![
        Sample::at(
            "a field of tomorrow",
            HAPPENED,
            call("holograms", &json!({"metadata": {"phone_number_id": NUMBER}, "beam": 1})),
        ),
        Sample::at("a list of tomorrow", HAPPENED, call("messages", &on_number("holograms", &json!({"id": "1"})))),
        Sample::at(
            "a type of tomorrow",
            HAPPENED,
            message("wamid.20", &json!({"type": "hologram", "hologram": {"beam": 1}})),
        ),
        Sample::at(
            "an interactive type of tomorrow",
            HAPPENED,
            message("wamid.21", &json!({"type": "interactive", "interactive": {"type": "beam", "beam": {}}})),
        ),
        Sample::at("a status of tomorrow", HAPPENED, status("teleported", &json!({}))),
        Sample::at(
            "a preference of tomorrow",
            HAPPENED,
            call(
                "user_preferences",
                &on_number(
                    "user_preferences",
                    &json!({"wa_id": "4915550100001", "category": "beams", "value": "stop", "timestamp": 1_790_000_000}),
                ),
            ),
        ),
    ]
}
