//! Every law of the channel contract.

use std::sync::Arc;

use futures_util::StreamExt as _;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;
use transom_channel::conformance::{Harness, Proof, Sample, SampleFiles, SignedCall, Webhooks};
use transom_channel::{Ports, SettingValues, Typist};
use transom_domain::{Address, ChannelAccountId, ContactId, Identity, IdentityId, UuidV7};
use transom_webchat::WebChat;

use crate::mailboxes::{Behind, GONE, Mailboxes};

const SECRET: &str = "an-event-secret-of-the-shop";

async fn harness() -> Harness {
    let mailboxes = Arc::new(Mailboxes::default());
    let ports = Ports { media: Arc::new(SampleFiles), mailbox: mailboxes.clone(), ..Ports::system().unwrap() };
    let settings = SettingValues::default()
        .with("widget_id", "wgt_1")
        .with("event_secret", SECRET)
        .with("origins", "https://shop.example")
        .with("identity_secrets", "2:idsecret-of-the-shop")
        .with("app_keys", "the-key-of-our-own-app");
    let identity = Identity {
        id: IdentityId::new(&UuidV7),
        contact: ContactId::new(&UuidV7),
        account: ChannelAccountId::new(&UuidV7),
        addresses: vec![Address::new("external_id", "cust-42")],
    };
    let clock = Arc::clone(&ports.clock);
    Harness {
        platform: Arc::new(WebChat),
        revoked: settings.clone().with("widget_id", GONE),
        settings,
        ports,
        account: "wgt_1".to_owned(),
        identity,
        quotable: Some("m_01890a5dac96774bbcceb302099a8057".to_owned()),
        template: None,
        policy: "webchat",
        opening: ("message", None),
        webhooks: Webhooks {
            secret: "event_secret",
            sign: Box::new(move |body| signed(body, clock.now())),
            proof: Proof::Header("x-chat-signature"),
            covers_body: true,
            events: events(),
            unknown: unknown(),
            states_retry_after: true,
        },
        double: Arc::new(Behind(mailboxes)),
    }
}

transom_channel::conformance!(harness);

#[tokio::test]
async fn somebody_who_types_is_whispered_to_the_visitor() {
    let harness = harness().await;
    let channel = harness.platform.connect(&harness.settings, &harness.ports).unwrap();
    let mut whispers = harness.ports.mailbox.whispers("wgt_1/x:cust-42");
    for (name, is_person, on, kind) in [(Some("Ada"), true, true, "agent"), (None, false, false, "bot")] {
        channel.typing().unwrap().show(&harness.identity, &Typist { name, is_person, on }).await.unwrap();
        let from = name.map_or(json!({ "kind": kind }), |name| json!({ "kind": kind, "name": name }));
        let frame = json!({ "type": "typing", "conversation_id": "c_x:cust-42", "from": from, "on": on });
        assert_eq!(whispers.next().await, Some(frame));
    }
    assert_eq!(
        harness.ports.mailbox.read_after("wgt_1/x:cust-42", 0, 1).await.unwrap().last_seq,
        0,
        "nothing is stored"
    );
}

fn signed(body: &[u8], at: OffsetDateTime) -> SignedCall {
    let timestamp = at.unix_timestamp().to_string();
    let mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let mac = mac.chain_update(&timestamp).chain_update(".").chain_update(body);
    let proof = format!("v1={}", hex::encode(mac.finalize().into_bytes()));
    SignedCall::json(body.to_vec()).with_header("x-chat-timestamp", &timestamp).with_header("x-chat-signature", &proof)
}

/// Samples with ids and times that count up.
#[derive(Default)]
struct Samples(Vec<Sample>);

impl Samples {
    fn add(&mut self, name: &'static str, kind: &str, fields: &Value) {
        let number = i64::try_from(self.0.len()).unwrap();
        let at = datetime!(2026-11-20 10:00 UTC) + time::Duration::seconds(number);
        let timestamp = at.format(&time::format_description::well_known::Rfc3339).unwrap();
        let mut body = json!({"event_id": format!("e-{number}"), "widget": "wgt_1", "visitor_id": "x:cust-42",
            "verified": true, "kind": kind, "at": timestamp, "profile": {"name": "Ann Lee", "email": "ann@example.test"}});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.0.push(Sample::at(name, at, body.to_string()));
    }
}

fn events() -> Vec<Sample> {
    let mut samples = Samples::default();
    samples.add("a text", "message", &json!({"message_id": "m_1", "text": "Where is it?"}));
    samples.add("a quote", "message", &json!({"message_id": "m_2", "text": "this", "reply_to": "m_1"}));
    let file = json!({"id": "01890a5d-ac96-774b-bcce-b302099a8057", "mime": "image/png", "name": "a.png", "size": 7});
    samples.add("a picture", "message", &json!({"message_id": "m_3", "attachments": [file]}));
    let stranger =
        json!({"visitor_id": format!("v_{}", "0".repeat(32)), "verified": false, "message_id": "m_4", "text": "hi"});
    samples.add("a stranger's text", "message", &stranger);
    samples.add("a button", "button", &json!({"message_id": "m_5", "of": "m_9", "label": "Yes", "payload": "csat:5"}));
    samples.add("an arrival", "delivered", &json!({"message_id": "m_01890a5dac96774bbcceb302099a8057"}));
    let read = json!({"up_to": "m_01890a5dac96774bbcceb302099a8057", "sent_at": "2026-11-20T09:59:00Z"});
    samples.add("a look", "read", &read);
    samples.add("a visit", "visit", &json!({}));
    samples.add("a name", "identify", &json!({}));
    samples.add("a stranger's name", "identify", &json!({"was": format!("v_{}", "0".repeat(32))}));
    samples.add("an address", "email", &json!({}));
    samples.add("an end", "end", &json!({}));
    samples.0
}

fn unknown() -> Vec<Sample> {
    let mut samples = Samples::default();
    samples.add("an act that is not there yet", "teleport", &json!({}));
    samples.add("a message of another shape", "message", &json!({"message_id": 7}));
    samples.add(
        "a visitor of another form",
        "message",
        &json!({"visitor_id": "y:1", "message_id": "m_1", "text": "hi"}),
    );
    samples.0
}
