use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-01-01 00:00:05 UTC);

fn call(event: &str, content: &Value) -> String {
    json!({"client_key": "7000000000000000001", "event": event, "create_time": 1_767_225_600, "user_openid": "biz-open-0001",
        "content": content.to_string()})
    .to_string()
}

fn one(event: &str, content: Value) -> Inbound {
    let mut items = parse(&RawInbound::new(call(event, &content), NOW)).unwrap();
    assert_eq!(items.len(), 1);
    items.remove(0)
}

fn text() -> Value {
    json!({"timestamp": 1_767_225_600_123_i64, "conversation_id": "cnv+AAA111==", "message_id": "msg+IN1==", "type": "text",
        "text": {"body": "Hello"}, "from": "mara_k", "from_user": {"id": "usr-open-0055", "role": "personal_account"}, "to": "acme",
        "to_user": {"id": "biz-open-0001", "role": "business_account"}, "unique_identifier": "usr-open-0055", "is_follower": true})
}

fn with(mut base: Value, more: Value) -> Value {
    base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    base
}

/// The first event of tiktok.md 4.3.
#[test]
fn a_text_opens_the_window_at_its_own_time() {
    let read = one("im_receive_msg", text());
    assert_eq!((read.account.as_str(), read.event_key.as_str()), ("biz-open-0001", "message:msg+IN1=="));
    assert_eq!(read.at, datetime!(2026-01-01 00:00:00.123 UTC));
    assert_eq!(read.openings, [Opening::of("message")]);
    let person = read.person.unwrap();
    assert_eq!(
        person.addresses,
        [Address::new(USER_ID, "usr-open-0055"), Address::new(CONVERSATION_ID, "cnv+AAA111==")]
    );
    assert_eq!(person.profile.username.as_deref(), Some("mara_k"));
    let Item::Message(message) = read.item else { panic!("{:?}", read.item) };
    assert_eq!((message.content, message.payload), (Content::text("Hello"), None));
}

#[test]
fn a_tap_on_a_card_is_a_message_with_its_answer() {
    let tapped = with(text(), json!({"reply_source_payload": {"reply_source_unique_id": "b1"}}));
    let read = one("im_receive_msg", tapped);
    let Item::Message(message) = read.item else { panic!("{:?}", read.item) };
    assert_eq!(message.payload.as_deref(), Some("b1"));
    assert_eq!(read.openings, [Opening::of("message")]);
}

#[test]
fn a_picture_can_be_fetched_by_what_its_message_says() {
    let read = one("im_receive_msg", with(text(), json!({"type": "image", "image": {"media_id": "media-in-9"}})));
    let Item::Message(message) = read.item else { panic!("{:?}", read.item) };
    let Body::Text { attachments, .. } = message.content.body else { panic!("no files") };
    let MediaSource::Platform { id, .. } = &attachments[0].source else { panic!("not the platform's") };
    assert_eq!(file_of(id), Some(["cnv+AAA111==", "msg+IN1==", "media-in-9", "IMAGE"]));
}

#[rstest]
#[case(json!("7000000000000000123"))]
#[case(json!(7_000_000_000_000_000_123_u64))]
fn a_shared_post_is_its_address_whatever_the_form_of_its_id(#[case] id: Value) {
    let read = one("im_receive_msg", with(text(), json!({"type": "share_post", "share_post": {"video_id": id}})));
    let Item::Message(message) = read.item else { panic!("{:?}", read.item) };
    assert_eq!(message.content, Content::text("https://www.tiktok.com/player/v1/7000000000000000123"));
}

#[rstest]
#[case("sticker")]
#[case("reaction")]
#[case("hologram")]
fn what_we_cannot_show_still_opens_the_window(#[case] kind: &str) {
    let read = one("im_receive_msg", with(text(), json!({"type": kind})));
    assert_eq!(read.item, Item::Unsupported { what: kind.to_owned(), from_customer: true });
    assert_eq!(read.openings, [Opening::of("message")]);
}

