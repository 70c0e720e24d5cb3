//! The Bot API's JSON, as far as it is read. Unknown fields are ignored; Telegram adds some several times a year.

use serde::Deserialize;
use serde_json::{Map, Value};

/// Every answer (telegram.md 2).
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) ok: bool,
    #[serde(default)]
    pub(crate) result: Value,
    pub(crate) error_code: Option<u16>,
    pub(crate) description: Option<String>,
    pub(crate) parameters: Option<ResponseParameters>,
}

/// What an answer says besides: how long to wait, where a group went (telegram.md 2, 3).
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ResponseParameters {
    pub(crate) migrate_to_chat_id: Option<i64>,
    pub(crate) retry_after: Option<u64>,
}

/// The id of a business connection: it names an account, so an empty one is none (telegram.md 1, 4).
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct ConnectionId(String);

impl ConnectionId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ConnectionId {
    type Error = &'static str;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        if id.is_empty() { Err("an empty id") } else { Ok(Self(id)) }
    }
}

/// Somebody (telegram.md 4, 5).
#[derive(Debug, Deserialize)]
pub(crate) struct User {
    pub(crate) id: i64,
    #[serde(default)]
    pub(crate) is_bot: bool,
    #[serde(flatten)]
    pub(crate) names: Names,
    pub(crate) language_code: Option<String>,
}

/// Where a message stands (telegram.md 4).
#[derive(Debug, Deserialize)]
pub(crate) struct Chat {
    pub(crate) id: i64,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(flatten)]
    pub(crate) names: Names,
}

/// What users and private chats are called (telegram.md 4, 5).
#[derive(Debug, Deserialize)]
pub(crate) struct Names {
    pub(crate) first_name: Option<String>,
    pub(crate) last_name: Option<String>,
    pub(crate) username: Option<String>,
}

impl Chat {
    pub(crate) fn is_private(&self) -> bool {
        self.kind == "private"
    }
}

