//! Content to requests (instagram.md 2). Pure.

use transom_channel::{Capabilities, OutboundPart, PlannedPart, Unsendable};
use transom_domain::Content;
use transom_meta::messaging::{self, FileRef, Request, Right, Style};

/// One part a request. There are no templates.
pub(crate) fn plan(content: &Content, account: &Capabilities) -> Result<Vec<PlannedPart>, Unsendable> {
    messaging::plan(content, account)
}

/// The request for a part that [`plan`] made. `files` is where the platform finds its files.
pub(crate) fn request<'m>(
    part: &'m OutboundPart,
    right: Right<'m>,
    files: Vec<FileRef>,
    metadata: bool,
) -> Result<Request<'m>, Unsendable> {
    messaging::request(part, right, files, Style { pictures_together: true, metadata })
}
