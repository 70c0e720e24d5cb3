use std::collections::BTreeMap;

use rstest::rstest;
use serde_json::json;
use transom_domain::template::{TemplateButton, TemplateHeader};
use transom_domain::{AttachmentId, Location, MediaSource, TemplateDefinition, TemplateParameters, TemplateStatus};
use transom_meta::template::{definition, status};
use uuid::Uuid;

use super::*;

fn message(parameters: TemplateParameters) -> TemplateMessage {
    let button = |kind, text: &str| TemplateButton { kind, text: text.to_owned(), url: None };
    TemplateMessage {
        name: "order_shipped".into(),
        language: "en_US".into(),
        category: "utility".into(),
        parameters,
        rendered: None,
        buttons: vec![
            button(TemplateButtonKind::QuickReply, "Help"),
            button(TemplateButtonKind::Url, "Track"),
            button(TemplateButtonKind::PhoneNumber, "Call"),
            button(TemplateButtonKind::CopyCode, "Copy"),
        ],
    }
}

fn places(values: &[&str]) -> TextParameters {
    TextParameters::Positional(values.iter().map(ToString::to_string).collect())
}

fn body(values: &[&str]) -> TemplateParameters {
    TemplateParameters { body: places(values), ..TemplateParameters::default() }
}

fn file(kind: MediaKind) -> Attachment {
    let source = MediaSource::Stored { id: AttachmentId::from(Uuid::from_u128(7)) };
    Attachment { kind, source, mime: None, file_name: Some("invoice.pdf".into()), size: None }
}

#[test]
fn a_send_is_written_as_the_sheet_shows() {
    let parameters = TemplateParameters {
        header: Some(HeaderParameter::Media(file(MediaKind::Image))),
        body: places(&["Mara", "A-1001"]),
        buttons: BTreeMap::from([(0, "HELP_A1001".into()), (1, "A-1001".into()), (3, "SAVE5".into())]),
    };
    let message = message(parameters);
    check(&message).unwrap();
    let written = write(&message, Some(FileRef::Id("900000000000004".into()))).unwrap();
    assert_eq!(
        serde_json::to_value(written).unwrap(),
        json!({"name": "order_shipped", "language": {"code": "en_US"}, "components": [
            {"type": "header", "parameters": [{"type": "image", "image": {"id": "900000000000004"}}]},
            {"type": "body", "parameters": [{"type": "text", "text": "Mara"}, {"type": "text", "text": "A-1001"}]},
            {"type": "button", "sub_type": "quick_reply", "index": "0", "parameters": [{"type": "payload", "payload": "HELP_A1001"}]},
            {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "A-1001"}]},
            {"type": "button", "sub_type": "copy_code", "index": "3", "parameters": [{"type": "coupon_code", "coupon_code": "SAVE5"}]}]})
    );
}

#[test]
fn names_go_along_and_empty_components_do_not() {
    let named = TextParameters::Named(BTreeMap::from([("first_name".into(), "Mara".into())]));
    let header = Some(HeaderParameter::Text(named.clone()));
    let message_of = |parameters| serde_json::to_value(write(&message(parameters), None).unwrap()).unwrap();
    let parameter = json!({"type": "text", "parameter_name": "first_name", "text": "Mara"});
    assert_eq!(
        message_of(TemplateParameters { header, body: named, buttons: BTreeMap::new() })["components"],
        json!([{"type": "header", "parameters": [parameter]}, {"type": "body", "parameters": [parameter]}])
    );
    assert_eq!(
        message_of(TemplateParameters::default()),
        json!({"name": "order_shipped", "language": {"code": "en_US"}})
    );
}

