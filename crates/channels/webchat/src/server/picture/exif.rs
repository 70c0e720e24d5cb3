//! Which way is up: the one thing of EXIF (2.32, section 4.6) that a picture needs to be shown.

/// What stands before it in a segment of JPEG, and by mistake in some WebP.
pub(super) const PREFIX: &[u8] = b"Exif\0\0";

const ORIENTATION: u16 = 0x0112;
const SHORT: u16 = 3;

/// EXIF that says nothing but how the picture is turned; `None` where it is not.
pub(super) fn only_orientation(exif: &[u8]) -> Option<[u8; 26]> {
    let turned = orientation(exif.strip_prefix(PREFIX).unwrap_or(exif)).filter(|way| (2..=8).contains(way))?;
    let [high, low] = turned.to_be_bytes();
    // A header, and one directory at 8 with one entry: tag, type, count 1, value. No directory follows.
    Some([b'M', b'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, high, low, 0, 0, 0, 0, 0, 0])
}

fn orientation(tiff: &[u8]) -> Option<u16> {
    let little = match tiff.first_chunk()? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = |bytes: &[u8]| {
        let two = *bytes.first_chunk()?;
        Some(if little { u16::from_le_bytes(two) } else { u16::from_be_bytes(two) })
    };
    let four = *tiff.get(4..)?.first_chunk()?;
    let directory = if little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) };
    let directory = tiff.get(usize::try_from(directory).ok()?..)?;
    let entries = directory.get(2..)?.chunks_exact(12).take(usize::from(short(directory)?));
    let is_it = |entry: &&[u8]| short(entry) == Some(ORIENTATION) && entry.get(2..).and_then(short) == Some(SHORT);
    entries.into_iter().find(is_it).and_then(|entry| short(entry.get(8..)?))
}
