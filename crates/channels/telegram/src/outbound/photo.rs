//! What Telegram takes as a photo; any other picture goes as a document (telegram.md 2 and 6).

use transom_channel::MediaBytes;

const MAX_BYTES: usize = 10 * 1024 * 1024;
/// Width and height together.
const MAX_SIDES: usize = 10_000;
/// The longer side by the shorter one.
const MAX_RATIO: usize = 20;

/// The file as a document, if it is no photo: its name is all that a phone shows of it.
pub(crate) fn as_document(file: &MediaBytes) -> Option<MediaBytes> {
    if is_photo(&file.bytes) {
        return None;
    }
    let kind = file.mime.split(';').next().and_then(|mime| mime.trim().strip_prefix("image/")).unwrap_or("image");
    let file_name = file.file_name.clone().or_else(|| Some(format!("picture.{kind}")));
    Some(MediaBytes { file_name, ..file.clone() })
}

fn is_photo(bytes: &[u8]) -> bool {
    // A picture whose size can't be read is one that Telegram can't process (3, IMAGE_PROCESS_FAILED).
    let Ok(size) = imagesize::blob_size(bytes) else { return false };
    let (long, short) = (size.width.max(size.height), size.width.min(size.height).max(1));
    bytes.len() <= MAX_BYTES && long.saturating_add(short) <= MAX_SIDES && long <= short.saturating_mul(MAX_RATIO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// As much of a PNG as says its size, and so many bytes in all.
    fn png(width: u32, height: u32, bytes: usize) -> Vec<u8> {
        let mut png = b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR".to_vec();
        png.extend(width.to_be_bytes());
        png.extend(height.to_be_bytes());
        png.extend([8, 6, 0, 0, 0]);
        png.resize(bytes.max(png.len()), 0);
        png
    }

    #[rstest]
    #[case::usual(png(1_600, 1_200, 0), true)]
    #[case::as_large(png(5_000, 5_000, MAX_BYTES), true)]
    #[case::too_many_bytes(png(1, 1, MAX_BYTES + 1), false)]
    #[case::too_wide(png(5_001, 5_000, 0), false)]
    #[case::as_long(png(2_000, 100, 0), true)]
    #[case::too_long(png(2_001, 100, 0), false)]
    #[case::too_tall(png(100, 2_001, 0), false)]
    #[case::no_picture(b"hello".to_vec(), false)]
    fn the_limits_of_photos(#[case] bytes: Vec<u8>, #[case] is: bool) {
        assert_eq!(is_photo(&bytes), is);
    }

    #[test]
    fn a_document_has_a_name() {
        let file = MediaBytes { bytes: "no picture".into(), mime: "image/webp".to_owned(), file_name: None };
        assert_eq!(as_document(&file).unwrap().file_name.as_deref(), Some("picture.webp"));
    }
}