#[test]
fn a_place_and_a_file_can_stand_above() {
    let place = Location { latitude: 47.07, longitude: 15.43, name: Some("Shop".into()), address: None };
    let above = |header, source| {
        let message = message(TemplateParameters { header: Some(header), ..TemplateParameters::default() });
        serde_json::to_value(write(&message, source).unwrap()).unwrap()["components"][0]["parameters"][0].clone()
    };
    assert_eq!(
        above(HeaderParameter::Location(place), None),
        json!({"type": "location", "location": {"latitude": 47.07, "longitude": 15.43, "name": "Shop"}})
    );
    assert_eq!(
        above(
            HeaderParameter::Media(file(MediaKind::Document)),
            Some(FileRef::Link("https://cdn.example.com/i.pdf".into()))
        ),
        json!({"type": "document", "document": {"link": "https://cdn.example.com/i.pdf", "filename": "invoice.pdf"}})
    );
}

#[rstest]
#[case(message(body(&["Mara", "four    spaces"])), None)]
#[case(message(body(&["a\nb"])), Some("template.body.1: WhatsApp takes no line ends and no tabs in a template's parameter"))]
#[case(message(body(&["a", "b\tc"])), Some("template.body.2: WhatsApp takes no line ends and no tabs in a template's parameter"))]
#[case(message(body(&["five     spaces"])), Some("template.body.1: WhatsApp takes at most four spaces in a row in a template's parameter"))]
#[case(message(body(&[" "])), Some("template.body.1: it must not be empty"))]
#[case(message(TemplateParameters { buttons: BTreeMap::from([(2, "x".into())]), ..body(&[]) }), Some("template.buttons.2: this button takes no value"))]
#[case(message(TemplateParameters { buttons: BTreeMap::from([(9, "x".into())]), ..body(&[]) }), Some("template.buttons.9: the template has no such button"))]
#[case(TemplateMessage { name: "Order Shipped".into(), ..message(body(&[])) }, Some("template.name: lower-case letters, digits and underscores are allowed"))]
#[case(TemplateMessage { language: String::new(), ..message(body(&[])) }, Some("template.language: it must not be empty"))]
fn parameters_that_whatsapp_refuses_never_leave(#[case] message: TemplateMessage, #[case] expected: Option<&str>) {
    assert_eq!(check(&message).err().map(|error| error.to_string()).as_deref(), expected);
}

#[test]
fn a_sound_is_no_header() {
    let header = Some(HeaderParameter::Media(file(MediaKind::Voice)));
    assert!(check(&message(TemplateParameters { header, ..TemplateParameters::default() })).is_err());
}

#[rstest]
#[case("APPROVED", TemplateStatus::Approved)]
#[case("REINSTATED", TemplateStatus::Approved)]
#[case("UNARCHIVED", TemplateStatus::Approved)]
#[case("FLAGGED", TemplateStatus::Approved)]
#[case("LOCKED", TemplateStatus::Approved)]
#[case("PENDING", TemplateStatus::Pending)]
#[case("IN_APPEAL", TemplateStatus::Pending)]
#[case("REJECTED", TemplateStatus::Rejected)]
#[case("LIMIT_EXCEEDED", TemplateStatus::Rejected)]
#[case("PAUSED", TemplateStatus::Paused)]
#[case("ARCHIVED", TemplateStatus::Paused)]
#[case("DISABLED", TemplateStatus::Disabled)]
#[case("PENDING_DELETION", TemplateStatus::Deleted)]
#[case("DELETED", TemplateStatus::Deleted)]
#[case("A_NEW_WORD", TemplateStatus::Pending)]
fn every_status_of_the_sheet_is_known(#[case] word: &str, #[case] expected: TemplateStatus) {
    assert_eq!(status(word), expected);
}

fn listed(components: &serde_json::Value) -> TemplateDefinition {
    let entry = json!({"id": "1", "name": "order_shipped", "language": "en_US", "status": "APPROVED", "category": "UTILITY",
        "parameter_format": "NAMED", "components": components});
    definition(&entry).unwrap()
}

