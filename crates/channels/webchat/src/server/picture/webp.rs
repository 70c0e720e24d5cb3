//! WebP (RFC 9649): chunks of a RIFF.

use super::{Damaged, Rest, exif};

/// Flags of the chunk `VP8X` (section 2.7).
const HAS_EXIF: u8 = 0b0000_1000;
const HAS_XMP: u8 = 0b0000_0100;
/// What stands before the chunks of a frame of an animation: its place, size and duration.
const FRAME: usize = 16;

pub(super) fn stripped(file: &[u8]) -> Result<Vec<u8>, Damaged> {
    let mut rest = Rest(file);
    rest.expect(b"RIFF")?;
    let size = rest.size()?;
    let mut chunks = Rest(rest.take(size)?);
    chunks.expect(b"WEBP")?;
    let mut out = Vec::with_capacity(file.len());
    out.extend_from_slice(b"RIFF\0\0\0\0WEBP");
    let (mut flags_at, mut is_turned) = (None, false);
    while let Some((kind, body)) = chunks.chunk()? {
        match &kind {
            b"VP8X" => {
                flags_at.get_or_insert(out.len() + 8);
                put(&mut out, kind, body)?;
            }
            b"VP8 " | b"VP8L" | b"ALPH" | b"ANIM" | b"ICCP" => put(&mut out, kind, body)?,
            b"ANMF" => put(&mut out, kind, &frame(body)?)?,
            b"EXIF" => {
                if let Some(kept) = exif::only_orientation(body) {
                    is_turned = true;
                    put(&mut out, kind, &kept)?;
                }
            }
            _ => {}
        }
    }
    if let Some(flags) = flags_at.and_then(|at| out.get_mut(at)) {
        *flags &= !(HAS_XMP | HAS_EXIF);
        *flags |= if is_turned { HAS_EXIF } else { 0 };
    }
    let size = u32::try_from(out.len() - 8).map_err(|_| Damaged)?;
    if let Some(place) = out.get_mut(4..8) {
        place.copy_from_slice(&size.to_le_bytes());
    }
    Ok(out)
}

/// A frame of an animation, with its pixels only.
fn frame(body: &[u8]) -> Result<Vec<u8>, Damaged> {
    let mut rest = Rest(body);
    let mut out = rest.take(FRAME)?.to_vec();
    while let Some((kind, body)) = rest.chunk()? {
        if matches!(&kind, b"VP8 " | b"VP8L" | b"ALPH") {
            put(&mut out, kind, body)?;
        }
    }
    Ok(out)
}

fn put(out: &mut Vec<u8>, kind: [u8; 4], body: &[u8]) -> Result<(), Damaged> {
    out.extend_from_slice(&kind);
    out.extend_from_slice(&u32::try_from(body.len()).map_err(|_| Damaged)?.to_le_bytes());
    out.extend_from_slice(body);
    if body.len() % 2 == 1 {
        out.push(0);
    }
    Ok(())
}

/// Its kind, and what it holds.
type Chunk<'a> = ([u8; 4], &'a [u8]);

impl<'a> Rest<'a> {
    fn size(&mut self) -> Result<usize, Damaged> {
        usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| Damaged)
    }

    fn chunk(&mut self) -> Result<Option<Chunk<'a>>, Damaged> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let kind = self.array()?;
        let size = self.size()?;
        let body = self.take(size)?;
        if size % 2 == 1 && !self.0.is_empty() {
            self.take(1)?;
        }
        Ok(Some((kind, body)))
    }
}