#[test]
fn our_own_echo_says_sent_and_one_from_the_app_is_kept() {
    let out = json!({"timestamp": 1_767_225_720_000_i64, "message_id": "msg+OUT1==", "message_tag": {"source": "API"}, "from": "acme",
        "from_user": {"id": "biz-open-0001"}, "to": "mara_k", "to_user": {"id": "usr-open-0055"}});
    let ours = one("im_send_msg", with(text(), out.clone()));
    let Item::Echo { message, correlation: None } = &ours.item else { panic!("{:?}", ours.item) };
    assert_eq!(message.provider_id, "msg+OUT1==");
    // What it says can't be read: that it was sent can.
    let strange = one("im_send_msg", with(with(text(), out.clone()), json!({"type": "poll"})));
    let of = ReceiptFor::Message { provider_id: "msg+OUT1==".to_owned(), correlation: None };
    assert_eq!(strange.item, Item::Receipt { of, state: ReceiptState::Sent });
    assert!(ours.openings.is_empty());
    let theirs = one("im_send_msg", with(with(text(), out), json!({"message_tag": {"source": "APP"}})));
    assert!(matches!(theirs.item, Item::Echo { .. }) && theirs.openings.is_empty(), "{:?}", theirs.item);
    assert_eq!(theirs.person.unwrap().addresses[0], Address::new(USER_ID, "usr-open-0055"));
}

#[test]
fn reading_is_a_mark_in_time() {
    let read = json!({"timestamp": 1_767_225_730_000_i64, "conversation_id": "cnv+AAA111==",
        "read": {"last_read_timestamp": 1_767_225_725_000_i64}, "from_user": {"id": "usr-open-0055", "role": "personal_account"}});
    let item = one("im_mark_read_msg", read.clone());
    let of = ReceiptFor::UpTo(datetime!(2026-01-01 00:02:05 UTC));
    assert_eq!(item.item, Item::Receipt { of, state: ReceiptState::Read });
    // Our own reading says nothing about the customer's.
    let ours = one("im_mark_read_msg", with(read, json!({"from_user": {"id": "biz-open-0001"}})));
    assert!(matches!(ours.item, Item::Unsupported { from_customer: false, .. }));
}

#[test]
fn a_referral_and_a_comment_open_what_the_policy_says_of_them() {
    let user = json!({"id": "usr-open-0055", "role": "personal_account"});
    let referral =
        json!({"timestamp": 1, "conversation_id": "cnv+AAA111==", "referral": {"source": "ad"}, "from_user": user});
    assert_eq!(one("im_referral_msg", referral).openings, [Opening::of("referral")]);
    for (id, said) in [
        (json!("7000000000000000456"), json!({"comment_text": "How much?"})),
        (json!(7_000_000_000_000_000_456_u64), json!({"text": {"body": "How much?"}})),
    ] {
        let comment = with(json!({"timestamp": 1, "comment_id": id, "unique_identifier": "usr-open-0055"}), said);
        let item = one("im_receive_high_intent_comment", comment);
        let reference = Some("7000000000000000456".to_owned());
        assert_eq!(item.openings, [Opening { kind: "comment".to_owned(), reference }]);
        assert!(matches!(item.item, Item::Message(_)));
    }
}

#[test]
fn somebody_of_a_region_that_is_not_served_cannot_be_reached() {
    let item = one("im_receive_msg_eu", json!({"timestamp": 1, "from_user": {"id": "usr-open-0055"}}));
    assert!(matches!(item.item, Item::Standing(Standing::Unreachable { .. })) && item.openings.is_empty());
    // Without even a name there is nobody to say it of.
    assert!(matches!(one("im_receive_msg_eu", json!({})).item, Item::Unsupported { .. }));
}

#[test]
fn the_same_unknown_call_is_the_same_thing() {
    let (one, again) = (one("comment.update", json!({"a": 1})), one("comment.update", json!({"a": 1})));
    assert_eq!(one.event_key, again.event_key);
    assert!(matches!(one.item, Item::Unsupported { from_customer: false, .. }));
}

proptest! {
    /// Whatever comes is read or refused, and never ends the program.
    #[test]
    fn nothing_breaks_the_reader(bytes in any::<Vec<u8>>(), event in "[a-z_]{0,20}", content in "\\PC*", keys in any::<[u8; 8]>()) {
        let _ = parse(&RawInbound::new(bytes, NOW));
        let _ = parse(&RawInbound::new(json!({"event": event, "user_openid": "b", "content": content}).to_string(), NOW));
        // A known event with every eighth field of another type.
        let mut event = text();
        for (field, key) in event.as_object_mut().unwrap().values_mut().zip(keys) {
            if key % 3 == 0 {
                *field = json!([key]);
            }
        }
        for name in ["im_receive_msg", "im_send_msg", "im_mark_read_msg", "im_referral_msg", "im_receive_high_intent_comment"] {
            prop_assert_eq!(parse(&RawInbound::new(call(name, &event), NOW)).unwrap().len(), 1);
        }
    }
}
