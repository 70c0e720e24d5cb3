//! Content to requests (messenger.md 2). Pure.

use transom_channel::{Capabilities, OutboundPart, PlannedPart, Unsendable};
use transom_domain::{Body, Content};
use transom_meta::messaging::{self, FileRef, Message, Request, Right, Style};

use crate::template;

/// One file a message, and our reference with it.
const STYLE: Style = Style { pictures_together: false, metadata: true };

/// One part a request.
pub(crate) fn plan(content: &Content, page: &Capabilities) -> Result<Vec<PlannedPart>, Unsendable> {
    match &content.body {
        Body::Template(_) if content.reply_to.is_some() => {
            Err(Unsendable::NotSupported { what: "a template that quotes a message".to_owned() })
        }
        Body::Template(template) => {
            template::check(template)?;
            Ok(vec![PlannedPart::one(content.clone())])
        }
        _ => messaging::plan(content, page),
    }
}

/// The request for a part that [`plan`] made. `files` is where the platform finds its files.
pub(crate) fn request<'m>(
    part: &'m OutboundPart,
    right: Right<'m>,
    files: Vec<FileRef>,
) -> Result<Request<'m>, Unsendable> {
    let Some(template) = part.template() else { return messaging::request(part, right, files, STYLE) };
    let written = serde_json::to_value(template::write(template))
        .map_err(|error| Unsendable::Malformed { field: "template".to_owned(), reason: error.to_string() })?;
    let message = Message {
        template: Some(written),
        metadata: Some(messaging::metadata(&part.correlation())),
        ..Message::default()
    };
    Ok(Request::saying(right, message))
}
