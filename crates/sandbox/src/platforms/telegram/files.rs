//! Files: how they come in, what their ids are, how they are fetched.

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::Duration;

use super::bot::bot;
use super::errors::{BotError, ok};
use super::params::Params;
use crate::http::Reply;
use crate::media::{self, Media};
use crate::sandbox::Shared;
use crate::webhooks;
use crate::world::World;

const MIB: usize = 1024 * 1024;

/// How long a download link lives at least.
const LINK_LIFE: Duration = Duration::hours(1);

/// A kind of file: the method's parameter, and the limits for upload and for a link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// `photo`, `document`, …: parameter and field of the message alike.
    pub(super) name: &'static str,
    prefix: &'static str,
    folder: &'static str,
    upload: usize,
    link: usize,
}

/// The kinds, with the limits of the reference.
const KINDS: [Kind; 8] = [
    Kind { name: "photo", prefix: "AgAC", folder: "photos", upload: 10 * MIB, link: 5 * MIB },
    Kind { name: "document", prefix: "BQAC", folder: "documents", upload: 50 * MIB, link: 20 * MIB },
    Kind { name: "video", prefix: "BAAC", folder: "videos", upload: 50 * MIB, link: 20 * MIB },
    Kind { name: "animation", prefix: "CgAC", folder: "animations", upload: 50 * MIB, link: 20 * MIB },
    Kind { name: "audio", prefix: "CQAC", folder: "music", upload: 50 * MIB, link: 20 * MIB },
    Kind { name: "voice", prefix: "AwAC", folder: "voice", upload: 50 * MIB, link: 20 * MIB },
    Kind { name: "video_note", prefix: "DQAC", folder: "video_notes", upload: 50 * MIB, link: 0 },
    Kind { name: "sticker", prefix: "CAAC", folder: "stickers", upload: 50 * MIB, link: 20 * MIB },
];

pub(super) fn kind(name: &str) -> Option<Kind> {
    KINDS.iter().find(|kind| kind.name == name).copied()
}

/// A file as a method was given it, its bytes at hand.
#[derive(Debug, Clone)]
pub(super) enum Given {
    /// One that the bot has seen.
    Known(String),
    /// Uploaded, or fetched from a link.
    Bytes { mime: String, file_name: Option<String>, bytes: Bytes },
}

/// Reads a file parameter; a link is fetched, within the limits for links.
pub(super) async fn given(
    shared: &Shared,
    params: &Params,
    kind: Kind,
    value: Option<String>,
) -> Result<Given, BotError> {
    let field = match &value {
        Some(value) => value.strip_prefix("attach://").map(str::to_owned),
        None => Some(kind.name.to_owned()),
    };
    if let Some(field) = field {
        let missing = || BotError::bad(&format!("there is no {} in the request", kind.name.replace('_', " ")));
        let file = params.files.get(&field).ok_or_else(missing)?;
        let mime = file.mime.clone().filter(|mime| mime != "application/octet-stream");
        let mime = mime
            .or_else(|| media::sniffed(&file.bytes).map(str::to_owned))
            .unwrap_or_else(|| "application/octet-stream".to_owned());
        return Ok(Given::Bytes { mime, file_name: file.file_name.clone(), bytes: file.bytes.clone() });
    }
    let value = value.unwrap_or_default();
    if !value.starts_with("http://") && !value.starts_with("https://") {
        return Ok(Given::Known(value));
    }
    if kind.link == 0 {
        return Err(BotError::bad("wrong file identifier/HTTP URL specified"));
    }
    let (mime, bytes) = webhooks::fetch(shared, &value).await.map_err(|why| {
        tracing::debug!(%why, "a linked file could not be fetched");
        BotError::bad("failed to get HTTP URL content")
    })?;
    let right_type = match kind.name {
        "photo" => mime.starts_with("image/"),
        "document" => matches!(mime.as_str(), "application/pdf" | "application/zip" | "image/gif"),
        "video" | "animation" => mime.starts_with("video/") || mime == "image/gif",
        "audio" | "voice" => mime.starts_with("audio/"),
        _ => true,
    };
    if !right_type || bytes.len() > kind.link {
        return Err(BotError::bad("wrong type of the web page content"));
    }
    let file_name = value.rsplit('/').next().map(str::to_owned).filter(|name| !name.is_empty());
    Ok(Given::Bytes { mime, file_name, bytes })
}

