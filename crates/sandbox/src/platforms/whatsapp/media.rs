//! Files: upload, look-up, download, and what fits into which message.

use serde_json::json;
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

use super::errors::GraphError;
use crate::http::{Call, FormField, Reply};
use crate::media::{Media, sniffed};
use crate::world::World;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// How long a download URL lives.
const URL_LIFE: Duration = Duration::minutes(5);

/// The content types of each kind of message, and the largest size.
const KINDS: [(&str, &[&str], usize); 5] = [
    ("image", &["image/jpeg", "image/png"], 5 * MIB),
    ("audio", &["audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"], 16 * MIB),
    ("video", &["video/mp4", "video/3gpp"], 16 * MIB),
    ("sticker", &["image/webp"], 500 * KIB),
    (
        "document",
        &[
            "text/plain",
            "application/pdf",
            "application/msword",
            "application/vnd.ms-excel",
            "application/vnd.ms-powerpoint",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        ],
        100 * MIB,
    ),
];

/// Whether a file of this type and size may go into this kind of message.
pub(super) fn fits(kind: &str, mime: &str, size: usize) -> Result<(), GraphError> {
    let Some((_, types, most)) = KINDS.iter().find(|(name, ..)| *name == kind) else { return Ok(()) };
    // Pictures and films may go as documents too.
    let carries =
        types.contains(&mime) || (kind == "document" && KINDS.iter().any(|(_, types, _)| types.contains(&mime)));
    if !carries {
        return Err(GraphError::new(
            131_053,
            format!("Unsupported {kind} mime type {mime}. Please use one of {}.", types.join(", ")),
        ));
    }
    if size > *most {
        return Err(GraphError::new(131_053, format!("A {kind} is at most {most} bytes long")));
    }
    Ok(())
}

/// Whether the content is what the type says. Texts and office files cannot be told by their first bytes.
fn is_what_it_says(mime: &str, bytes: &[u8]) -> bool {
    match sniffed(bytes) {
        Some(found) => {
            let office =
                mime.starts_with("application/vnd.openxmlformats-officedocument") && found == "application/zip";
            found == mime || office || (mime == "text/plain")
        }
        None => mime == "text/plain" || mime.starts_with("application/vnd.") || mime == "application/msword",
    }
}

/// Uploads live 30 days, what customers sent 7.
pub(super) fn is_alive(file: &Media, now: OffsetDateTime) -> bool {
    let life = if file.id.starts_with('8') { Duration::days(7) } else { Duration::days(30) };
    now < file.at + life
}

/// `POST /{phone}/media`.
pub(super) fn upload(world: &mut World, phone: &str, fields: &[FormField]) -> Result<Reply, GraphError> {
    let field = |name: &str| fields.iter().find(|field| field.name == name);
    let text = |name: &str| field(name).map(|field| String::from_utf8_lossy(&field.bytes).trim().to_owned());
    if text("messaging_product").as_deref() != Some("whatsapp") {
        return Err(GraphError::new(100, "The parameter messaging_product is required and is 'whatsapp'."));
    }
    let file = field("file").filter(|file| file.file_name.is_some()).ok_or_else(|| GraphError::missing("file"))?;
    let mime = file.mime.clone().or_else(|| text("type")).unwrap_or_default();
    let Some((kind, ..)) = KINDS.iter().find(|(_, types, _)| types.contains(&mime.as_str())) else {
        let known: Vec<_> = KINDS.iter().flat_map(|(_, types, _)| types.iter().copied()).collect();
        let details = format!(
            "Param file must be a file with one of the following types: {}. Received file of type '{mime}'.",
            known.join(", ")
        );
        return Err(GraphError::new(100, details));
    };
    fits(kind, &mime, file.bytes.len())?;
    if !is_what_it_says(&mime, &file.bytes) {
        return Err(GraphError::new(131_053, format!("The file is not of type {mime}")));
    }
    let id = world.names.digits('9', 16);
    let at = world.now();
    let (account, file_name, bytes) = (phone.to_owned(), file.file_name.clone(), file.bytes.clone());
    world.files.keep(Media { id: id.clone(), account, mime, file_name, bytes, at });
    Ok(Reply::json(200, &json!({"id": id})))
}

/// The file behind a link becomes the message's file, if it fits.
pub(super) fn from_link(
    world: &mut World,
    phone: &str,
    kind: &str,
    fetched: Result<(String, bytes::Bytes), String>,
) -> Result<String, GraphError> {
    let (mime, bytes) = fetched
        .map_err(|why| GraphError::new(131_053, format!("Media could not be downloaded from the link: {why}")))?;
    fits(kind, &mime, bytes.len())?;
    if !is_what_it_says(&mime, &bytes) {
        return Err(GraphError::new(131_053, format!("The file behind the link is not of type {mime}")));
    }
    let id = world.names.digits('9', 16);
    let at = world.now();
    world.files.keep(Media { id: id.clone(), account: phone.to_owned(), mime, file_name: None, bytes, at });
    Ok(id)
}

/// `GET /{media}`: where the bytes are, for the next five minutes.
pub(super) fn metadata(world: &World, base_url: &str, id: &str) -> Option<Reply> {
    let now = world.now();
    let file = world.files.get(id).filter(|file| is_alive(file, now))?;
    let until = (now + URL_LIFE).unix_timestamp();
    let body = json!({
        "messaging_product": "whatsapp",
        "url": format!("{base_url}/whatsapp/media-content/{id}?oe={until:x}"),
        "mime_type": file.mime,
        "sha256": hex::encode(Sha256::digest(&file.bytes)),
        "file_size": file.bytes.len(),
        "id": id,
    });
    Some(Reply::json(200, &body))
}

/// The download itself.
pub(super) fn content(world: &World, id: &str, call: &Call) -> Reply {
    let until = call.query("oe").and_then(|oe| i64::from_str_radix(oe, 16).ok()).unwrap_or_default();
    match world.files.get(id).filter(|_| world.now().unix_timestamp() < until) {
        Some(file) => {
            Reply::bytes(200, "application/octet-stream", file.bytes.clone()).with("content-type", file.mime.clone())
        }
        None => Reply::text(404, "URL signature expired"),
    }
}
