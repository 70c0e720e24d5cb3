//! Whatever comes in: no panic, the same answer twice, and nothing that could not be kept.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use time::macros::datetime;
use transom_channel::{Channel, Platform, Ports, RawInbound, SettingValues};
use transom_wechat::WeChat;

use crate::world::KEY;

static CHANNEL: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| {
    let settings = SettingValues::default()
        .with("app_id", "wx1")
        .with("app_secret", "s")
        .with("token", "abc")
        .with("encoding_aes_key", KEY)
        .with("original_id", "gh_1");
    WeChat.connect(&settings, &Ports::system().unwrap()).unwrap()
});

/// Words that the parser looks for, so that chance finds its corners.
const WORDS: &str = "xml ToUserName FromUserName CreateTime MsgType MsgId MsgID Content bizmsgmenuid PicUrl MediaId Format \
    Location_X Location_Y Label Title Description Url Event EventKey Ticket Status Encrypt ScanCodeInfo ScanResult text image \
    voice video shortvideo location link event subscribe unsubscribe SCAN CLICK VIEW LOCATION scancode_push qrscene_1 \
    TEMPLATESENDJOBFINISH success subscribe_msg_popup_event SubscribeMsgPopupEvent List TemplateId SubscribeStatusString accept";

fn word() -> impl Strategy<Value = String> {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    prop_oneof![8 => prop::sample::select(words).prop_map(str::to_owned), 1 => any::<String>()]
}

/// A piece of XML that is rarely whole.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        word().prop_map(|word| format!("<{word}>")),
        word().prop_map(|word| format!("</{word}>")),
        word().prop_map(|word| format!("<{word}/>")),
        word().prop_map(|word| format!("<![CDATA[{word}]]>")),
        Just("&amp;&#x4e2d;&x;".to_owned()),
        Just("<!DOCTYPE xml>".to_owned()),
        word(),
    ]
}

/// Reads it twice; what can be read has a key and an account, and comes out the same.
fn survives(body: Vec<u8>) -> Result<Option<usize>, TestCaseError> {
    let raw = RawInbound::new(body, datetime!(2026-11-20 10:00 UTC));
    let read = CHANNEL.parse(&raw);
    prop_assert_eq!(&read, &CHANNEL.parse(&raw));
    let count = read.as_ref().ok().map(Vec::len);
    for item in read.into_iter().flatten() {
        prop_assert!(!item.event_key.is_empty() && !item.account.is_empty(), "{:?}", item);
        prop_assert!(item.at <= raw.received_at);
    }
    Ok(count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_bytes(body in prop::collection::vec(any::<u8>(), 0..300)) {
        survives(body)?;
    }

    #[test]
    fn any_pieces(pieces in prop::collection::vec(piece(), 0..40)) {
        survives(format!("<xml>{}</xml>", pieces.concat()).into_bytes())?;
    }

    /// Each call of an account says something, whatever is in it.
    #[test]
    fn any_call_of_a_person(kind in word(), fields in prop::collection::vec((word(), any::<String>()), 0..8), at in any::<i64>()) {
        let text = |text: &str| text.replace("]]>", "");
        let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphabetic() || c == '_') && !name.is_empty();
        let fields: Vec<String> = fields
            .iter()
            .filter(|(name, _)| is_name(name) && name != "Encrypt")
            .map(|(name, value)| format!("<{name}><![CDATA[{}]]></{name}>", text(value)))
            .collect();
        let fields = fields.concat();
        let kind = text(&kind);
        prop_assume!(!kind.is_empty());
        let body = format!("<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>{at}</CreateTime>\
            <MsgType><![CDATA[{kind}]]></MsgType>{fields}</xml>");
        prop_assert!(survives(body.into_bytes())?.is_some_and(|told| told > 0));
    }

    #[test]
    fn any_json(fields in prop::collection::btree_map(word(), word(), 0..12)) {
        survives(serde_json::to_vec(&fields).unwrap())?;
    }
}
