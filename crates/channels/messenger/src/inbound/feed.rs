//! Comments and visitor posts: no window, but the right to one private reply each (messenger.md 1.4).

use serde_json::Value;
use transom_channel::Inbound;
use transom_meta::envelope;
use transom_meta::messaging::{Happening, word};

/// A change of the Page's feed.
pub(super) fn read(scene: Happening<'_>, value: &Value) -> Inbound {
    let (item, verb) = (word(value, "item").unwrap_or("feed"), word(value, "verb").unwrap_or_default());
    let id = |name: &str| value.get(name).and_then(envelope::text).filter(|id| !id.is_empty());
    let author = value.get("from").and_then(|from| from.get("id")).and_then(envelope::text).filter(|id| !id.is_empty());
    // What the Page writes itself comes here too.
    let author = author.filter(|author| *author != scene.entry.id && author != scene.account);
    let (kind, reference) = match (item, verb) {
        ("comment", "add") => ("comment", id("comment_id")),
        ("post" | "status" | "photo" | "video", "add") => {
            ("visitor_post", id("post_id").map(|id| format!("post:{id}")))
        }
        _ => return scene.unread(&format!("feed: {item} {verb}"), false),
    };
    let (Some(author), Some(reference)) = (author, reference) else {
        return scene.unread(&format!("feed: {item} without an id or by the Page"), false);
    };
    let mut person = scene.named(&author);
    person.profile.name = value.get("from").and_then(|from| word(from, "name")).map(str::to_owned);
    let at = value.get("created_time").and_then(envelope::instant).unwrap_or_else(|| scene.at());
    Inbound { at, ..scene.in_public(kind, reference, person, word(value, "message").unwrap_or_default()) }
}
