//! Files: what we send is uploaded first, what customers sent is fetched (whatsapp.md 6).

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};
use time::Duration;
use transom_channel::{MediaBytes, MediaError, MediaSourceOf, Ports, SendError};
use transom_domain::{Attachment, MediaKind, MediaSource};
use transom_meta::{Graph, GraphFailure, Refusal, Upload, Uploads, bare_mime, unreadable_file};

use crate::config::Number;
use crate::error::{self, About};
use crate::outbound;
use crate::wire::{FileRef, MediaNode, Uploaded};

/// An upload lives this long.
const UPLOAD_LIFE: Duration = Duration::days(30);
/// Codes that may mean that an id is no longer good: media, or a parameter.
const SUSPECT: [i64; 3] = [131_053, 131_009, 100];

/// A number's files.
#[derive(Debug)]
pub(crate) struct Files {
    graph: Graph,
    number: Option<Number>,
    ports: Ports,
    uploads: Uploads,
}

impl Files {
    pub(crate) fn new(graph: Graph, number: Option<Number>, ports: Ports) -> Self {
        Self { graph, number, ports, uploads: Uploads::kept_for(UPLOAD_LIFE) }
    }

    /// Forgets the upload behind a refused message, if the refusal may be about it.
    pub(crate) fn doubt(&self, file: Option<&Attachment>, refusal: &Refusal) {
        if let Some(file) = file.filter(|_| SUSPECT.contains(&refusal.error.code)) {
            self.uploads.forget(file);
        }
    }

    /// Where the platform finds a file that is to be sent. Our own are uploaded, which no customer can notice.
    pub(crate) async fn reference(&self, number: &Number, file: &Attachment) -> Result<FileRef, SendError> {
        match &file.source {
            MediaSource::Url { url } => Ok(FileRef::Link(url.clone())),
            MediaSource::Platform { id, .. } => Ok(FileRef::Id(id.clone())),
            MediaSource::Enclosed { .. } => Err(unreadable_file(&MediaError::NotFound)),
            MediaSource::Stored { id } => {
                let (key, now) = ((*id, file.kind), self.ports.clock.now());
                if let Some(uploaded) = self.uploads.get(key, now) {
                    return Ok(FileRef::Id(uploaded));
                }
                let stored = self.ports.media.read(*id).await.map_err(|error| unreadable_file(&error))?;
                let uploaded = self.upload(number, file.kind, stored).await?;
                self.uploads.keep(key, uploaded.clone(), now);
                Ok(FileRef::Id(uploaded))
            }
        }
    }

    async fn upload(&self, number: &Number, kind: MediaKind, file: MediaBytes) -> Result<String, SendError> {
        let mime = bare_mime(&file.mime);
        outbound::check_bytes(kind, &mime, file.bytes.len() as u64).map_err(|error| error::unsendable(&error))?;
        // The extension must match the type (131053); what the customer sees is `filename` of the message.
        let upload = Upload { bytes: file.bytes, mime: &mime, file_name: upload_name(&mime) };
        let fields = [("messaging_product", "whatsapp"), ("type", mime.as_str())];
        let uploaded: Uploaded = self
            .graph
            .upload(&format!("{}/media", number.phone_number_id), &fields, upload)
            .await
            .map_err(|failure| failure.of_read(|refusal| error::classify(refusal, About::default())))?;
        Ok(uploaded.id)
    }
}

#[async_trait]
impl MediaSourceOf for Files {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<MediaBytes, MediaError> {
        // The address in a webhook is not used: our token would go wherever it points.
        let MediaSource::Platform { id, sha256, .. } = &attachment.source else { return Err(MediaError::NotFound) };
        if !is_node(id) {
            return Err(MediaError::NotFound);
        }
        let max = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let node = self.node(id).await?;
        if size_of(&node).is_some_and(|size| size > max_bytes) {
            return Err(MediaError::TooLarge { max: max_bytes });
        }
        let answer = match self.graph.download(&node.url, max).await {
            // The address lives five minutes: a fresh one, once.
            Err(GraphFailure::Unreadable { status: 404, .. }) => {
                let fresh = self.node(id).await?;
                self.graph.download(&fresh.url, max).await
            }
            answered => answered,
        }
        .map_err(|failure| failure.of_download())?;
        let announced = [sha256, &node.sha256];
        if !announced.into_iter().flatten().all(|checksum| is_checksum_of(checksum, &answer.body)) {
            return Err(MediaError::Corrupt);
        }
        let mime =
            node.mime_type.or_else(|| attachment.mime.clone()).unwrap_or_else(|| "application/octet-stream".to_owned());
        Ok(MediaBytes { bytes: answer.body, mime: bare_mime(&mime), file_name: attachment.file_name.clone() })
    }
}

impl Files {
    async fn node(&self, id: &str) -> Result<MediaNode, MediaError> {
        let phone: Vec<_> =
            self.number.iter().map(|number| ("phone_number_id", number.phone_number_id.as_str())).collect();
        self.graph.get(id, &phone).await.map_err(|failure| failure.of_download())
    }
}

/// Ids of media are digits today; whatever they become, they stay one segment of a path.
fn is_node(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 256
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn size_of(node: &MediaNode) -> Option<u64> {
    let size = node.file_size.as_ref()?;
    size.as_u64().or_else(|| size.as_str()?.parse().ok())
}

/// Base64 in webhooks, hexadecimal or base64 in the media API. What is neither proves nothing, and is let through.
fn is_checksum_of(checksum: &str, bytes: &[u8]) -> bool {
    let announced = hex::decode(checksum).ok().or_else(|| BASE64.decode(checksum).ok());
    match announced {
        Some(announced) if announced.len() == 32 => announced == Sha256::digest(bytes).as_slice(),
        _ => true,
    }
}

fn upload_name(mime: &str) -> &'static str {
    match mime {
        "image/jpeg" => "file.jpg",
        "image/png" => "file.png",
        "image/webp" => "file.webp",
        "video/mp4" => "file.mp4",
        "video/3gpp" => "file.3gp",
        "audio/aac" => "file.aac",
        "audio/amr" => "file.amr",
        "audio/mpeg" => "file.mp3",
        "audio/mp4" => "file.m4a",
        "audio/ogg" => "file.ogg",
        "text/plain" => "file.txt",
        "application/pdf" => "file.pdf",
        "application/msword" => "file.doc",
        "application/vnd.ms-excel" => "file.xls",
        "application/vnd.ms-powerpoint" => "file.ppt",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "file.docx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "file.xlsx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation" => "file.pptx",
        _ => "file",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capabilities;
    use rstest::rstest;

    #[rstest]
    #[case("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", true)]
    #[case("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=", true)]
    #[case("aGFzaA==", true)]
    #[case("3cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", false)]
    #[case("MPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=", false)]
    fn checksums_come_in_two_writings(#[case] checksum: &str, #[case] matches: bool) {
        assert_eq!(is_checksum_of(checksum, b"hello"), matches);
    }

    #[rstest]
    #[case("800000000000001", true)]
    #[case("", false)]
    #[case("..", false)]
    #[case("1/messages", false)]
    #[case("1?fields=access_token", false)]
    fn only_a_plain_id_gets_into_a_path(#[case] id: &str, #[case] plain: bool) {
        assert_eq!(is_node(id), plain);
    }

    #[test]
    fn every_accepted_type_has_a_name_to_go_up_under() {
        for rule in capabilities::media() {
            for mime in rule.mimes {
                assert!(upload_name(mime).contains('.'), "{mime}");
            }
        }
    }
}
