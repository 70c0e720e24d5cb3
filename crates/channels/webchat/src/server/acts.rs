//! What visitors do, as the desk hears it.

use bytes::Bytes;
use poem::http::{HeaderMap, HeaderValue, header};
use time::OffsetDateTime;
use transom_domain::Status;

use super::access::Widget;
use super::hub::Hub;
use super::refusal::Refused;
use super::session::Session;
use crate::error::Code;
use crate::event::{Act, VisitorEvent};
use crate::protocol::{ClaimedProfile, ConversationStatus};
use crate::signing;
use crate::visitor::Visitor;

/// The longest line that is taken of what a visitor says of themselves, in characters.
const LONGEST_LINE: usize = 100;
/// Signs of life within this many seconds are one, on every replica.
const VISIT_SECONDS: i64 = 30;

/// An event of a visitor that is to say what they did.
pub(super) fn event(
    widget: &Widget,
    visitor: &Visitor,
    event_id: String,
    profile: Option<ClaimedProfile>,
) -> VisitorEvent {
    VisitorEvent {
        event_id,
        widget: widget.config.widget.clone(),
        visitor_id: visitor.id(),
        verified: matches!(visitor, Visitor::Known(_)),
        at: widget.site.ports.clock.now(),
        profile,
        kind: String::new(),
        fields: serde_json::Map::new(),
    }
}

/// Journals what a visitor did, through the connection's webhook address and under its secret: once this returns, it is stored.
pub(super) async fn report(hub: &Hub, widget: &Widget, event: VisitorEvent) -> Result<(), Refused> {
    let body = serde_json::to_vec(&event).map_err(|_| Refused::bad("it can't be stored"))?;
    let secret = widget.config.event_secrets.first().ok_or_else(|| Refused::bad("this widget has no secret"))?;
    let timestamp = widget.site.ports.clock.now().unix_timestamp();
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(signing::TIMESTAMP, HeaderValue::from(timestamp));
    if let Ok(proof) = HeaderValue::from_str(&signing::sign(secret, timestamp, &body)) {
        headers.insert(signing::SIGNATURE, proof);
    }
    Ok(hub.host.report(&widget.site.key, headers, Bytes::from(body)).await?)
}

/// Tells that a visitor's page is open, unless that was told within the last half minute.
pub(super) async fn visited(hub: &Hub, widget: &Widget, session: &Session) -> Result<(), Refused> {
    let now = widget.site.ports.clock.now();
    if !widget.config.visits || !hub.is_visit(&place(widget, session), now) {
        return Ok(());
    }
    let turn = now.unix_timestamp() / VISIT_SECONDS;
    let id = format!("v:{}:{turn}", session.visitor.id());
    let event = event(widget, &session.visitor, id, session.profile.clone());
    report(hub, widget, event.with(&Act::Visit {})).await
}

/// Stores that a visitor is here, where it counts how long they are away. That it can't be stored keeps nobody from being served.
pub(super) async fn present(hub: &Hub, widget: &Widget, session: &Session) {
    let now = widget.site.ports.clock.now();
    if widget.config.fallback.is_none() || !hub.is_news_of_presence(&place(widget, session), now) {
        return;
    }
    if let Err(error) = widget.site.ports.mailbox.see(&session.mailbox).await {
        tracing::debug!(%error, "that a visitor is here could not be stored");
    }
}

/// Where a visitor is, among those of all sites.
fn place(widget: &Widget, session: &Session) -> String {
    format!("{}/{}", widget.site.key, session.mailbox)
}

/// Whom the business blocks is not let in (webchat.md 1).
pub(super) async fn unless_blocked(hub: &Hub, widget: &Widget, visitor: &Visitor) -> Result<(), Refused> {
    let known = hub.host.acquaintance(&widget.site, &[visitor.address()]).await?;
    match known.is_some_and(|known| known.blocked) {
        true => Err(Refused::new(Code::Blocked, "this visitor is blocked")),
        false => Ok(()),
    }
}

/// How a conversation stands, in the visitor's words.
pub(super) fn status((status, taken): (Status, bool)) -> ConversationStatus {
    match status {
        Status::Closed => ConversationStatus::Closed,
        Status::Open | Status::Snoozed { .. } if taken => ConversationStatus::Assigned,
        Status::Open | Status::Snoozed { .. } => ConversationStatus::Open,
    }
}

/// One line without control characters and without those that turn the direction of writing, at most 100 characters long.
pub(super) fn plain_line(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let clean: String = text.chars().filter(|c| !c.is_control() && !turns(*c)).take(LONGEST_LINE).collect();
    clean.trim().to_owned()
}

/// RFC 3339 with milliseconds, as everything is stored.
pub(super) fn to_the_millisecond(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_millisecond(at.millisecond()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_nothing_that_hides_or_turns() {
        assert_eq!(plain_line(" Ann\u{202e}eel\r\n\u{0}\u{2066} "), "Anneel");
        assert_eq!(plain_line(&"x".repeat(300)).len(), 100);
    }
}
