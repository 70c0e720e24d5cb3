//! What a file is, by its bytes.

/// What nothing is known of.
pub(super) const UNKNOWN: &str = "application/octet-stream";

/// The MIME type of a file that begins with `head`. What was announced counts only where it makes plain text more exact.
pub(crate) fn mime(head: &[u8], announced: Option<&str>) -> String {
    if let Some(found) = infer::get(head) {
        return usual(found.mime_type()).to_owned();
    }
    if !is_text(head) {
        return UNKNOWN.to_owned();
    }
    let announced = announced.and_then(|mime| mime.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
    let exact = [
        "text/csv",
        "text/calendar",
        "text/vcard",
        "text/x-vcard",
        "text/markdown",
        "application/json",
        "message/rfc822",
    ];
    exact.iter().find(|known| **known == announced).map_or_else(|| "text/plain".to_owned(), |known| (*known).to_owned())
}

/// The registered name where the detector has another one.
fn usual(mime: &'static str) -> &'static str {
    match mime {
        "audio/m4a" => "audio/mp4",
        // Opus in Ogg (RFC 7845 section 9); `audio/opus` is its RTP payload.
        "audio/opus" => "audio/ogg",
        "audio/x-wav" => "audio/wav",
        "audio/x-flac" => "audio/flac",
        other => other,
    }
}

/// UTF-8 without the bytes that no text has; the end may be cut within a character.
fn is_text(head: &[u8]) -> bool {
    let whole = match std::str::from_utf8(head) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => {
            head.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok())
        }
        Err(_) => None,
    };
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}');
    whole.is_some_and(|text| !text.is_empty() && !text.chars().any(odd))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case(b"\x89PNG\r\n\x1a\n rest", Some("text/html"), "image/png")]
    #[case(b"\xff\xd8\xff\xe0 rest", Some("application/pdf"), "image/jpeg")]
    #[case(b"%PDF-1.7", None, "application/pdf")]
    #[case(b"<!DOCTYPE html><script>", Some("image/png"), "text/html")]
    #[case(b"a;b\n1;2\n", Some("text/csv; charset=utf-8"), "text/csv")]
    #[case(b"a;b\n1;2\n", Some("image/png"), "text/plain")]
    #[case("wörter, die mitten im Zeiche\u{e4}".as_bytes().split_last().unwrap().1, None, "text/plain")]
    #[case(b"\x00\x01\x02", Some("image/png"), "application/octet-stream")]
    #[case(b"", Some("image/png"), "application/octet-stream")]
    #[case(
        b"OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x13OpusHead",
        None,
        "audio/ogg"
    )]
    fn the_bytes_say_what_it_is(#[case] head: &[u8], #[case] announced: Option<&str>, #[case] mime: &str) {
        assert_eq!(super::mime(head, announced), mime);
    }
}
