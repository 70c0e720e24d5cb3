//! Frames of either side: what parses prints, and parses the same again; what can't be is refused.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use transom_channel::conformance::chance;
use transom_webchat::protocol::{ClaimedIdentity, ClaimedProfile, ClientFrame, Hello, NewMessage, Page, ServerFrame};

/// Words that fields are named by and values that they have, so that chance finds its corners.
const WORDS: &str = "id kind name text from state seq t m_1 2026-11-20T10:00:00Z image/png active";

fn anything() -> impl Strategy<Value = Value> {
    chance::json(WORDS)
}

/// A field as the protocol has it, most of the time; else anything, or nothing.
fn field(of_its_type: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Option<Value>> {
    prop_oneof![30 => of_its_type.prop_map(Some), 1 => anything().prop_map(Some), 4 => Just(None)].boxed()
}

fn text() -> BoxedStrategy<Value> {
    ".{0,12}".prop_map(Value::from).boxed()
}

fn number(limit: u64) -> BoxedStrategy<Value> {
    (0..=limit).prop_map(Value::from).boxed()
}

fn one_of(words: &'static [&'static str]) -> BoxedStrategy<Value> {
    prop::sample::select(words).prop_map(Value::from).boxed()
}

fn truth() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(Value::from).boxed()
}

fn instant() -> BoxedStrategy<Value> {
    one_of(&["2026-11-20T10:00:00Z", "2026-11-20T10:00:00.123Z", "1999-12-31T23:59:59.999999999+01:00"])
}

fn many(of: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    prop::collection::vec(of, 0..3).prop_map(Value::from).boxed()
}

/// An object of these fields.
fn object(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().map(|(name, of)| (name, field(of))).unzip();
    let named = move |values: Vec<Option<Value>>| {
        let given = names.iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
        Value::Object(given.collect())
    };
    values.prop_map(named).boxed()
}

fn any_client_frame() -> BoxedStrategy<Value> {
    const KINDS: &[&str] = &[
        "hello", "message", "typing", "read", "presence", "button", "end", "fetch", "email", "ack", "ping", "teleport",
    ];
    object(vec![
        ("type", one_of(KINDS)),
        ("v", number(300)),
        ("token", text()),
        ("identity", object(vec![("jwt", text()), ("external_id", text()), ("user_hash", text())])),
        ("last_seq", number(u64::MAX)),
        ("profile", object(vec![("name", text()), ("email", text()), ("phone", text()), ("language", text())])),
        ("device", text()),
        ("locale", text()),
        ("page", object(vec![("url", text()), ("title", text()), ("referrer", text())])),
        ("client_id", text()),
        ("conversation_id", text()),
        ("text", text()),
        ("attachments", many(text())),
        ("reply_to", text()),
        ("on", truth()),
        ("preview", text()),
        ("up_to", text()),
        ("state", one_of(&["active", "idle", "hidden"])),
        ("message_id", text()),
        ("payload", text()),
        ("before", text()),
        ("limit", number(70_000)),
        ("address", text()),
        ("seq", number(u64::MAX)),
        ("t", anything().boxed()),
    ])
}

fn any_server_frame() -> BoxedStrategy<Value> {
    const KINDS: &[&str] = &[
        "ack",
        "message",
        "message_updated",
        "message_deleted",
        "typing",
        "receipt",
        "conversation",
        "presence",
        "history",
        "error",
        "pong",
        "welcome",
    ];
    let from = || object(vec![("kind", one_of(&["agent", "bot", "system", "visitor"])), ("name", text())]);
    let file = object(vec![("id", text()), ("kind", one_of(&["image"])), ("size", number(u64::MAX)), ("url", text())]);
    let message = || {
        object(vec![
            ("id", text()),
            ("client_id", text()),
            ("from", from()),
            ("text", text()),
            ("format", one_of(&["plain"])),
            ("attachments", many(file.clone())),
            ("buttons", many(object(vec![("label", text()), ("payload", text()), ("url", text())]))),
            ("reply_to", text()),
            ("invitation", truth()),
            ("created_at", instant()),
        ])
    };
    object(vec![
        ("type", one_of(KINDS)),
        ("seq", number(u64::MAX)),
        ("client_id", text()),
        ("message_id", text()),
        ("conversation_id", text()),
        ("message", message()),
        ("messages", many(message())),
        ("created_at", instant()),
        ("from", from()),
        ("on", truth()),
        ("online", truth()),
        ("up_to", text()),
        ("state", one_of(&["delivered", "read"])),
        ("status", one_of(&["open", "assigned", "closed"])),
        ("before", text()),
        ("t", anything().boxed()),
    ])
}

