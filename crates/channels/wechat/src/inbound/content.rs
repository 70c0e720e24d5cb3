//! What a message of the customer says (4.4).

use transom_domain::{Attachment, Body, Location, MediaKind, MediaSource};

use crate::xml::Node;

/// "Message types that count as sends a message" (1.1).
pub(super) fn opens_the_window(kind: &str) -> bool {
    matches!(kind, "text" | "image" | "voice" | "video" | "shortvideo" | "location" | "link")
}

/// The substance; `None` for types that are not known, or that lack what makes them.
pub(super) fn body(call: &Node, kind: &str) -> Option<Body> {
    let text = |text: String| Body::Text { text, attachments: Vec::new() };
    let file = |kind, mime| {
        let id = call.text("MediaId")?.to_owned();
        let url = call.text("PicUrl").map(str::to_owned);
        let source = MediaSource::Platform { id, url, sha256: None };
        let file = Attachment { kind, source, mime, file_name: None, size: None };
        Some(Body::Text { text: String::new(), attachments: vec![file] })
    };
    match kind {
        "text" => call.text("Content").map(|said| text(said.to_owned())),
        "image" => file(MediaKind::Image, None),
        "voice" => file(MediaKind::Voice, call.text("Format").and_then(voice_type)),
        "video" | "shortvideo" => file(MediaKind::Video, None),
        "location" => place(call).map(Body::Location),
        "link" => {
            let lines = ["Title", "Description", "Url"].into_iter().filter_map(|name| call.text(name));
            let lines: Vec<&str> = lines.collect();
            (!lines.is_empty()).then(|| text(lines.join("\n")))
        }
        // A card of a mini program: its title is what can be shown.
        "miniprogrampage" => call.text("Title").map(|title| text(title.to_owned())),
        _ => None,
    }
}

fn voice_type(format: &str) -> Option<String> {
    match format.to_ascii_lowercase().as_str() {
        "amr" => Some("audio/amr".to_owned()),
        "mp3" => Some("audio/mpeg".to_owned()),
        "speex" => Some("audio/ogg".to_owned()),
        _ => None,
    }
}

fn place(call: &Node) -> Option<Location> {
    let degrees = |name: &str| call.text(name)?.trim().parse::<f64>().ok().filter(|degrees| degrees.is_finite());
    Some(Location {
        latitude: degrees("Location_X")?,
        longitude: degrees("Location_Y")?,
        name: call.text("Label").map(str::to_owned),
        address: None,
    })
}
