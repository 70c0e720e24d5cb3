//! JPEG (ITU-T T.81, annex B): segments behind markers, and scans between them.

use super::{Damaged, Rest, exif};

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const APP14: u8 = 0xee;

pub(super) fn stripped(file: &[u8]) -> Result<Vec<u8>, Damaged> {
    let mut rest = Rest(file);
    rest.expect(&[0xff, SOI])?;
    let mut out = Vec::with_capacity(file.len());
    out.extend_from_slice(&[0xff, SOI]);
    // A file that breaks off in a scan has been walked all the same.
    while let Some(marker) = rest.marker() {
        match marker {
            EOI => {
                out.extend_from_slice(&[0xff, EOI]);
                break;
            }
            // They stand alone.
            0x00 | 0x01 | 0xd0..=SOI => continue,
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes(rest.array()?));
        let body = rest.take(length.checked_sub(2).ok_or(Damaged)?)?;
        match (marker, body) {
            // Frames, tables, scans.
            (0xc0..=0xcf | SOS..=0xdf, _) => put(&mut out, marker, &[body])?,
            // Without the small picture inside, which may show more than the large one.
            (APP0, [b'J', b'F', b'I', b'F', 0, ..]) => put(&mut out, APP0, &[body.get(..12).ok_or(Damaged)?, &[0, 0]])?,
            (APP1, exif) if exif.starts_with(exif::PREFIX) => {
                if let Some(kept) = exif::only_orientation(exif) {
                    put(&mut out, APP1, &[exif::PREFIX, &kept])?;
                }
            }
            (APP2, profile) if profile.starts_with(b"ICC_PROFILE\0") => put(&mut out, APP2, &[profile])?,
            // How its colours were mixed.
            (APP14, [b'A', b'd', b'o', b'b', b'e', ..]) => put(&mut out, APP14, &[body.get(..12).ok_or(Damaged)?])?,
            _ => {}
        }
        if marker == SOS {
            out.extend_from_slice(rest.scan());
        }
    }
    Ok(out)
}

fn put(out: &mut Vec<u8>, marker: u8, body: &[&[u8]]) -> Result<(), Damaged> {
    let length = 2 + body.iter().map(|part| part.len()).sum::<usize>();
    out.extend_from_slice(&[0xff, marker]);
    out.extend_from_slice(&u16::try_from(length).map_err(|_| Damaged)?.to_be_bytes());
    out.extend(body.iter().copied().flatten());
    Ok(())
}

impl<'a> Rest<'a> {
    /// The next marker; what stands before it is nothing. `None` at the end of the file.
    fn marker(&mut self) -> Option<u8> {
        let at = self.0.windows(2).position(|pair| matches!(pair, [0xff, marker] if *marker != 0xff))?;
        let (_, rest) = self.0.split_at_checked(at + 2)?;
        let marker = self.0.get(at + 1).copied();
        self.0 = rest;
        marker
    }

    /// What is coded until the next marker that is none of the scan's own.
    fn scan(&mut self) -> &'a [u8] {
        let ends = |pair: &[u8]| matches!(pair, [0xff, next] if !matches!(next, 0x00 | 0xd0..=0xd7 | 0xff));
        let end = self.0.windows(2).position(ends).unwrap_or(self.0.len());
        let (scan, rest) = self.0.split_at_checked(end).unwrap_or((self.0, &[]));
        self.0 = rest;
        scan
    }
}