/// A frame as a client writes it.
fn written(frame: &ClientFrame) -> Value {
    match frame {
        ClientFrame::Hello(hello) => {
            let Hello { v, token, identity, last_seq, profile, device, locale, page } = hello.as_ref();
            let identity = identity.as_ref().map(|ClaimedIdentity { jwt, external_id, user_hash }| {
                json!({ "jwt": jwt, "external_id": external_id, "user_hash": user_hash })
            });
            let page = page
                .as_ref()
                .map(|Page { url, title, referrer }| json!({ "url": url, "title": title, "referrer": referrer }));
            let ClaimedProfile { name, email, phone, language } = profile;
            json!({ "type": "hello", "v": v, "token": token, "identity": identity, "last_seq": last_seq, "device": device,
                "locale": locale, "page": page,
                "profile": { "name": name, "email": email, "phone": phone, "language": language } })
        }
        ClientFrame::Message(NewMessage { client_id, conversation_id, text, attachments, reply_to }) => json!({
            "type": "message", "client_id": client_id, "conversation_id": conversation_id, "text": text,
            "attachments": attachments, "reply_to": reply_to }),
        ClientFrame::Typing { conversation_id, on, preview } => {
            json!({ "type": "typing", "conversation_id": conversation_id, "on": on, "preview": preview })
        }
        ClientFrame::Read { conversation_id, up_to } => {
            json!({ "type": "read", "conversation_id": conversation_id, "up_to": up_to })
        }
        ClientFrame::Presence { state } => {
            json!({ "type": "presence", "state": format!("{state:?}").to_lowercase() })
        }
        ClientFrame::Button { message_id, payload, client_id } => {
            json!({ "type": "button", "message_id": message_id, "payload": payload, "client_id": client_id })
        }
        ClientFrame::End { conversation_id } => json!({ "type": "end", "conversation_id": conversation_id }),
        ClientFrame::Fetch { conversation_id, before, limit } => {
            json!({ "type": "fetch", "conversation_id": conversation_id, "before": before, "limit": limit })
        }
        ClientFrame::Email { address } => json!({ "type": "email", "address": address }),
        ClientFrame::Ack { seq } => json!({ "type": "ack", "seq": seq }),
        ClientFrame::Ping { t } => json!({ "type": "ping", "t": t }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_client_frame_that_parses_prints_and_parses_the_same(given in any_client_frame()) {
        let Ok(read) = serde_json::from_value::<ClientFrame>(given.clone()) else { return Ok(()) };
        let printed = written(&read);
        prop_assert_eq!(serde_json::from_value::<ClientFrame>(printed.clone()).ok(), Some(read));
        // Every field of it says what was given, or nothing where nothing was.
        for (name, value) in printed.as_object().unwrap() {
            let said = given.get(name).unwrap_or(&Value::Null);
            let is_left_out = matches!(value, Value::Null) || (name == "v" && value == 0) || *value == json!([]);
            prop_assert!(value == said || (said.is_null() && is_left_out) || value.is_object(), "{}: {} of {}", name, value, said);
        }
    }

    #[test]
    fn a_server_frame_that_parses_prints_and_parses_the_same(given in any_server_frame(), number: u64) {
        let Ok(read) = serde_json::from_value::<ServerFrame>(given.clone()) else { return Ok(()) };
        let printed = serde_json::to_value(&read).unwrap();
        prop_assert_eq!(&printed["type"], &json!(read.name()));
        prop_assert_eq!(&printed["type"], &given["type"]);
        prop_assert_eq!(&serde_json::from_value::<ServerFrame>(printed.clone()).unwrap(), &read);
        // Its number is all that numbering changes, and only where it is one of the visitor's events.
        let numbered = serde_json::to_value(read.numbered(number)).unwrap();
        let without = |frame: &Value| {
            let mut fields = frame.as_object().unwrap().clone();
            fields.remove("seq");
            fields
        };
        prop_assert_eq!(without(&numbered), without(&printed));
        let is_event = ["message", "message_updated", "message_deleted", "receipt", "conversation"];
        if number > 0 && is_event.iter().any(|kind| printed["type"] == *kind) {
            prop_assert_eq!(&numbered["seq"], &json!(number));
        } else if number > 0 {
            prop_assert_eq!(numbered.get("seq"), printed.get("seq"));
        }
    }
}

/// The two laws above look at frames, and not only at what is none.
#[test]
fn enough_of_what_is_made_up_parses() {
    let mut runner = TestRunner::new(Config::default());
    let (clients, servers) = (any_client_frame(), any_server_frame());
    let (mut client, mut server) = (0, 0);
    for _ in 0..1_000 {
        let given = clients.new_tree(&mut runner).unwrap().current();
        client += u32::from(serde_json::from_value::<ClientFrame>(given).is_ok());
        let given = servers.new_tree(&mut runner).unwrap().current();
        server += u32::from(serde_json::from_value::<ServerFrame>(given).is_ok());
    }
    assert!(client > 300 && server > 150, "{client} and {server} of 1,000 each");
}
