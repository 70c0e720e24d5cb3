//! Messages: replies, notes and activities.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{Actor, Content, ConversationId, DeliveryState, MessageId, PartId};

/// What a message is to its readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// Between the customer and us.
    Reply,
    /// For the team only; never leaves, moves no window, reopens nothing.
    Note,
    /// What happened: opened, assigned, closed.
    Activity,
}

impl MessageKind {
    /// The name used in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            MessageKind::Reply => "reply",
            MessageKind::Note => "note",
            MessageKind::Activity => "activity",
        }
    }
}

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the customer.
    Inbound,
    /// To the customer.
    Outbound,
    /// Stays inside.
    Internal,
}

impl Direction {
    /// The name used in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
            Direction::Internal => "internal",
        }
    }
}

/// Who wrote a message. As JSON one object with a `kind`: those of an [`Actor`], `echo` or `third_party`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "AuthorJson", into = "AuthorJson")]
pub enum Author {
    /// Somebody or something we know as an actor.
    Actor(Actor),
    /// Written in the platform's own app or by another tool of the business; known from an echo.
    Echo,
    /// Somebody else in the thread, such as a person in cc.
    ThirdParty {
        /// How the platform names them.
        address: String,
    },
}

/// The written form of [`Author`]: an actor is not wrapped a second time.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum AuthorJson {
    Actor(Actor),
    Outside(Outside),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
enum Outside {
    Echo,
    ThirdParty { address: String },
}

impl From<AuthorJson> for Author {
    fn from(json: AuthorJson) -> Self {
        match json {
            AuthorJson::Actor(actor) => Author::Actor(actor),
            AuthorJson::Outside(Outside::Echo) => Author::Echo,
            AuthorJson::Outside(Outside::ThirdParty { address }) => Author::ThirdParty { address },
        }
    }
}

impl From<Author> for AuthorJson {
    fn from(author: Author) -> Self {
        match author {
            Author::Actor(actor) => AuthorJson::Actor(actor),
            Author::Echo => AuthorJson::Outside(Outside::Echo),
            Author::ThirdParty { address } => AuthorJson::Outside(Outside::ThirdParty { address }),
        }
    }
}

/// A message in a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Where it stands.
    pub conversation: ConversationId,
    /// What it is to its readers.
    pub kind: MessageKind,
    /// Which way it goes.
    pub direction: Direction,
    /// Who wrote it.
    pub author: Author,
    /// What it says.
    pub content: Content,
    /// How it fares; `None` for what is not sent.
    pub state: Option<DeliveryState>,
    /// When it was written: the platform's own time for what came in.
    pub at: OffsetDateTime,
}

/// What one request to a platform carries of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Its id.
    pub id: PartId,
    /// Its place in the message, from 0.
    pub index: u32,
    /// What it says.
    pub content: Content,
    /// How much of a quota it takes, in that quota's unit.
    pub cost: u32,
    /// How it fares.
    pub state: DeliveryState,
    /// The platform's id, once accepted.
    pub provider_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{AgentId, Role};

    #[test]
    fn an_author_has_one_kind_and_reads_back() {
        let id = AgentId::from(uuid::Uuid::nil());
        let written = [
            (Author::Actor(Actor::Agent { id, role: Role::Bot }), json!({ "kind": "agent", "id": id, "role": "bot" })),
            (Author::Actor(Actor::Customer), json!({ "kind": "customer" })),
            (Author::Echo, json!({ "kind": "echo" })),
            (Author::ThirdParty { address: "cc".into() }, json!({ "kind": "third_party", "address": "cc" })),
        ];
        for (author, json) in written {
            assert_eq!(serde_json::to_string(&author).unwrap().matches("kind").count(), 1);
            assert_eq!(serde_json::to_value(&author).unwrap(), json);
            assert_eq!(serde_json::from_value::<Author>(json).unwrap(), author);
        }
    }
}
