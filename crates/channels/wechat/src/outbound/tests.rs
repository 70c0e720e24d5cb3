use rstest::rstest;
use serde_json::{Value, json};
use transom_domain::{Choice, UuidV7};

use super::*;
use crate::capabilities::capabilities;
use crate::wire::{CustomService, Message};

const OPENID: &str = "oEXAMPLEopenid00000000000001";

fn request(substance: Substance<'_>) -> String {
    serde_json::to_string(&Message { touser: OPENID, substance, customservice: None }).unwrap()
}

fn ready(content: &Content) -> String {
    let parts = plan(content, &capabilities(true)).unwrap();
    assert_eq!(parts.len(), 1);
    match draft(&parts[0].content) {
        Some(Draft::Ready(substance)) => request(substance),
        _ => panic!("not ready"),
    }
}

fn stored(kind: MediaKind, mime: &str) -> Attachment {
    let source = MediaSource::Stored { id: AttachmentId::new(&UuidV7) };
    Attachment { kind, source, mime: Some(mime.to_owned()), file_name: None, size: Some(10) }
}

fn choices(buttons: &[(&str, &str)]) -> Choices {
    let button = |(id, title): &(&str, &str)| Choice {
        id: (*id).to_owned(),
        title: (*title).to_owned(),
        description: None,
        url: None,
    };
    let buttons = buttons.iter().map(button).collect();
    Choices { text: "Solved?".into(), header: None, footer: Some("Thanks".into()), buttons, list: None }
}

fn parsed(request: &str) -> Value {
    serde_json::from_str(request).unwrap()
}

/// The requests of wechat.md 2.2.
#[test]
fn requests_are_as_the_sheet_shows_them() {
    assert_eq!(
        parsed(&ready(&Content::text("Your order 4711 ships today"))),
        json!({"touser": OPENID, "msgtype": "text", "text": {"content": "Your order 4711 ships today"}})
    );
    let menu = Content { body: Body::Choices(choices(&[("101", "yes"), ("102", "no")])), reply_to: None };
    assert_eq!(
        parsed(&ready(&menu)),
        json!({"touser": OPENID, "msgtype": "msgmenu", "msgmenu": {"head_content": "Solved?",
            "list": [{"id": "101", "content": "yes"}, {"id": "102", "content": "no"}], "tail_content": "Thanks"}})
    );
    let sent = |kind, thumb| parsed(&request(file(&stored(kind, "x/y"), "MEDIA_A", thumb).unwrap()));
    assert_eq!(
        sent(MediaKind::Image, None),
        json!({"touser": OPENID, "msgtype": "image", "image": {"media_id": "MEDIA_A"}})
    );
    assert_eq!(
        sent(MediaKind::Voice, None),
        json!({"touser": OPENID, "msgtype": "voice", "voice": {"media_id": "MEDIA_A"}})
    );
    assert_eq!(
        sent(MediaKind::Video, Some("MEDIA_D")),
        json!({"touser": OPENID, "msgtype": "video", "video": {"media_id": "MEDIA_A", "thumb_media_id": "MEDIA_D"}})
    );
    let substance = Substance::Text { text: Text { content: "hi" } };
    let customservice = Some(CustomService { kf_account: "anna@acme" });
    assert_eq!(
        serde_json::to_value(Message { touser: OPENID, substance, customservice }).unwrap(),
        json!({"touser": OPENID, "msgtype": "text", "text": {"content": "hi"}, "customservice": {"kf_account": "anna@acme"}})
    );
}

/// "UTF-8 with raw characters, no \uXXXX escapes" (2).
#[rstest]
#[case("您的订单今天发货 🎉")]
#[case("é\u{feff}\u{200b}\u{2028}\u{7f}\u{85}\u{10ffff}")]
#[case("a \"quote\", a \\ and\nlines\r\n\tand tabs </a>")]
fn characters_go_out_raw(#[case] text: &str) {
    let request = ready(&Content::text(text));
    assert!(!request.contains("\\u"), "{request}");
    assert_eq!(parsed(&request)["text"]["content"], text);
}

#[rstest]
#[case("a\u{0}b")]
#[case("bell \u{7}")]
#[case("\u{1b}[1m")]
fn what_json_can_only_escape_is_refused(#[case] text: &str) {
    let refused = plan(&Content::text(text), &capabilities(true)).unwrap_err();
    assert_eq!(refused.code(), "content_malformed");
}

#[test]
fn the_limit_counts_bytes() {
    let fits = |text: String| plan(&Content::text(text), &capabilities(true)).is_ok();
    assert!(fits("中".repeat(682)) && !fits("中".repeat(683)));
}

#[test]
fn words_go_before_the_files() {
    let files = vec![stored(MediaKind::Image, "image/png"), stored(MediaKind::Voice, "audio/amr")];
    let content = Content { body: Body::Text { text: "Look".into(), attachments: files.clone() }, reply_to: None };
    let parts = plan(&content, &capabilities(false)).unwrap();
    assert_eq!(parts.len(), 3);
    assert_eq!(parts[0].content, Content::text("Look"));
    assert!(matches!(draft(&parts[2].content), Some(Draft::File(file, _)) if *file == files[1]));
}

#[rstest]
#[case(MediaKind::Video, "video/mp4", false, Some("not_supported_by_channel"))]
#[case(MediaKind::Video, "video/mp4", true, None)]
#[case(MediaKind::Document, "application/pdf", true, Some("not_supported_by_channel"))]
#[case(MediaKind::Image, "image/webp", true, Some("media_type_not_accepted"))]
#[case(MediaKind::Image, "image/gif", true, None)]
fn files_have_their_rules(
    #[case] kind: MediaKind,
    #[case] mime: &str,
    #[case] video: bool,
    #[case] refused: Option<&str>,
) {
    let body = Body::Text { text: String::new(), attachments: vec![stored(kind, mime)] };
    let planned = plan(&Content { body, reply_to: None }, &capabilities(video));
    assert_eq!(planned.err().map(|refused| refused.code()), refused);
}

#[test]
fn a_title_is_the_menus_first_line() {
    let with_title = Choices { header: Some("Order 4711".into()), footer: None, ..choices(&[("1", "yes")]) };
    let sent = parsed(&ready(&Content { body: Body::Choices(with_title), reply_to: None }));
    assert_eq!(
        sent["msgmenu"],
        json!({"head_content": "Order 4711\nSolved?", "list": [{"id": "1", "content": "yes"}]})
    );
}