/// Keeps a given file and describes it as the message's field of its kind. Answers with the file's id too.
pub(super) fn keep(world: &mut World, account: &str, kind: Kind, given: Given) -> Result<(String, Value), BotError> {
    let (mime, file_name, bytes) = match given {
        Given::Known(id) => {
            // A file id belongs to one bot and one kind.
            let known = world.files.get(&id).filter(|file| file.account == account && id.starts_with(kind.prefix));
            let file = known.ok_or_else(|| BotError::bad("wrong file identifier/HTTP URL specified"))?;
            return Ok((id.clone(), described(kind, file, &id)));
        }
        Given::Bytes { mime, file_name, bytes } => (mime, file_name, bytes),
    };
    if bytes.is_empty() {
        return Err(BotError::bad("file must be non-empty"));
    }
    if bytes.len() > 50 * MIB {
        return Err(BotError::new(413, "Request Entity Too Large"));
    }
    if bytes.len() > kind.upload {
        return Err(BotError::bad(&format!("file is too big for a {}", kind.name)));
    }
    if kind.name == "photo" {
        let (width, height) = media::dimensions(&bytes).ok_or_else(|| BotError::bad("IMAGE_PROCESS_FAILED"))?;
        let (long, short) = (width.max(height), width.min(height).max(1));
        if width + height > 10_000 || long > 20 * short {
            return Err(BotError::bad("PHOTO_INVALID_DIMENSIONS"));
        }
    }
    let id = store(world, account, kind, mime, file_name, bytes);
    let described = world.files.get(&id).map(|file| described(kind, file, &id)).unwrap_or_default();
    Ok((id, described))
}

/// Keeps a file for a bot and gives it an id.
pub(super) fn store(
    world: &mut World,
    account: &str,
    kind: Kind,
    mime: String,
    file_name: Option<String>,
    bytes: Bytes,
) -> String {
    let id = format!("{}AgAD{}", kind.prefix, world.names.token(40));
    let at = world.now();
    if kind.name == "photo" {
        let (mime, bytes) = ("image/jpeg".to_owned(), media::sample("image/jpeg"));
        world.files.keep(Media { id: small(&id), account: account.to_owned(), mime, file_name: None, bytes, at });
    }
    world.files.keep(Media { id: id.clone(), account: account.to_owned(), mime, file_name, bytes, at });
    id
}

/// The id of a photo's thumbnail.
fn small(id: &str) -> String {
    format!("{id}-s")
}

/// The object that stands in a message for a file; of a photo the list of its sizes, largest last.
pub(super) fn described(kind: Kind, file: &Media, id: &str) -> Value {
    let unique = hex::encode(Sha256::digest(&file.bytes)).get(..16).unwrap_or_default().to_owned();
    let size = file.bytes.len();
    let (width, height) = media::dimensions(&file.bytes).unwrap_or((640, 480));
    let base = json!({"file_id": id, "file_unique_id": unique, "file_size": size});
    let with = |more: Value| {
        let (mut base, Value::Object(more)) = (base.clone(), more) else { return Value::Null };
        if let Value::Object(base) = &mut base {
            base.extend(more.into_iter().filter(|(_, value)| !value.is_null()));
        }
        base
    };
    match kind.name {
        "photo" => {
            let thumbnail = json!({"file_id": small(id), "file_unique_id": format!("{unique}s"), "width": 90, "height": 67,
                "file_size": media::sample("image/jpeg").len()});
            json!([thumbnail, with(json!({"width": width, "height": height}))])
        }
        "sticker" => {
            with(json!({"width": 512, "height": 512, "type": "regular", "is_animated": false, "is_video": false}))
        }
        "voice" => with(json!({"duration": 3, "mime_type": file.mime})),
        "video_note" => with(json!({"duration": 3, "length": 240})),
        "audio" => with(json!({"duration": 3, "mime_type": file.mime, "file_name": file.file_name})),
        "video" | "animation" => with(
            json!({"duration": 3, "width": width, "height": height, "mime_type": file.mime, "file_name": file.file_name}),
        ),
        _ => with(json!({"mime_type": file.mime, "file_name": file.file_name})),
    }
}

/// `getFile`.
pub(super) fn get_file(world: &mut World, account: &str, id: &str) -> Result<Reply, BotError> {
    let wrong = || BotError::bad("wrong file_id or the file is temporarily unavailable");
    let file = world.files.get(id).filter(|file| file.account == account).ok_or_else(wrong)?;
    if file.bytes.len() > 20 * MIB {
        return Err(BotError::bad("file is too big"));
    }
    let kind = KINDS.iter().find(|kind| id.starts_with(kind.prefix)).ok_or_else(wrong)?;
    let extension = match file.mime.as_str() {
        "image/jpeg" => "jpg",
        "audio/ogg" => "oga",
        other => other.split('/').nth(1).unwrap_or("bin"),
    };
    let unique = hex::encode(Sha256::digest(&file.bytes)).get(..16).unwrap_or_default().to_owned();
    let size = file.bytes.len();
    let path = format!("{}/file_{}.{extension}", kind.folder, world.names.number());
    let until = world.now() + LINK_LIFE;
    if let Ok(bot) = bot(world, account) {
        bot.paths.insert(path.clone(), (id.to_owned(), until));
        while bot.paths.len() > 10_000 {
            bot.paths.pop_first();
        }
    }
    Ok(ok(&json!({"file_id": id, "file_unique_id": unique, "file_size": size, "file_path": path})))
}

/// The download itself.
pub(super) fn download(world: &mut World, account: &str, path: &str) -> Reply {
    let now = world.now();
    let id = bot(world, account).ok().and_then(|bot| bot.paths.get(path).cloned()).filter(|(_, until)| now < *until);
    match id.and_then(|(id, _)| world.files.get(&id)) {
        Some(file) => Reply::bytes(200, "application/octet-stream", file.bytes.clone()),
        None => BotError::not_found().reply(),
    }
}
