//! Files of visitors (webchat.md 7).

use std::sync::Arc;

use bytes::Bytes;
use poem::http::{StatusCode, header};
use poem::{Request, Response};
use serde_json::json;
use time::Duration;
use transom_channel::{MailboxKey, NewFile};

use super::access::{Widget, parameter};
use super::acts;
use super::hub::Hub;
use super::picture;
use super::rates::What;
use super::refusal::Refused;
use super::session::{self, Session};
use crate::capabilities::{MAX_FILE, kind_of, types};
use crate::error::Code;
use crate::event::SentFile;

/// How long an upload can be used.
const USABLE: Duration = Duration::DAY;
/// What the form around a file may take.
const FORM: usize = 64 * 1024;

/// `POST uploads`: the bytes as the body, or as one field of a form.
pub(super) async fn take(hub: Arc<Hub>, widget: Arc<Widget>, mut request: Request) -> Result<Response, Refused> {
    let session = session::of_request(&widget, &request).await?;
    if !widget.config.uploads {
        return Err(Refused::new(Code::TypeNotAllowed, "this widget takes no files"));
    }
    hub.take(What::Uploads, &session.mailbox, 1.0)?;
    acts::unless_blocked(&hub, &widget, &session.visitor).await?;
    let file = super::in_time(read(&mut request)).await??;
    if file.bytes.len() as u64 > MAX_FILE {
        return Err(too_large());
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 20 MB")]
    hub.take(What::UploadedBytes, &session.mailbox, file.bytes.len() as f64)?;
    let bytes = picture::stripped(file.bytes).map_err(|_| damaged())?;
    let kept = hub.host.keep(&widget.site, NewFile { bytes, ..file }, &types()).await?;
    let (upload_id, ports) = (session::random("u_"), &widget.site.ports);
    let opens = MailboxKey { name: place(&session, kept.id), until: ports.clock.now().saturating_add(USABLE) };
    ports.mailbox.put_key(session::hash(&upload_id), &opens).await?;
    let kind = kind_of(&kept.mime).map(transom_domain::MediaKind::as_str);
    let answer = json!({
        "upload_id": upload_id, "kind": kind, "name": kept.file_name, "mime": kept.mime, "size": kept.size,
    });
    Ok(super::json(StatusCode::CREATED, &answer))
}

/// The file of an upload, if it is this visitor's.
pub(super) async fn find(hub: &Hub, widget: &Widget, session: &Session, upload_id: &str) -> Result<SentFile, Refused> {
    let nothing = || Refused::bad("there is no such upload");
    let key = widget.site.ports.mailbox.key(session::hash(upload_id)).await?.ok_or_else(nothing)?;
    let (mailbox, id) = key.name.strip_prefix(FILE).and_then(|place| place.rsplit_once('#')).ok_or_else(nothing)?;
    if mailbox != session.mailbox {
        return Err(nothing());
    }
    let id = id.parse().map_err(|_| nothing())?;
    let kept = hub.host.kept(&widget.site, id).await?.ok_or_else(nothing)?;
    Ok(SentFile { id: kept.id, mime: kept.mime, name: kept.file_name, size: kept.size })
}

const FILE: &str = "#file#";

/// What the key of an upload opens.
fn place(session: &Session, id: transom_domain::AttachmentId) -> String {
    format!("{FILE}{}#{id}", session.mailbox)
}

async fn read(request: &mut Request) -> Result<NewFile, Refused> {
    let most = usize::try_from(MAX_FILE).unwrap_or(usize::MAX);
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.map(str::to_owned);
    let boundary = content_type.as_deref().and_then(|value| multer::parse_boundary(value).ok());
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > most + FORM) {
        return Err(too_large());
    }
    let name = parameter(request, "name");
    let Some(boundary) = boundary else {
        let bytes = request.take_body().into_bytes_limit(most).await.map_err(|_| too_large())?;
        return Ok(NewFile { bytes, file_name: name, mime: content_type });
    };
    let whole = multer::SizeLimit::new().whole_stream((most + FORM) as u64);
    let constraints = multer::Constraints::new().size_limit(whole);
    let stream = request.take_body().into_bytes_stream();
    let mut form = multer::Multipart::with_constraints(stream, boundary, constraints);
    while let Some(field) = form.next_field().await.map_err(|error| unreadable(&error))? {
        if field.name() != Some("file") {
            continue;
        }
        let file_name = name.or_else(|| field.file_name().map(str::to_owned));
        let mime = field.content_type().map(ToString::to_string);
        let bytes: Bytes = field.bytes().await.map_err(|error| unreadable(&error))?;
        return Ok(NewFile { bytes, file_name, mime });
    }
    Err(Refused::bad("the form has no field `file`"))
}

fn unreadable(error: &multer::Error) -> Refused {
    match error {
        multer::Error::StreamSizeExceeded { .. } | multer::Error::FieldSizeExceeded { .. } => too_large(),
        _ => Refused::bad("the form can't be read"),
    }
}

fn damaged() -> Refused {
    Refused::bad("the picture is damaged: what it holds can't be told, so it is not taken")
}

fn too_large() -> Refused {
    Refused::new(Code::TooLarge, format!("files over {MAX_FILE} bytes are not taken"))
}
