use rstest::rstest;
use time::macros::datetime;
use transom_channel::SendError;
use transom_domain::{Body, MediaSource};

use super::*;

const NOW: OffsetDateTime = datetime!(2026-01-01 00:10 UTC);
const MARA: &str = "oEXAMPLEopenid00000000000001";

fn call(inner: &str) -> String {
    format!(
        "<xml><ToUserName><![CDATA[gh_0000000000a1]]></ToUserName><FromUserName><![CDATA[{MARA}]]></FromUserName>\
         <CreateTime>1767225600</CreateTime>{inner}</xml>"
    )
}

fn all(inner: &str) -> Vec<Inbound> {
    read(&Node::read(call(inner).as_bytes()).unwrap(), NOW).unwrap()
}

fn one(inner: &str) -> Inbound {
    let mut items = all(inner);
    assert_eq!(items.len(), 1);
    items.remove(0)
}

fn event(name: &str, more: &str) -> String {
    format!("<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[{name}]]></Event>{more}")
}

fn kinds(read: &Inbound) -> Vec<&str> {
    read.openings.iter().map(|opening| opening.kind.as_str()).collect()
}

/// The first payload of wechat.md 4.4.
#[test]
fn a_text_opens_the_window_and_may_be_answered_in_its_response() {
    let read = one("<MsgType>text</MsgType><Content>hello you</Content><MsgId>24000000000000001</MsgId>");
    assert_eq!((read.account.as_str(), read.event_key.as_str()), ("gh_0000000000a1", "message:24000000000000001"));
    assert_eq!(read.at, datetime!(2026-01-01 00:00 UTC));
    assert_eq!(read.person.as_ref().unwrap().addresses, [Address::new(OPENID, MARA)]);
    let reference = Some("24000000000000001".to_owned());
    assert_eq!(read.openings, [Opening::of("message"), Opening { kind: "webhook_call".into(), reference }]);
    let Item::Message(message) = read.item else { panic!("{:?}", read.item) };
    assert_eq!((message.content, message.payload), (Content::text("hello you"), None));
}

#[test]
fn the_earlier_of_two_clocks_counts() {
    let early = datetime!(2025-12-31 23:59:58 UTC);
    let document = call("<MsgType>text</MsgType><Content>x</Content><MsgId>1</MsgId>");
    let items = read(&Node::read(document.as_bytes()).unwrap(), early).unwrap();
    assert_eq!(items[0].at, early);
}

#[rstest]
#[case("<MsgType>text</MsgType><Content>yes</Content><bizmsgmenuid>101</bizmsgmenuid><MsgId>2</MsgId>", &["menu_click", "webhook_call"])]
#[case("<MsgType>image</MsgType><PicUrl>http://x/p</PicUrl><MediaId>M1</MediaId><MsgId>3</MsgId>", &["message", "webhook_call"])]
#[case("<MsgType>miniprogrampage</MsgType><Title>Shop</Title><MsgId>4</MsgId>", &["webhook_call"])]
#[case("<MsgType>hologram</MsgType><MsgId>5</MsgId>", &["webhook_call"])]
fn messages_open_what_their_type_does(#[case] inner: &str, #[case] opened: &[&str]) {
    assert_eq!(kinds(&one(inner)), opened);
}

/// wechat.md 0 and 4.4.
#[rstest]
#[case("subscribe", "<EventKey></EventKey>", &["follow", "webhook_call"])]
#[case("subscribe", "<EventKey>qrscene_4711</EventKey><Ticket>T</Ticket>", &["follow", "scan", "webhook_call"])]
#[case("unsubscribe", "", &["leave"])]
#[case("SCAN", "<EventKey>4711</EventKey>", &["scan", "webhook_call"])]
#[case("scan", "<EventKey>4711</EventKey>", &["scan", "webhook_call"])]
#[case("CLICK", "<EventKey>HELP</EventKey>", &["menu_click", "webhook_call"])]
#[case("scancode_push", "<EventKey>K</EventKey><ScanCodeInfo><ScanResult>r</ScanResult></ScanCodeInfo>", &["menu_click", "webhook_call"])]
#[case("scancode_waitmsg", "<EventKey>K</EventKey>", &["menu_click", "webhook_call"])]
#[case("VIEW", "<EventKey>https://e.com</EventKey>", &["menu_view"])]
#[case("view_miniprogram", "", &["menu_view"])]
#[case("pic_weixin", "", &["menu_view"])]
#[case("location_select", "", &["menu_view"])]
#[case("LOCATION", "<Latitude>1</Latitude>", &["location"])]
#[case("kf_create_session", "<KfAccount>a@b</KfAccount>", &[])]
#[case("TEMPLATESENDJOBFINISH", "<MsgID>7</MsgID><Status>success</Status>", &[])]
fn events_open_what_the_table_says(#[case] name: &str, #[case] more: &str, #[case] opened: &[&str]) {
    assert_eq!(kinds(&one(&event(name, more))), opened);
}

