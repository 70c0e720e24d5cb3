//! Files: what was uploaded, what customers send, what lies behind outside URLs.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use time::OffsetDateTime;

/// How much of files the sandbox keeps; the oldest go first.
const ROOM: usize = 512 * 1024 * 1024;

/// A file, as somebody handed it in.
#[derive(Debug, Clone)]
pub struct Media {
    /// Its id in this sandbox (WhatsApp's media id, Telegram's file id).
    pub id: String,
    /// The account that may use it.
    pub account: String,
    /// The content type, as declared.
    pub mime: String,
    /// The file name, where one was given.
    pub file_name: Option<String>,
    /// The content.
    pub bytes: Bytes,
    /// When it came to be.
    pub at: OffsetDateTime,
}

/// All files, within [`ROOM`].
#[derive(Debug, Default)]
pub(crate) struct Files {
    kept: BTreeMap<String, Media>,
    order: VecDeque<String>,
    size: usize,
    published: BTreeMap<String, (String, Bytes)>,
}

impl Files {
    pub(crate) fn keep(&mut self, media: Media) {
        self.size += media.bytes.len();
        self.order.push_back(media.id.clone());
        self.kept.insert(media.id.clone(), media);
        while self.size > ROOM {
            let Some(oldest) = self.order.pop_front() else { break };
            self.remove(&oldest);
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Media> {
        self.kept.get(id)
    }

    pub(crate) fn remove(&mut self, id: &str) -> bool {
        let Some(gone) = self.kept.remove(id) else { return false };
        self.size = self.size.saturating_sub(gone.bytes.len());
        true
    }

    /// Puts content behind an outside URL.
    pub(crate) fn publish(&mut self, url: String, mime: String, bytes: Bytes) {
        self.published.insert(url, (mime, bytes));
    }

    pub(crate) fn published(&self, url: &str) -> Option<(String, Bytes)> {
        self.published.get(url).cloned()
    }
}

/// What the content is by its first bytes, where they tell.
pub(crate) fn sniffed(bytes: &[u8]) -> Option<&'static str> {
    let at = |from: usize, to: usize| bytes.get(from..to).unwrap_or_default();
    Some(match () {
        () if bytes.starts_with(b"\xFF\xD8\xFF") => "image/jpeg",
        () if bytes.starts_with(b"\x89PNG\r\n\x1A\n") => "image/png",
        () if bytes.starts_with(b"GIF8") => "image/gif",
        () if bytes.starts_with(b"RIFF") && at(8, 12) == b"WEBP" => "image/webp",
        () if bytes.starts_with(b"%PDF-") => "application/pdf",
        () if bytes.starts_with(b"OggS") => "audio/ogg",
        () if bytes.starts_with(b"#!AMR") => "audio/amr",
        () if bytes.starts_with(b"ID3") || at(0, 2) == b"\xFF\xFB" || at(0, 2) == b"\xFF\xF3" => "audio/mpeg",
        () if at(0, 2) == b"\xFF\xF1" || at(0, 2) == b"\xFF\xF9" => "audio/aac",
        () if at(4, 8) == b"ftyp" && at(8, 11) == b"M4A" => "audio/mp4",
        () if at(4, 8) == b"ftyp" && at(8, 11) == b"3gp" => "video/3gpp",
        () if at(4, 8) == b"ftyp" => "video/mp4",
        () if bytes.starts_with(b"PK\x03\x04") => "application/zip",
        () => return None,
    })
}

/// Width and height of a PNG, GIF or JPEG.
pub(crate) fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    let big16 = |at: usize| bytes.get(at..)?.first_chunk().map(|two| u32::from(u16::from_be_bytes(*two)));
    let little16 = |at: usize| bytes.get(at..)?.first_chunk().map(|two| u32::from(u16::from_le_bytes(*two)));
    let big32 = |at: usize| bytes.get(at..)?.first_chunk().map(|four| u32::from_be_bytes(*four));
    match sniffed(bytes)? {
        "image/png" => Some((big32(16)?, big32(20)?)),
        "image/gif" => Some((little16(6)?, little16(8)?)),
        "image/jpeg" => {
            // Segments follow each other until a frame header (SOF) names the size: ITU-T T.81, B.2.2.
            let mut at = 2;
            loop {
                let marker = *bytes.get(at + 1)?;
                if *bytes.get(at)? != 0xFF {
                    return None;
                }
                if matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC) {
                    return Some((big16(at + 7)?, big16(at + 5)?));
                }
                at += 2 + usize::try_from(big16(at + 2)?).ok()?;
            }
        }
        _ => None,
    }
}

/// A small file of the wanted type, for a customer who sends "some picture".
pub(crate) fn sample(mime: &str) -> Bytes {
    const PNG: &[u8] = b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1F\x15\xC4\x89\
        \0\0\0\rIDATx\x9Cc\xF8\xCF\xC0\xF0\x1F\0\x05\0\x01\xFF\x89\x99=\x1D\0\0\0\0IEND\xAEB`\x82";
    const JPEG: &[u8] = include_bytes!("../assets/sample.jpg");
    const PDF: &[u8] = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n";
    Bytes::from_static(match mime {
        "image/jpeg" => JPEG,
        "image/png" => PNG,
        "image/gif" => b"GIF89a\x01\0\x01\0\0\0\0;",
        "image/webp" => b"RIFF\x0C\0\0\0WEBPVP8L\0\0\0\0",
        "audio/ogg" => b"OggS\0\x02\0\0\0\0\0\0\0\0",
        "audio/mpeg" => b"ID3\x03\0\0\0\0\0\0",
        "audio/mp4" => b"\0\0\0\x18ftypM4A \0\0\0\0",
        "video/mp4" => b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        "video/3gpp" => b"\0\0\0\x18ftyp3gp4\0\0\0\0",
        "application/pdf" => PDF,
        _ => b"sample\n",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_what_they_say() {
        for mime in [
            "image/jpeg",
            "image/png",
            "image/gif",
            "image/webp",
            "audio/ogg",
            "audio/mpeg",
            "audio/mp4",
            "video/mp4",
            "video/3gpp",
            "application/pdf",
        ] {
            assert_eq!(sniffed(&sample(mime)), Some(mime));
        }
        assert_eq!(sniffed(b"hello"), None);
        for (mime, size) in [("image/jpeg", (240, 160)), ("image/png", (1, 1)), ("image/gif", (1, 1))] {
            assert_eq!(dimensions(&sample(mime)), Some(size), "{mime}");
        }
        assert_eq!(dimensions(b"\xFF\xD8\xFF"), None);
    }

    #[test]
    fn old_files_make_room() {
        let mut files = Files::default();
        for n in 0..3 {
            files.keep(Media {
                id: format!("m{n}"),
                account: "a".into(),
                mime: "application/octet-stream".into(),
                file_name: None,
                bytes: Bytes::from(vec![0; ROOM / 2]),
                at: OffsetDateTime::UNIX_EPOCH,
            });
        }
        assert!(files.get("m0").is_none() && files.get("m2").is_some());
    }
}
