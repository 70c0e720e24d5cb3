//! Files: uploads, what lies behind links, and what customers sent.

use bytes::Bytes;
use serde_json::{Value, json};
use time::Duration;

use super::Side;
use super::errors::GraphError;
use crate::http::{Call, Reply};
use crate::media::{Media, sniffed};
use crate::sandbox::Shared;
use crate::webhooks;
use crate::world::World;

/// How long an upload can be sent.
const LIFE: Duration = Duration::days(90);

/// `POST /{page}/message_attachments`: from a link, or in a form.
pub(super) async fn upload(shared: &Shared, side: &Side, account: &str, call: &Call) -> Result<Reply, GraphError> {
    let (message, file) = if call.content_type().starts_with("multipart/") {
        let fields = call.multipart().await.map_err(|error| GraphError::parameter("body", &error))?;
        let field = |name: &str| fields.iter().find(|field| field.name == name);
        let message = field("message").and_then(|field| serde_json::from_slice::<Value>(&field.bytes).ok());
        let message = message.ok_or_else(|| GraphError::parameter("message", "it is needed, as JSON"))?;
        let file = field("filedata").filter(|file| file.file_name.is_some());
        let file = file.ok_or_else(|| GraphError::sub(100, 2_018_047, "Upload attachment failure: no filedata"))?;
        (message, (file.mime.clone().unwrap_or_default(), file.bytes.clone()))
    } else {
        let body: Value =
            serde_json::from_slice(&call.body).map_err(|error| GraphError::parameter("body", &error.to_string()))?;
        let message = body.get("message").cloned().unwrap_or_default();
        let url = message.pointer("/attachment/payload/url").and_then(Value::as_str);
        let url = url.ok_or_else(|| GraphError::parameter("url", "it is needed"))?.to_owned();
        (message, fetched(shared, &url).await?)
    };
    let kind = message.pointer("/attachment/type").and_then(Value::as_str).unwrap_or_default();
    let id = keep(&mut shared.world(), side, account, kind, file)?;
    // What is not reusable has an id all the same, and no message can name it.
    if message.pointer("/attachment/payload/is_reusable").is_none_or(|reusable| reusable != true) {
        shared.world().files.remove(&id);
    }
    Ok(Reply::json(200, &json!({"attachment_id": id})))
}

/// What lies behind a link.
pub(super) async fn fetched(shared: &Shared, url: &str) -> Result<(String, Bytes), GraphError> {
    let failed = |_| GraphError::sub(100, 2_018_008, "Failed to fetch the file from the url");
    webhooks::fetch(shared, url).await.map_err(failed)
}

/// Keeps a file that fits the kind of message, under a new id.
pub(super) fn keep(
    world: &mut World,
    side: &Side,
    account: &str,
    kind: &str,
    (mime, bytes): (String, Bytes),
) -> Result<String, GraphError> {
    (side.fits)(kind, &mime, bytes.len())?;
    if kind == "image" && sniffed(&bytes).is_some_and(|found| !found.starts_with("image/")) {
        return Err(GraphError::sub(100, 2_018_047, "Upload attachment failure: the file is no image"));
    }
    let id = world.names.digits('5', 16);
    let at = world.now();
    world.files.keep(Media { id: id.clone(), account: account.to_owned(), mime, file_name: None, bytes, at });
    Ok(id)
}

/// An upload that a message names.
pub(super) fn uploaded<'w>(world: &'w World, account: &str, id: &str) -> Result<&'w Media, GraphError> {
    let now = world.now();
    let file = world.files.get(id).filter(|file| file.account == account && now < file.at + LIFE);
    file.ok_or_else(|| GraphError::sub(100, 2_018_074, "Invalid Data: the attachment id is not valid, or not yours"))
}

/// A file that a customer sent: public, and gone after a while.
pub(super) fn content(world: &World, id: &str) -> Reply {
    match world.files.get(id) {
        Some(file) => {
            Reply::bytes(200, "application/octet-stream", file.bytes.clone()).with("content-type", file.mime.clone())
        }
        None => Reply::text(403, "URL signature expired"),
    }
}
