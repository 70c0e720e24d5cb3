//! Comments: no window, but the right to one private reply each (instagram.md 1.3 and 4.5).

use serde_json::Value;
use transom_channel::{Inbound, Item, Opening};
use transom_meta::envelope;
use transom_meta::messaging::{Happening, word};

/// The longest part of a live comment that is shown.
const LONGEST: usize = 200;

/// A comment under a post, reel, story or advertisement, or in a live broadcast.
pub(super) fn read(scene: Happening<'_>, value: &Value, kind: &str) -> Inbound {
    let id = |of: &Value, name: &str| of.get(name).and_then(envelope::text).filter(|id| !id.is_empty());
    let from = value.get("from").unwrap_or(&Value::Null);
    // The account's own comments come too.
    let is_own = from.get("self_ig_scoped_id").is_some_and(|id| !id.is_null());
    let author = id(from, "id").filter(|author| !is_own && *author != scene.entry.id && author != scene.account);
    // The two set-ups call it differently.
    let comment = id(value, "comment_id").or_else(|| id(value, "id"));
    let (Some(author), Some(comment)) = (author, comment) else {
        return scene.unread(&format!("a {kind} without an id, or one's own"), false);
    };
    let mut person = scene.named(&author);
    person.profile.username = word(from, "username").map(|name| name.trim_start_matches('@').to_owned());
    let words = word(value, "text").unwrap_or_default();
    let at = value.get("timestamp").and_then(envelope::instant).unwrap_or_else(|| scene.at());
    if kind == "comment" {
        return Inbound { at, ..scene.in_public(kind, comment, person, words) };
    }
    // It may be answered while the broadcast runs, and nothing tells when that ends: no right that could be used by mistake.
    Inbound {
        event_key: format!("{kind}:{comment}"),
        at,
        person: Some(person),
        openings: vec![Opening::of(kind)],
        ..scene.item(kind, Item::Opening { what: format!("{kind}: {words}").chars().take(LONGEST).collect() })
    }
}
