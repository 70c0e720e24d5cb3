//! Vectors that were made with the best-known client libraries; nothing in them comes from this code.

use std::sync::Arc;

use http::Method;
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::datetime;
use transom_channel::conformance::vectors::{self, Told};
use transom_channel::{Channel, Platform, Ports, SettingValues, WebhookCall};
use transom_wechat::WeChat;

/// After all of them.
const RECEIVED: OffsetDateTime = datetime!(2027-01-01 00:00 UTC);

fn channel(secrets: &Value, mode: &str) -> Arc<dyn Channel> {
    let text = |name: &str| secrets[name].as_str().unwrap().to_owned();
    let settings = SettingValues::default()
        .with("app_id", text("app_id"))
        .with("app_secret", "s")
        .with("token", text("token"))
        .with("encoding_aes_key", text("encoding_aes_key"))
        .with("mode", mode)
        .with("original_id", "gh_1");
    WeChat.connect(&settings, &Ports::system().unwrap()).unwrap()
}

/// The time that a call says, which is when it is taken to have come.
fn signed_at(url: &url::Url) -> Option<OffsetDateTime> {
    let (_, at) = url.query_pairs().find(|(name, _)| name == "timestamp")?;
    OffsetDateTime::from_unix_timestamp(at.parse().ok()?).ok()
}

#[test]
fn signatures_are_judged_as_the_libraries_do() {
    let vectors = vectors::of(include_str!("../fixtures/signatures.json"));
    assert_eq!(vectors.len(), 39);
    for vector in &vectors {
        let tagged = |tag: &str| vectors::is_tagged(vector, tag);
        let call = vectors::call(vector);
        let received_at = match signed_at(&call.url) {
            Some(at) if !tagged("freshness") => at,
            _ => RECEIVED,
        };
        let call = call.received_at(received_at);
        // The libraries take plain calls beside encrypted ones.
        let answer = channel(&vector["secrets"], "compatible").verify(&call);
        let expected = vector["expect"] == "accept" && !tagged("freshness");
        assert_eq!(answer.is_ok(), expected, "{vector}: {answer:?}");
        if let (Ok(answer), Some(body)) = (&answer, vector["expect_body"].as_str()) {
            assert_eq!((answer.body.as_str(), answer.journal), (body, false), "{vector}");
        }
        // The secure mode takes nothing of what is only signed.
        let secure = channel(&vector["secrets"], "secure").verify(&call);
        let encrypted = *call.method == Method::GET || tagged("aes");
        assert_eq!(secure.is_ok(), expected && encrypted, "{vector}: {secure:?}");
        if secure.is_ok() && *call.method == Method::POST {
            each_changed_byte_is_noticed(&call, &*channel(&vector["secrets"], "secure"));
        }
    }
}

/// What is encrypted is covered by the proof, byte for byte.
fn each_changed_byte_is_noticed(call: &WebhookCall<'_>, channel: &dyn Channel) {
    let text = String::from_utf8(call.body.to_vec()).unwrap();
    let begin = text.find("<Encrypt>").unwrap() + "<Encrypt><![CDATA[".len();
    let end = text.find("]]></Encrypt>").unwrap();
    for at in (begin..end).step_by(7) {
        let mut body = call.body.to_vec();
        body[at] = if body[at] == b'A' { b'B' } else { b'A' };
        let body = body.into();
        let changed = WebhookCall { body: &body, ..*call };
        assert!(channel.verify(&changed).is_err(), "byte {at}");
    }
}

#[test]
fn events_are_read_as_the_libraries_do() {
    let settings = SettingValues::default()
        .with("app_id", "wx1")
        .with("app_secret", "s")
        .with("token", "abc")
        .with("original_id", "gh_1");
    let channel = WeChat.connect(&settings, &Ports::system().unwrap()).unwrap();
    vectors::parsing(include_str!("../fixtures/parsing.json"), 17, RECEIVED, &*channel, |_, items| {
        items.into_iter().map(Told::from).collect()
    });
}