#[test]
fn a_tap_on_the_menu_is_a_message_with_its_answer() {
    let read = one(&event("CLICK", "<EventKey>HELP</EventKey>"));
    let Item::Message(message) = &read.item else { panic!("{:?}", read.item) };
    assert_eq!((&message.content, message.payload.as_deref()), (&Content::text("HELP"), Some("HELP")));
    assert_eq!(read.openings[1].reference.as_deref(), Some(message.provider_id.as_str()));
    let scanned =
        event("scancode_push", "<EventKey>K</EventKey><ScanCodeInfo><ScanResult>4711</ScanResult></ScanCodeInfo>");
    let Item::Message(message) = one(&scanned).item else { panic!() };
    assert_eq!((message.content, message.payload.as_deref()), (Content::text("4711"), Some("K")));
}

#[test]
fn who_follows_and_who_no_longer_does_is_told() {
    assert_eq!(one(&event("subscribe", "")).item, Item::Standing(Standing::Subscribed));
    assert_eq!(one(&event("unsubscribe", "")).item, Item::Standing(Standing::Unsubscribed));
}

/// "Events by FromUserName + CreateTime (add Event and EventKey)" (4.5).
#[test]
fn events_without_an_id_are_told_apart_and_known_again() {
    let key = |inner: &str| one(inner).event_key;
    let click = |key: &str| event("CLICK", &format!("<EventKey>{key}</EventKey>"));
    assert_eq!(key(&click("A")), key(&click("A")));
    let keys = [
        key(&click("A")),
        key(&click("B")),
        key(&event("SCAN", "<EventKey>A</EventKey>")),
        key(&event("subscribe", "")),
    ];
    let apart: std::collections::BTreeSet<&String> = keys.iter().collect();
    assert_eq!(apart.len(), keys.len(), "{keys:?}");
    // The case of an event's name does not make it another event.
    assert_eq!(key(&event("Subscribe", "")), key(&event("subscribe", "")));
}

#[test]
fn files_keep_their_ids_and_places_their_degrees() {
    let read = one("<MsgType>voice</MsgType><MediaId>M2</MediaId><Format>amr</Format><MsgId>6</MsgId>");
    let Item::Message(InboundMessage { content: Content { body: Body::Text { text, attachments }, .. }, .. }) =
        read.item
    else {
        panic!("no message")
    };
    assert_eq!((text.as_str(), attachments[0].mime.as_deref()), ("", Some("audio/amr")));
    assert_eq!(attachments[0].source, MediaSource::Platform { id: "M2".into(), url: None, sha256: None });
    let place = one(
        "<MsgType>location</MsgType><Location_X>23.13</Location_X><Location_Y>113.35</Location_Y><Label>Here</Label><MsgId>7</MsgId>",
    );
    let Item::Message(InboundMessage { content: Content { body: Body::Location(place), .. }, .. }) = place.item else {
        panic!("no place")
    };
    assert_eq!((place.latitude, place.longitude, place.name.as_deref()), (23.13, 113.35, Some("Here")));
}

#[rstest]
#[case("success", "delivered")]
#[case("failed:user block", "blocked")]
#[case("failed: system failed", "template_refused")]
fn template_receipts_have_three_ends(#[case] status: &str, #[case] end: &str) {
    let read = one(&event("TEMPLATESENDJOBFINISH", &format!("<MsgID>3001</MsgID><Status>{status}</Status>")));
    let Item::Receipt { of, state } = read.item else { panic!("{:?}", read.item) };
    assert_eq!(of, ReceiptFor::Message { provider_id: "3001".into(), correlation: None });
    let seen = match &state {
        ReceiptState::Failed(error) => SendError::code(error),
        _ => "delivered",
    };
    assert_eq!(seen, end);
}

#[test]
fn each_template_of_a_popup_is_a_permission_of_its_own() {
    let list = "<SubscribeMsgPopupEvent><List><TemplateId>T1</TemplateId><SubscribeStatusString>accept</SubscribeStatusString></List>\
        <List><TemplateId>T2</TemplateId><SubscribeStatusString>reject</SubscribeStatusString></List></SubscribeMsgPopupEvent>";
    let items = all(&event("subscribe_msg_popup_event", list));
    assert_eq!(items.len(), 2);
    assert_eq!(items[0].openings, [Opening { kind: "template_grant".into(), reference: Some("T1".into()) }]);
    assert!(items[1].openings.is_empty() && items[0].event_key != items[1].event_key);
    let sent = "<SubscribeMsgSentEvent><List><TemplateId>T1</TemplateId><MsgID>9</MsgID><ErrorCode>0</ErrorCode></List></SubscribeMsgSentEvent>";
    let items = all(&event("subscribe_msg_sent_event", sent));
    assert!(matches!(&items[0].item, Item::Receipt { state: ReceiptState::Delivered, .. }), "{items:?}");
    assert!(matches!(all(&event("subscribe_msg_sent_event", ""))[0].item, Item::Unsupported { .. }));
}

#[rstest]
#[case("<xml><MsgType>text</MsgType></xml>")]
#[case("<xml><ToUserName>gh_1</ToUserName></xml>")]
fn what_names_no_account_or_type_is_unreadable(#[case] document: &str) {
    assert!(read(&Node::read(document.as_bytes()).unwrap(), NOW).is_err());
}
