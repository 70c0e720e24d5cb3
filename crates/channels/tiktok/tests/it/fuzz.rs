//! Whatever comes in: no panic, the same answer twice, and nothing that could not be kept.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::json;
use transom_channel::conformance::chance;
use transom_channel::{Channel, Platform, Ports, SettingValues};
use transom_tiktok::TikTok;

static CHANNEL: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| {
    let settings = SettingValues::default()
        .with("app_id", "7000000000000000001")
        .with("app_secret", "fuzz")
        .with("business_id", "biz-open-0001")
        .with("refresh_token", "rft.1");
    TikTok.connect(&settings, &Ports::system().unwrap()).unwrap()
});

/// Words that the parser looks for, so that chance finds its corners.
const WORDS: &str = "timestamp conversation_id message_id type text body image video media_id share_post video_id embed_url from \
    from_user to to_user id role unique_identifier is_follower message_tag source read last_read_timestamp referral ad comment_id \
    comment_text reply_source_payload reply_source_unique_id template elements";
const EVENTS: &str = "im_receive_msg im_receive_msg_eu im_send_msg im_mark_read_msg im_referral_msg \
    im_receive_high_intent_comment im_auto_message_config_update comment.update";
const TYPES: &str = "text image video share_post template sticker emoji reaction other";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes(body in chance::bytes()) {
        chance::read(&**CHANNEL, body)?;
    }

    #[test]
    fn any_content(event in chance::word(EVENTS), content in chance::json(WORDS), kind in chance::word(TYPES), millis in any::<i64>()) {
        let people = json!({"timestamp": millis, "message_id": "msg+1==", "conversation_id": "cnv+1==",
            "from_user": {"id": "usr-1"}, "to_user": {"id": "biz-open-0001"}});
        let content = chance::with(chance::with(people, &content), &json!({"type": kind}));
        let body = json!({"client_key": "7", "event": event, "create_time": 1_767_225_600, "user_openid": "biz-open-0001",
            "content": content.to_string()});
        chance::read(&**CHANNEL, body.to_string())?;
    }

    #[test]
    fn any_envelope(content in chance::json(WORDS), text in ".{0,40}") {
        let body = chance::with(json!({"event": "im_receive_msg", "content": text}), &content);
        chance::read(&**CHANNEL, body.to_string())?;
    }
}