#[test]
fn a_template_is_read_from_the_catalogue() {
    let read = listed(&json!([
        {"type": "HEADER", "format": "TEXT", "text": "Order {{order_id}}"},
        {"type": "BODY", "text": "Hi {{first_name}}", "example": {"body_text_named_params": [{"param_name": "first_name", "example": "{{x}}"}]}},
        {"type": "FOOTER", "text": "Acme"},
        {"type": "BUTTONS", "buttons": [
            {"type": "QUICK_REPLY", "text": "Help"}, {"type": "URL", "text": "Track", "url": "https://acme.example/t/{{1}}"},
            {"type": "PHONE_NUMBER", "text": "Call", "phone_number": "+43123"}, {"type": "COPY_CODE", "text": "Copy", "example": "SAVE5"},
            {"type": "FLOW", "text": "Book", "flow_id": "1"}]},
        {"type": "CALL_PERMISSION_REQUEST"}]));
    assert_eq!(
        (read.provider_id.as_str(), read.category.as_str(), read.status),
        ("1", "utility", TemplateStatus::Approved)
    );
    assert_eq!(read.header, Some(TemplateHeader::Text { text: "Order {{order_id}}".into() }));
    assert_eq!((read.body.as_str(), read.footer.as_deref()), ("Hi {{first_name}}", Some("Acme")));
    let kinds: Vec<_> = read.buttons.iter().map(|button| button.kind).collect();
    use TemplateButtonKind as K;
    assert_eq!(kinds, [K::QuickReply, K::Url, K::PhoneNumber, K::CopyCode, K::Other]);

    let parameters = TemplateParameters {
        header: Some(HeaderParameter::Text(TextParameters::Named(BTreeMap::from([("order_id".into(), "7".into())])))),
        body: TextParameters::Named(BTreeMap::from([("first_name".into(), "Mara".into())])),
        buttons: BTreeMap::from([(1, "7".into()), (3, "SAVE5".into())]),
    };
    let filled = read.fill(parameters).unwrap();
    assert_eq!(filled.rendered.as_deref(), Some("Order 7\nHi Mara\nAcme"));
    check(&filled).unwrap();
}

#[rstest]
#[case(json!([{"type": "CAROUSEL", "cards": []}]), "APPROVED, but Transom can't fill its carousel")]
#[case(json!([{"type": "LIMITED_TIME_OFFER"}]), "APPROVED, but Transom can't fill its limited_time_offer")]
#[case(json!([{"type": "HEADER", "format": "PRODUCT"}]), "APPROVED, but Transom can't fill its header (product)")]
#[case(json!([{"type": "NOVELTY", "text": "{{1}}"}]), "APPROVED, but Transom can't fill its novelty")]
#[case(json!([{"type": "BUTTONS", "buttons": [{"type": "MPM", "text": "See"}]}]), "APPROVED, but Transom can't fill its button (mpm)")]
fn what_we_can_not_fill_is_marked(#[case] components: serde_json::Value, #[case] word: &str) {
    let read = listed(&components);
    assert_eq!((read.status, read.provider_status.as_str()), (TemplateStatus::Disabled, word));
}

#[test]
fn components_without_parameters_stay_sendable() {
    assert_eq!(
        listed(&json!([{"type": "NOVELTY", "text": "words"}, {"type": "BODY", "text": "Hi"}])).status,
        TemplateStatus::Approved
    );
}

#[test]
fn a_one_time_code_is_an_addresss_ending() {
    let entry = json!({"id": 2, "name": "login", "language": "en", "status": "APPROVED", "category": "AUTHENTICATION",
        "components": [{"type": "BODY", "add_security_recommendation": true}, {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE", "text": "Copy code"}]}]});
    let parameters = TemplateParameters { buttons: BTreeMap::from([(0, "123456".into())]), ..body(&["123456"]) };
    let filled = definition(&entry).unwrap().fill(parameters).unwrap();
    let written = serde_json::to_value(write(&filled, None).unwrap()).unwrap();
    assert_eq!(
        written["components"][1],
        json!({"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "123456"}]})
    );
}

#[rstest]
#[case(json!({"name": "a", "language": "en"}))]
#[case(json!({"id": "1", "language": "en"}))]
#[case(json!("words"))]
fn an_entry_without_a_name_is_none(#[case] entry: serde_json::Value) {
    assert_eq!(definition(&entry), None);
}
