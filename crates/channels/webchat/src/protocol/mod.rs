//! The frames between a visitor and the service, as JSON (webchat.md 4). No logic.

mod client;
mod message;
mod server;
mod session;

pub use client::{ClientFrame, NewMessage, PresenceState};
pub use message::{Button, File, Format, From, FromKind, Message};
pub use server::{ErrorFrame, Seen, ServerFrame};
pub use session::{
    ClaimedIdentity, ClaimedProfile, ConversationStatus, ConversationView, Hello, Page, Resume, Welcome,
    WelcomeSettings,
};

/// The sub-protocol of the WebSocket.
pub const SUBPROTOCOL: &str = "chat.v1.json";
/// The version that `hello` names.
pub const VERSION: u8 = 1;
/// The largest frame, in bytes.
pub const MAX_FRAME: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    /// Every row of the sheet's table of client frames, and `ack`.
    #[rstest]
    #[case(json!({"type": "hello", "v": 1, "token": "t", "last_seq": 5, "device": "web", "locale": "de", "page": {"url": "https://a"}}))]
    #[case(json!({"type": "hello", "v": 1, "identity": {"external_id": "cust-42", "user_hash": "ab"}}))]
    #[case(json!({"type": "message", "client_id": "0b6e", "conversation_id": "c_1", "text": "Hi"}))]
    #[case(json!({"type": "message", "client_id": "0b6e", "attachments": ["u_1"], "reply_to": "m_1"}))]
    #[case(json!({"type": "typing", "conversation_id": "c_1", "on": true, "preview": "H"}))]
    #[case(json!({"type": "read", "conversation_id": "c_1", "up_to": "m_10"}))]
    #[case(json!({"type": "presence", "state": "hidden"}))]
    #[case(json!({"type": "button", "message_id": "m_1", "payload": "yes"}))]
    #[case(json!({"type": "end", "conversation_id": "c_1"}))]
    #[case(json!({"type": "fetch", "conversation_id": "c_1", "before": "m_1", "limit": 50}))]
    #[case(json!({"type": "email", "address": "ann@example.test"}))]
    #[case(json!({"type": "ping", "t": 17}))]
    #[case(json!({"type": "ack", "seq": 7}))]
    fn client_frames_are_read(#[case] frame: Value) {
        serde_json::from_value::<ClientFrame>(frame).unwrap();
    }

    /// The sheet's own examples of what the service says.
    #[rstest]
    #[case(json!({"type": "ack", "client_id": "0b6e", "message_id": "m_9", "seq": 118, "created_at": "2025-10-09T08:53:20Z"}))]
    #[case(json!({"type": "message", "seq": 119, "conversation_id": "c_1", "message": {"id": "m_10",
        "from": {"kind": "agent", "name": "Eva"}, "text": "Hello", "format": "plain", "attachments": [],
        "created_at": "2025-10-09T08:53:31Z"}}))]
    fn the_sheets_examples_are_written_as_they_stand(#[case] frame: Value) {
        let read: ServerFrame = serde_json::from_value(frame.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), frame);
    }

    #[test]
    fn a_claimed_identity_does_not_show() {
        let hello: Hello = serde_json::from_value(json!({"v": 1, "identity": {"jwt": "ey.secret"}})).unwrap();
        assert!(!format!("{hello:?}").contains("secret"));
    }
}
