//! Receipts for visitors: who of the business answers has seen what stood there.
//!
//! The desk does not follow who looks at what, so an answer is the proof. Such receipts are derived on each line from the events that
//! pass: they have no number, and none is stored.

use transom_channel::MailboxEntry;

use super::access::Widget;
use super::session::Session;
use crate::protocol::{FromKind, Seen, ServerFrame};

/// How many events before an answer are looked at for a message of the visitor's.
const LOOK_BACK: u32 = 50;

/// What one line knows of the visitor's own messages.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    /// The newest message of the visitor's, until somebody answers it.
    unseen: Option<String>,
    /// A message of theirs or an answer has passed: what was before needs no look.
    knows: bool,
}

impl Receipts {
    /// The receipt that goes before an event, if it brings one.
    pub(super) async fn before(
        &mut self,
        widget: &Widget,
        session: &Session,
        seq: u64,
        frame: &ServerFrame,
    ) -> Option<ServerFrame> {
        let ServerFrame::Message { conversation_id, message, .. } = frame else { return None };
        match message.from.kind {
            FromKind::Visitor => {
                self.knows = true;
                self.unseen = Some(message.id.clone());
                None
            }
            FromKind::Agent => {
                if !std::mem::replace(&mut self.knows, true) {
                    self.unseen = newest_own(widget, session, seq).await;
                }
                let (conversation_id, state) = (conversation_id.clone(), Seen::Read);
                let up_to = self.unseen.take()?;
                Some(ServerFrame::Receipt { seq: 0, conversation_id, up_to, state })
            }
            FromKind::Bot | FromKind::System => None,
        }
    }
}

/// The newest message of the visitor's before an event, if nobody answered it before.
async fn newest_own(widget: &Widget, session: &Session, seq: u64) -> Option<String> {
    let from = seq.saturating_sub(1).saturating_sub(u64::from(LOOK_BACK));
    let page = widget.site.ports.mailbox.read_after(&session.mailbox, from, LOOK_BACK).await.ok()?;
    let message = |entry: MailboxEntry| match serde_json::from_value(entry.data) {
        Ok(ServerFrame::Message { message, .. }) => Some(message),
        _ => None,
    };
    let before = page.entries.into_iter().filter(|entry| entry.seq < seq).filter_map(message);
    let mut exchanged = before.filter(|message| matches!(message.from.kind, FromKind::Visitor | FromKind::Agent));
    exchanged.next_back().filter(|message| message.from.kind == FromKind::Visitor).map(|message| message.id)
}
