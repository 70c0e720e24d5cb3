//! Whatever comes in: no panic, the same answer twice, and nothing that could not be kept.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use transom_channel::conformance::{chance, vectors};
use transom_channel::{Channel, Platform, Ports, SettingValues};
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

/// A piece of XML that is rarely whole.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        chance::word(WORDS).prop_map(|word| format!("<{word}>")),
        chance::word(WORDS).prop_map(|word| format!("</{word}>")),
        chance::word(WORDS).prop_map(|word| format!("<{word}/>")),
        chance::word(WORDS).prop_map(|word| format!("<![CDATA[{word}]]>")),
        Just("&amp;&#x4e2d;&x;".to_owned()),
        Just("<!DOCTYPE xml>".to_owned()),
        chance::word(WORDS),
    ]
}

/// What comes in is no older than it says.
fn read(body: impl Into<Vec<u8>>) -> Result<Option<usize>, TestCaseError> {
    let items = chance::read(&**CHANNEL, body.into())?;
    prop_assert!(items.iter().flatten().all(|item| item.at <= chance::RECEIVED));
    Ok(items.map(|items| items.len()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_bytes(body in chance::bytes()) {
        read(body)?;
    }

    #[test]
    fn damaged(body in chance::damaged(vectors::bodies(include_str!("../fixtures/parsing.json")))) {
        read(body)?;
    }

    #[test]
    fn any_pieces(pieces in prop::collection::vec(piece(), 0..40)) {
        read(format!("<xml>{}</xml>", pieces.concat()))?;
    }

    /// Each call of an account says something, whatever is in it.
    #[test]
    fn any_call_of_a_person(kind in chance::word(WORDS), fields in prop::collection::vec((chance::word(WORDS), any::<String>()), 0..8), at in any::<i64>()) {
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
        prop_assert!(read(body)?.is_some_and(|told| told > 0));
    }

    #[test]
    fn any_json(fields in prop::collection::btree_map(chance::word(WORDS), chance::word(WORDS), 0..12)) {
        read(serde_json::to_vec(&fields).unwrap())?;
    }
}
