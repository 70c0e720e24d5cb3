//! PNG (third edition, sections 5 and 11): chunks.

use super::{Damaged, Rest, exif};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

pub(super) fn stripped(file: &[u8]) -> Result<Vec<u8>, Damaged> {
    let mut rest = Rest(file);
    rest.expect(SIGNATURE)?;
    let mut out = Vec::with_capacity(file.len());
    out.extend_from_slice(SIGNATURE);
    loop {
        let (length, kind) = (rest.array::<4>()?, rest.array::<4>()?);
        let body = rest.take(usize::try_from(u32::from_be_bytes(length)).map_err(|_| Damaged)?)?;
        let sum: [u8; 4] = rest.array()?;
        match &kind {
            b"eXIf" => {
                if let Some(kept) = exif::only_orientation(body) {
                    put(&mut out, kind, &kept, crc(&[&kind, &kept]));
                }
            }
            // Pixels, colours, density, animation.
            b"IHDR" | b"PLTE" | b"IDAT" | b"IEND" | b"tRNS" | b"bKGD" | b"pHYs" | b"sBIT" | b"hIST" | b"cHRM"
            | b"gAMA" | b"iCCP" | b"sRGB" | b"cICP" | b"mDCV" | b"cLLI" | b"acTL" | b"fcTL" | b"fdAT" => {
                put(&mut out, kind, body, sum);
            }
            _ => {}
        }
        if kind == *b"IEND" {
            return Ok(out);
        }
    }
}

fn put(out: &mut Vec<u8>, kind: [u8; 4], body: &[u8], sum: [u8; 4]) {
    // As long as one that was read, or shorter.
    out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&kind);
    out.extend_from_slice(body);
    out.extend_from_slice(&sum);
}

/// The check sum of a chunk (annex D).
fn crc(parts: &[&[u8]]) -> [u8; 4] {
    let bytes = parts.iter().copied().flatten();
    let shifted = |sum: u32, _: u32| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
    (!bytes.fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), shifted))).to_be_bytes()
}