/// A message, of whomever (telegram.md 4).
#[derive(Debug, Deserialize)]
pub(crate) struct Message {
    pub(crate) message_id: i64,
    pub(crate) date: i64,
    pub(crate) edit_date: Option<i64>,
    pub(crate) chat: Chat,
    pub(crate) from: Option<User>,
    pub(crate) business_connection_id: Option<ConnectionId>,
    pub(crate) media_group_id: Option<String>,
    pub(crate) reply_to_message: Option<Quoted>,
    pub(crate) text: Option<String>,
    pub(crate) caption: Option<String>,
    pub(crate) photo: Option<Vec<PhotoSize>>,
    pub(crate) video: Option<File>,
    pub(crate) video_note: Option<File>,
    pub(crate) animation: Option<File>,
    pub(crate) audio: Option<File>,
    pub(crate) voice: Option<File>,
    pub(crate) document: Option<File>,
    pub(crate) sticker: Option<Sticker>,
    pub(crate) location: Option<Location>,
    pub(crate) venue: Option<Venue>,
    pub(crate) contact: Option<Contact>,
    /// All else: what kind of message it is when it is none of the above.
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

/// A message that another one quotes (telegram.md 4).
#[derive(Debug, Deserialize)]
pub(crate) struct Quoted {
    pub(crate) message_id: i64,
    pub(crate) chat: Option<Chat>,
}

/// One size of a photo; the last is the largest (telegram.md 4, 6).
#[derive(Debug, Deserialize)]
pub(crate) struct PhotoSize {
    pub(crate) file_id: String,
    #[serde(default)]
    pub(crate) width: u64,
    #[serde(default)]
    pub(crate) height: u64,
    pub(crate) file_size: Option<u64>,
}

/// A file but for its bytes, which `getFile` leads to (telegram.md 4, 6).
#[derive(Debug, Deserialize)]
pub(crate) struct File {
    pub(crate) file_id: String,
    pub(crate) file_name: Option<String>,
    pub(crate) mime_type: Option<String>,
    pub(crate) file_size: Option<u64>,
}

/// A sticker, which may be of several formats (telegram.md 4, 6).
#[derive(Debug, Deserialize)]
pub(crate) struct Sticker {
    pub(crate) file_id: String,
    #[serde(default)]
    pub(crate) is_animated: bool,
    #[serde(default)]
    pub(crate) is_video: bool,
    pub(crate) file_size: Option<u64>,
}

/// A place (telegram.md 4).
#[derive(Debug, Deserialize)]
pub(crate) struct Location {
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
}

/// A place with a name and an address (telegram.md 4).
#[derive(Debug, Deserialize)]
pub(crate) struct Venue {
    pub(crate) location: Location,
    pub(crate) title: String,
    pub(crate) address: String,
}

/// A contact card; of the writer's own if `user_id` says so (telegram.md 4, 5).
#[derive(Debug, Deserialize)]
pub(crate) struct Contact {
    pub(crate) phone_number: String,
    pub(crate) first_name: String,
    pub(crate) last_name: Option<String>,
    pub(crate) user_id: Option<i64>,
}

/// A tap on a button (telegram.md 4).
#[derive(Debug, Deserialize)]
pub(crate) struct CallbackQuery {
    pub(crate) id: String,
    pub(crate) from: User,
    pub(crate) message: Option<Tapped>,
    pub(crate) data: Option<String>,
}

/// An update, as far as it is of a tap (telegram.md 4).
#[derive(Debug, Deserialize)]
pub(crate) struct TapUpdate {
    pub(crate) callback_query: Option<TapId>,
}

/// The id by which a tap is answered (telegram.md 4).
#[derive(Debug, Deserialize)]
pub(crate) struct TapId {
    pub(crate) id: String,
}

/// The message whose button was tapped; an old one comes with its id and chat only (telegram.md 4).
#[derive(Debug, Deserialize)]
pub(crate) struct Tapped {
    pub(crate) message_id: i64,
    pub(crate) chat: Chat,
    pub(crate) business_connection_id: Option<ConnectionId>,
    pub(crate) reply_markup: Option<Keyboard>,
}

/// The buttons under a message (telegram.md 2).
#[derive(Debug, Deserialize)]
pub(crate) struct Keyboard {
    #[serde(default)]
    pub(crate) inline_keyboard: Vec<Vec<Button>>,
}

/// One of them (telegram.md 2).
#[derive(Debug, Deserialize)]
pub(crate) struct Button {
    pub(crate) text: String,
    pub(crate) callback_data: Option<String>,
}

/// Somebody's Telegram Business account lets the bot act, or no longer (telegram.md 1, 4).
#[derive(Debug, Deserialize)]
pub(crate) struct BusinessConnection {
    pub(crate) id: ConnectionId,
    pub(crate) user: User,
    #[serde(default)]
    pub(crate) is_enabled: bool,
    pub(crate) rights: Option<BusinessBotRights>,
    /// Before Bot API 9.0 the right stood here.
    pub(crate) can_reply: Option<bool>,
}

/// What the bot may do there (telegram.md 1, 4).
#[derive(Debug, Deserialize)]
pub(crate) struct BusinessBotRights {
    #[serde(default)]
    pub(crate) can_reply: bool,
}

impl BusinessConnection {
    /// Whether the bot may write in the owner's name at all.
    pub(crate) fn may_reply(&self) -> bool {
        let right = self.rights.as_ref().map(|rights| rights.can_reply).or(self.can_reply);
        self.is_enabled && right.unwrap_or(false)
    }
}

/// Messages that were taken back in such an account (telegram.md 4).
#[derive(Debug, Deserialize)]
pub(crate) struct DeletedBusinessMessages {
    pub(crate) business_connection_id: ConnectionId,
    pub(crate) chat: Chat,
    pub(crate) message_ids: Vec<i64>,
}

/// Reactions to a message, as they stand now (telegram.md 4).
#[derive(Debug, Deserialize)]
pub(crate) struct MessageReaction {
    pub(crate) chat: Chat,
    pub(crate) message_id: i64,
    pub(crate) user: Option<User>,
    pub(crate) date: i64,
    #[serde(default)]
    pub(crate) new_reaction: Vec<ReactionType>,
}

/// One of them; only emoji are read (telegram.md 4).
#[derive(Debug, Deserialize)]
pub(crate) struct ReactionType {
    pub(crate) emoji: Option<String>,
}

/// Somebody blocked the bot, or came back (telegram.md 1, 4).
#[derive(Debug, Deserialize)]
pub(crate) struct ChatMemberUpdated {
    pub(crate) chat: Chat,
    pub(crate) from: User,
    pub(crate) date: i64,
    pub(crate) new_chat_member: ChatMember,
}

/// What the bot is to them now (telegram.md 1, 4).
#[derive(Debug, Deserialize)]
pub(crate) struct ChatMember {
    pub(crate) status: String,
}

/// Somebody asks to join a chat: the bot may write to them for five minutes (telegram.md 1, 4).
#[derive(Debug, Deserialize)]
pub(crate) struct ChatJoinRequest {
    pub(crate) from: User,
    pub(crate) user_chat_id: i64,
    pub(crate) date: i64,
}

/// The answer of `getFile` (telegram.md 6).
#[derive(Debug, Deserialize)]
pub(crate) struct FilePath {
    pub(crate) file_size: Option<u64>,
    pub(crate) file_path: Option<String>,
}

/// One element of `getUpdates`, kept as it came (telegram.md 4).
#[derive(Debug, Deserialize)]
pub(crate) struct UpdateId {
    pub(crate) update_id: i64,
}
