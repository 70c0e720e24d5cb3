//! Every law of the channel contract.

use std::sync::Arc;

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderValue;
use sha1::Sha1;
use transom_channel::conformance::{Harness, PATIENCE, Proof, Sample, SignedCall, Webhooks};
use transom_sms::Sms;

use crate::world::{HOOK, NUMBER, TOKEN, World};

transom_channel::conformance!(harness);

async fn harness() -> Harness {
    let world = World::new(PATIENCE).await;
    world.writes("hello");
    Harness {
        platform: Arc::new(Sms),
        revoked: world.settings.clone().with("auth_token", "ffffffffffffffffffffffffffffffff"),
        settings: world.settings.clone(),
        ports: world.ports.clone(),
        account: NUMBER.to_owned(),
        identity: world.identity.clone(),
        quotable: None,
        template: None,
        policy: "sms",
        opening: ("message", None),
        webhooks: Webhooks {
            secret: "auth_token",
            sign: Box::new(signed),
            proof: Proof::Header("x-twilio-signature"),
            covers_body: true,
            events: events(),
            unknown: unknown(),
            states_retry_after: false,
        },
        double: world.0.double(|call| call.method == "POST" && call.path.ends_with("/Messages.json")),
    }
}

/// A form, signed as the documents say (sms.md 4).
fn signed(body: &[u8]) -> SignedCall {
    let mut fields: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
    fields.sort();
    fields.dedup();
    let text = fields.into_iter().fold(HOOK.to_owned(), |text, (name, value)| text + &name + &value);
    let mac = Hmac::<Sha1>::new_from_slice(TOKEN.as_bytes()).unwrap().chain_update(text.as_bytes());
    let proof = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    let mut call = SignedCall::json(body.to_vec()).with_header("x-twilio-signature", &proof);
    call.headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    call.url = HOOK.parse().unwrap();
    call
}

fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new("ApiVersion=2010-04-01".to_owned()).extend_pairs(fields).finish()
}

/// The same form, shifted until the suite flips no letter's case behind a percent sign: `%2B` and `%2b` are one plus sign, and
/// a signature over decoded fields can't tell them apart.
fn unambiguous(form: &str) -> String {
    let flips_case = |form: &str| {
        let bytes = form.as_bytes();
        let is_digit = |at: usize| bytes[at].is_ascii_alphabetic() && bytes[at - 2..at].contains(&b'%');
        (2..bytes.len()).any(|at| at % 8 == 5 && is_digit(at))
    };
    let shifted = (1..9).map(|n| format!("{}=&{form}", "x".repeat(n)));
    shifted.into_iter().find(|form| !flips_case(form)).unwrap()
}

fn message(id: &str, body: &str, more: &[(&str, &str)]) -> String {
    let mut fields =
        vec![("MessageSid", id), ("From", "+12025550123"), ("To", NUMBER), ("SmsStatus", "received"), ("Body", body)];
    fields.extend(more);
    form(&fields)
}

fn status(word: &str, more: &[(&str, &str)]) -> String {
    let mut fields = vec![("MessageSid", "SM9"), ("MessageStatus", word), ("From", NUMBER), ("To", "+12025550123")];
    fields.extend(more);
    form(&fields)
}

fn events() -> Vec<Sample> {
    let picture = [
        ("NumMedia", "2"),
        ("MediaContentType0", "image/jpeg"),
        ("MediaUrl0", "https://api.twilio.com/2010-04-01/Accounts/AC0/Messages/MM0/Media/ME0"),
        ("MediaContentType1", "text/vcard"),
        ("MediaUrl1", "https://api.twilio.com/2010-04-01/Accounts/AC0/Messages/MM0/Media/ME1"),
    ];
    [
        ("a text", unambiguous(&message("SM1", "Where is it", &[("NumMedia", "0")]))),
        ("pictures", message("MM2", "see", &picture)),
        ("stop", message("SM3", "STOP", &[])),
        ("start", message("SM4", "START", &[("OptOutType", "START")])),
        ("help", message("SM5", "HELP", &[])),
        ("nothing", message("SM6", "", &[("NumMedia", "0")])),
        (
            "a name",
            form(&[
                ("MessageSid", "SM7"),
                ("From", "MEBEFI"),
                ("To", NUMBER),
                ("SmsStatus", "received"),
                ("Body", "x"),
            ]),
        ),
        ("queued", status("queued", &[])),
        ("sending", status("sending", &[])),
        ("sent", status("sent", &[])),
        ("delivered", status("delivered", &[("RawDlrDoneDate", "2611201405")])),
        ("undelivered", status("undelivered", &[("ErrorCode", "30005")])),
        ("failed", status("failed", &[("ErrorCode", "30008")])),
        ("canceled", status("canceled", &[])),
    ]
    .map(|(name, body)| Sample::timeless(name, body))
    .into()
}

fn unknown() -> Vec<Sample> {
    let whatsapp =
        [("MessageSid", "SM8"), ("From", "whatsapp:+12025550123"), ("To", "whatsapp:+12025550199"), ("Body", "x")];
    vec![
        Sample::timeless("a status of tomorrow", status("teleported", &[])),
        Sample::timeless("a message of another channel", form(&whatsapp)),
        Sample::timeless("a call of tomorrow", form(&[("MessageSid", "SM9"), ("Beam", "1")])),
        Sample::timeless(
            "a message from nobody",
            form(&[("MessageSid", "SM9"), ("SmsStatus", "received"), ("Body", "x")]),
        ),
    ]
}
