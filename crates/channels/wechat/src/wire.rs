//! WeChat's JSON, without logic.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What every answer may say: HTTP 200 also for errors, `errcode` 0 or absent for success (2).
#[derive(Deserialize)]
pub(crate) struct Answer {
    #[serde(default)]
    pub(crate) errcode: Option<i64>,
    #[serde(default)]
    pub(crate) errmsg: String,
    /// Of a template message (2.3); 64 bits.
    #[serde(default)]
    pub(crate) msgid: Option<i64>,
}

/// A template message (2.3).
#[derive(Serialize)]
pub(crate) struct TemplateSend<'m> {
    pub(crate) touser: &'m str,
    pub(crate) template_id: &'m str,
    /// Of two with the same one WeChat sends one, for about ten minutes.
    pub(crate) client_msg_id: &'m str,
    pub(crate) data: BTreeMap<&'m str, Value<'m>>,
}

/// A value of a template's place.
#[derive(Serialize)]
pub(crate) struct Value<'m> {
    pub(crate) value: &'m str,
}

/// The account's templates.
#[derive(Deserialize)]
pub(crate) struct Catalogue {
    #[serde(default)]
    pub(crate) template_list: Vec<Listed>,
}

/// One of them.
#[derive(Deserialize)]
pub(crate) struct Listed {
    pub(crate) template_id: String,
    #[serde(default)]
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) content: String,
}

/// A token and how long it lasts, in seconds (2.1).
#[derive(Deserialize)]
pub(crate) struct Token {
    pub(crate) access_token: String,
    pub(crate) expires_in: i64,
}

/// An uploaded file (6).
#[derive(Deserialize)]
pub(crate) struct Uploaded {
    /// Thumbs alone come back under another name.
    #[serde(alias = "thumb_media_id")]
    pub(crate) media_id: String,
}

/// Where a video lies (6).
#[derive(Deserialize)]
pub(crate) struct VideoAt {
    pub(crate) video_url: String,
}

/// What is told of a follower (5).
#[derive(Deserialize)]
pub(crate) struct UserInfo {
    /// 0: does not follow, and nothing else is told.
    #[serde(default)]
    pub(crate) subscribe: Option<u8>,
    /// The name that the account gave this follower.
    #[serde(default)]
    pub(crate) remark: Option<String>,
    #[serde(default)]
    pub(crate) language: Option<String>,
}

/// A customer-service message (2.2).
#[derive(Serialize)]
pub(crate) struct Message<'m> {
    pub(crate) touser: &'m str,
    #[serde(flatten)]
    pub(crate) substance: Substance<'m>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) customservice: Option<CustomService<'m>>,
}

/// As whom.
#[derive(Serialize)]
pub(crate) struct CustomService<'m> {
    pub(crate) kf_account: &'m str,
}

/// What it says: `msgtype`, and an object under that same name.
#[derive(Serialize)]
#[serde(tag = "msgtype", rename_all = "lowercase")]
pub(crate) enum Substance<'m> {
    Text { text: Text<'m> },
    Image { image: Media<'m> },
    Voice { voice: Media<'m> },
    Video { video: Video<'m> },
    MsgMenu { msgmenu: Menu<'m> },
}

#[derive(Serialize)]
pub(crate) struct Text<'m> {
    pub(crate) content: &'m str,
}

#[derive(Serialize)]
pub(crate) struct Media<'m> {
    pub(crate) media_id: &'m str,
}

#[derive(Serialize)]
pub(crate) struct Video<'m> {
    pub(crate) media_id: &'m str,
    pub(crate) thumb_media_id: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<&'m str>,
}

#[derive(Serialize)]
pub(crate) struct Menu<'m> {
    pub(crate) head_content: String,
    pub(crate) list: Vec<MenuItem<'m>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tail_content: Option<&'m str>,
}

#[derive(Serialize)]
pub(crate) struct MenuItem<'m> {
    pub(crate) id: &'m str,
    pub(crate) content: &'m str,
}
