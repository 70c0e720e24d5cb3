//! Every law of the channel contract, for an in-house channel and for a partner of Viber Business.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;
use transom_channel::conformance::{Harness, PATIENCE, Proof, Sample, SignedCall, Webhooks};
use transom_http::Http;

use crate::world::{ACCOUNT, HEARING, World, template};

mod in_house {
    async fn harness() -> transom_channel::conformance::Harness {
        super::harness("in_house", "http").await
    }

    transom_channel::conformance!(harness);
}

mod viber_business {
    async fn harness() -> transom_channel::conformance::Harness {
        super::harness("viber_business", "viber_business").await
    }

    transom_channel::conformance!(harness);
}

async fn harness(rules: &str, policy: &'static str) -> Harness {
    let world = World::new(PATIENCE, rules).await;
    // The suite sends more than five in a row.
    world.patch(json!({"unanswered": 1_000, "session_messages": 1_000}));
    let quotable = Some(world.writes("hello"));
    let clock = Arc::clone(&world.ports.clock);
    Harness {
        platform: Arc::new(Http),
        revoked: world.settings.clone().with("signing_secret", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        settings: world.settings.clone(),
        ports: world.ports.clone(),
        account: ACCOUNT.to_owned(),
        identity: world.identity.clone(),
        quotable,
        template: Some(template()),
        policy,
        opening: ("message", None),
        webhooks: Webhooks {
            secret: "webhook_secret",
            sign: Box::new(move |body| signed(body, clock.now())),
            proof: Proof::Header("webhook-signature"),
            covers_body: true,
            events: events(policy),
            unknown: unknown(),
            states_retry_after: true,
        },
        double: world.0.double_of_one_path(),
    }
}

fn signed(body: &[u8], at: OffsetDateTime) -> SignedCall {
    let (id, timestamp) = ("evt-1", at.unix_timestamp().to_string());
    let key = BASE64.decode(HEARING.trim_start_matches("whsec_")).unwrap();
    let message = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap().chain_update(message);
    let proof = format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()));
    SignedCall::json(body.to_vec())
        .with_header("webhook-id", id)
        .with_header("webhook-timestamp", &timestamp)
        .with_header("webhook-signature", &proof)
}

/// Samples with ids and times that count up.
#[derive(Default)]
struct Samples(Vec<Sample>);

impl Samples {
    fn add(&mut self, name: &'static str, kind: &str, fields: &Value) {
        let number = i64::try_from(self.0.len()).unwrap();
        let at = datetime!(2026-11-20 10:00 UTC) + time::Duration::seconds(number);
        let timestamp = at.format(&time::format_description::well_known::Rfc3339).unwrap();
        let mut body = json!({"type": kind, "id": format!("evt-{number}"), "account": ACCOUNT, "timestamp": timestamp,
            "person": {"user_id": "ann-7", "phone": "+15005550006", "name": "Ann Lee", "language": "en"}});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.0.push(Sample::at(name, at, body.to_string()));
    }
}

fn events(policy: &str) -> Vec<Sample> {
    let mut samples = Samples::default();
    let said = |content: Value| json!({"message": {"id": "m-1", "content": content}});
    samples.add("a text", "message.received", &said(json!({"type": "text", "text": "Where is it?"})));
    let quote = json!({"message": {"id": "m-2", "reply_to": "m-1", "content": {"type": "text", "text": "this"}}});
    samples.add("a quote", "message.received", &quote);
    let file =
        json!({"type": "media", "kind": "image", "url": "https://files.example/1", "mime": "image/png", "size": 7});
    samples.add("a picture", "message.received", &said(file));
    samples.add("a place", "message.received", &said(json!({"type": "location", "latitude": 48.2, "longitude": 16.4})));
    let cards = json!({"type": "contacts", "contacts": [{"name": "Depot", "phones": ["+15005550001"]}]});
    samples.add("a card", "message.received", &said(cards));
    let echo = json!({"message": {"id": "m-3", "correlation": "ours", "content": {"type": "text", "text": "hi"}}});
    samples.add("an echo", "message.echoed", &echo);
    samples.add("an edit", "message.edited", &said(json!({"type": "text", "text": "now"})));
    samples.add("a deletion", "message.deleted", &json!({"message": {"id": "m-1"}}));
    samples.add("a reaction", "message.reaction", &json!({"message": {"id": "m-9"}, "emoji": "👍"}));
    for status in ["sent", "delivered", "read"] {
        let fields = json!({"message": {"id": "m-9", "correlation": "ours"}, "status": status});
        samples.add(status, "message.status", &fields);
    }
    let failed = json!({"message": {"id": "m-9"}, "status": "failed", "error": {"code": "unreachable"}});
    samples.add("failed", "message.status", &failed);
    for standing in ["blocked", "unblocked", "subscribed", "unsubscribed", "opted_out", "opted_in", "unreachable"] {
        samples.add(standing, "person.standing", &json!({"standing": standing, "scope": "marketing"}));
    }
    samples.add("suspended", "account.notice", &json!({"text": "Unpaid invoice", "state": "suspended"}));
    let approved = json!({"name": "parcel", "language": "en", "status": "approved"});
    samples.add("a template", "template.updated", &approved);
    if policy == "http" {
        let tap = json!({"message": {"id": "m-5", "payload": "csat:5", "content": {"type": "text", "text": "Good"}},
            "opening": {"kind": "postback"}});
        samples.add("a tap", "message.received", &tap);
        samples.add("a subscription", "person.opening", &json!({"opening": {"kind": "follow"}, "what": "newsletter"}));
        let limit = json!({"text": "500 a day now", "quota": "daily_messages", "limit": 500});
        samples.add("a limit", "account.notice", &limit);
    }
    samples.0
}

fn unknown() -> Vec<Sample> {
    let mut samples = Samples::default();
    samples.add("an event that is not there yet", "person.teleported", &json!({}));
    let hologram = json!({"message": {"id": "m-1", "content": {"type": "hologram"}}});
    samples.add("content that is not there yet", "message.received", &hologram);
    samples.add("a message of another shape", "message.received", &json!({"message": 7}));
    samples.add("a message of nobody", "message.received", &json!({"person": {}}));
    samples.add("a state that is not there yet", "message.status", &json!({"message": {"id": "1"}, "status": "lost"}));
    samples.0
}
