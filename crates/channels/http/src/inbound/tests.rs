use super::*;
use rstest::rstest;
use serde_json::json;
use time::macros::datetime;
use transom_domain::MediaKind;

const RECEIVED: OffsetDateTime = datetime!(2026-11-20 10:05 UTC);

fn one(body: &Value) -> Inbound {
    let mut items = parse("main", &RawInbound::new(body.to_string(), RECEIVED)).unwrap();
    assert_eq!(items.len(), 1, "{items:?}");
    items.remove(0)
}

fn event(kind: &str, fields: &Value) -> Value {
    let mut body = json!({"type": kind, "id": "e-1", "timestamp": "2026-11-20T11:00:00.5+01:00",
        "person": {"phone": "+15005550006", "name": "Ann Lee"}});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

#[test]
fn a_message_opens_unless_it_says_otherwise() {
    let said = json!({"message": {"id": "m-1", "content": {"type": "text", "text": "hi"}}});
    let item = one(&event("message.received", &said));
    assert_eq!((item.account.as_str(), item.event_key.as_str()), ("main", "e-1"));
    assert_eq!(item.at, datetime!(2026-11-20 10:00:00.5 UTC));
    assert_eq!(item.openings, [Opening::of("message")]);
    let person = item.person.unwrap();
    assert_eq!(person.addresses, [Address::new("phone", "+15005550006")]);
    assert_eq!(person.profile.name.as_deref(), Some("Ann Lee"));
    let mut body = event("message.received", &said);
    body["account"] = json!("other");
    body["opening"] = json!({"kind": "comment", "reference": "c-7"});
    let item = one(&body);
    assert_eq!(item.account, "other");
    assert_eq!(item.openings, [Opening { kind: "comment".into(), reference: Some("c-7".into()) }]);
}

#[test]
fn a_file_keeps_its_address() {
    let content = json!({"type": "media", "kind": "document", "url": "https://f.example/1", "mime": "application/pdf",
        "file_name": "i.pdf", "size": 7, "caption": "the invoice"});
    let item = one(&event("message.received", &json!({"message": {"id": "m-1", "content": content}})));
    let Item::Message(message) = item.item else { panic!() };
    let Body::Text { text, attachments } = message.content.body else { panic!() };
    assert_eq!(
        (text.as_str(), attachments[0].kind, attachments[0].size),
        ("the invoice", MediaKind::Document, Some(7))
    );
    let source = MediaSource::Platform { id: "m-1".into(), url: Some("https://f.example/1".into()), sha256: None };
    assert_eq!(attachments[0].source, source);
}

#[rstest]
#[case("message.received", json!({"message": {"id": "1", "content": {"type": "hologram"}}}), true)]
#[case("message.received", json!({"message": {"id": "1", "content": {"type": "template", "name": "x", "language": "x", "category": "x"}}}), true)]
#[case("message.status", json!({"message": {}, "status": "sent"}), false)]
#[case("person.standing", json!({"standing": "asleep"}), false)]
#[case("person.opening", json!({}), false)]
#[case("something.new", json!({}), false)]
fn what_is_not_known_is_kept(#[case] kind: &str, #[case] fields: Value, #[case] from_customer: bool) {
    assert_eq!(one(&event(kind, &fields)).item, Item::Unsupported { what: kind.into(), from_customer });
}

#[test]
fn nobody_opens_nothing() {
    let mut body =
        event("message.received", &json!({"message": {"id": "1", "content": {"type": "text", "text": "x"}}}));
    body["person"] = json!({"name": "no address"});
    let item = one(&body);
    assert!(item.openings.is_empty() && matches!(item.item, Item::Unsupported { .. }), "{item:?}");
}

#[rstest]
#[case(json!({"type": "x"}))]
#[case(json!({"id": "x"}))]
#[case(json!({"type": "x", "id": ""}))]
#[case(json!({"type": "x", "id": "x".repeat(129)}))]
#[case(json!({"type": "x", "id": "x", "timestamp": "yesterday"}))]
#[case(json!([]))]
fn what_is_no_event_is_an_error(#[case] body: Value) {
    assert!(parse("main", &RawInbound::new(body.to_string(), RECEIVED)).is_err());
}

#[test]
fn a_failure_is_final_whatever_its_code() {
    let failed = |code: &str| {
        let fields = json!({"message": {"id": "m"}, "status": "failed", "error": {"code": code}});
        match one(&event("message.status", &fields)).item {
            Item::Receipt { state: ReceiptState::Failed(error), .. } => error.code(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!([failed("unreachable"), failed("unknown")], ["unreachable", "content_refused"]);
}
