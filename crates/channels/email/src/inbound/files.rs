//! Files of mails: what they are, and a name that does no harm.

use transom_channel::MediaBytes;
use transom_domain::{Attachment, MediaKind, MediaSource};

/// The longest name, in characters.
const MAX_NAME: usize = 150;

/// What a file is: by its beginning, else as the mail says.
pub(crate) fn mime_of(bytes: &[u8], stated: Option<&str>, _name: Option<&str>) -> String {
    let stated = stated.map(|mime| mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    let stated = stated.filter(|mime| mime.split_once('/').is_some_and(|(a, b)| is_token(a) && is_token(b)));
    let seen = infer::get(bytes).map(|kind| kind.mime_type().to_owned());
    match (stated, seen) {
        // Documents of an office are archives to whoever looks at their beginning only.
        (Some(stated), Some(seen)) if family(&stated) == family(&seen) || family(&stated) == "application" => {
            if stated == "application/octet-stream" { seen } else { stated }
        }
        (_, Some(seen)) => seen,
        (Some(stated), None) => stated,
        (None, None) => "application/octet-stream".to_owned(),
    }
}

fn family(mime: &str) -> &str {
    mime.split('/').next().unwrap_or_default()
}

/// A name without a path, controls and marks that turn it around (sheet 6).
pub(crate) fn name_of(stated: Option<&str>, mime: &str) -> String {
    let stated = stated.unwrap_or_default();
    let last = stated.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_bidi =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let kept = |c: &char| !c.is_control() && !is_bidi(*c) && !"<>:\"|?*\u{2028}\u{2029}\u{feff}".contains(*c);
    let name: String = last.chars().filter(kept).collect();
    let name = name.trim().trim_start_matches('.').trim_end_matches(['.', ' ']);
    if name.is_empty() {
        let ending = match mime {
            "message/rfc822" => "eml",
            "text/plain" => "txt",
            "text/html" => "html",
            "text/calendar" => "ics",
            "application/pdf" => "pdf",
            "image/jpeg" => "jpg",
            "image/png" => "png",
            "image/gif" => "gif",
            _ => "bin",
        };
        return format!("file.{ending}");
    }
    if name.chars().count() <= MAX_NAME {
        return name.to_owned();
    }
    // The ending says what it is.
    let ending = name.rsplit_once('.').map(|(_, ending)| ending).filter(|ending| ending.len() <= 10);
    let short: String = name.chars().take(MAX_NAME - 11).collect();
    ending.map_or(short.clone(), |ending| format!("{short}.{ending}"))
}

/// How the n-th file of a mail is shown.
pub(crate) fn attachment(index: usize, file: &MediaBytes) -> Attachment {
    Attachment {
        kind: kind_of(&file.mime),
        source: MediaSource::Enclosed { index: u32::try_from(index).unwrap_or(u32::MAX) },
        mime: Some(file.mime.clone()),
        file_name: file.file_name.clone(),
        size: Some(file.bytes.len() as u64),
    }
}

fn kind_of(mime: &str) -> MediaKind {
    match mime.split_once('/') {
        // A drawing that can hold a script is no picture.
        Some(("image", "svg+xml")) => MediaKind::Document,
        Some(("image", _)) => MediaKind::Image,
        Some(("video", _)) => MediaKind::Video,
        Some(("audio", _)) => MediaKind::Audio,
        _ => MediaKind::Document,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Some("inv.pdf"), "inv.pdf")]
    #[case(Some("../../etc/passwd"), "passwd")]
    #[case(Some("C:\\temp\\a.doc"), "a.doc")]
    #[case(Some("ev\u{202e}fdp.exe"), "evfdp.exe")]
    #[case(Some("a\r\nb\0.txt"), "ab.txt")]
    #[case(Some("..."), "file.pdf")]
    #[case(None, "file.pdf")]
    fn names_do_no_harm(#[case] stated: Option<&str>, #[case] name: &str) {
        assert_eq!(name_of(stated, "application/pdf"), name);
    }

    #[test]
    fn a_long_name_keeps_its_ending() {
        let name = name_of(Some(&format!("{}.jpeg", "é".repeat(400))), "image/jpeg");
        assert_eq!(name.rsplit('.').next(), Some("jpeg"));
        assert!(name.chars().count() <= MAX_NAME, "{name}");
    }

    #[rstest]
    #[case(b"%PDF-1.4", Some("image/png"), "application/pdf")]
    #[case(b"%PDF-1.4", Some("application/octet-stream"), "application/pdf")]
    #[case(b"\x89PNG\r\n\x1a\n", None, "image/png")]
    #[case(b"PK\x03\x04", Some("application/vnd.ms-excel"), "application/vnd.ms-excel")]
    #[case(b"hello", Some("text/plain; charset=utf-8"), "text/plain")]
    #[case(b"hello", Some("te xt/pl\"ain"), "application/octet-stream")]
    #[case(b"hello", None, "application/octet-stream")]
    fn a_file_is_what_it_begins_like(#[case] bytes: &[u8], #[case] stated: Option<&str>, #[case] mime: &str) {
        assert_eq!(mime_of(bytes, stated, None), mime);
    }
}
