//! GIF (89a): blocks. Comments, and whatever programs put there, are left out.

use super::{Damaged, Rest};

const EXTENSION: u8 = 0x21;
const IMAGE: u8 = 0x2c;
const TRAILER: u8 = 0x3b;
const CONTROL: u8 = 0xf9;
const APPLICATION: u8 = 0xff;

pub(super) fn stripped(file: &[u8]) -> Result<Vec<u8>, Damaged> {
    let mut rest = Rest(file);
    let screen = rest.take(13)?;
    if !screen.starts_with(b"GIF87a") && !screen.starts_with(b"GIF89a") {
        return Err(Damaged);
    }
    let mut out = Vec::with_capacity(file.len());
    out.extend_from_slice(screen);
    out.extend_from_slice(rest.take(colours(screen.get(10)))?);
    // Many end without a trailer.
    while !rest.0.is_empty() {
        match rest.array()? {
            [TRAILER] => {
                out.push(TRAILER);
                break;
            }
            [IMAGE] => {
                let place = rest.take(9)?;
                out.push(IMAGE);
                out.extend_from_slice(place);
                out.extend_from_slice(rest.take(colours(place.last()))?);
                // The first size of its codes.
                out.extend_from_slice(rest.take(1)?);
                out.extend_from_slice(rest.blocks()?);
            }
            [EXTENSION] => {
                let [label] = rest.array()?;
                let blocks = rest.blocks()?;
                // How long a frame is shown, and how often all of them.
                let is_shown = match label {
                    CONTROL => true,
                    APPLICATION => {
                        matches!(blocks.get(1..12), Some(b"NETSCAPE2.0" | b"ANIMEXTS1.0" | b"ICCRGBG1012"))
                    }
                    _ => false,
                };
                if is_shown {
                    out.extend_from_slice(&[EXTENSION, label]);
                    out.extend_from_slice(blocks);
                }
            }
            _ => return Err(Damaged),
        }
    }
    Ok(out)
}

/// The size of the table of colours that these flags announce.
fn colours(flags: Option<&u8>) -> usize {
    flags.filter(|flags| **flags & 0x80 != 0).map_or(0, |flags| 3 << ((flags & 7) + 1))
}

impl<'a> Rest<'a> {
    /// Blocks with their sizes, with the empty one that ends them.
    fn blocks(&mut self) -> Result<&'a [u8], Damaged> {
        let all = self.0;
        loop {
            let [size] = self.array()?;
            if size == 0 {
                return all.get(..all.len() - self.0.len()).ok_or(Damaged);
            }
            self.take(usize::from(size))?;
        }
    }
}
