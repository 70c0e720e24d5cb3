//! Pictures without what they tell besides: place, time, device, author, words (webchat.md 7).
//!
//! Each format is walked to its end and written anew with what shows the picture: pixels, colours, animation, and which way is up.
//! What is not known to be that is left out, and so is what follows the picture: cameras put further pictures and films there.

mod exif;
mod gif;
mod jpeg;
mod png;
mod webp;

use bytes::Bytes;

/// A picture that can't be walked, so that nobody can say what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damaged;

/// A picture without its metadata; any other file as it is.
pub(super) fn stripped(file: Bytes) -> Result<Bytes, Damaged> {
    // As broad as the detector of types: what goes by as another file is never taken for a picture afterwards.
    let strip = match () {
        () if file.starts_with(b"\xff\xd8\xff") => jpeg::stripped,
        () if file.starts_with(b"\x89PNG") => png::stripped,
        () if file.starts_with(b"GIF") => gif::stripped,
        () if file.get(8..12) == Some(b"WEBP") => webp::stripped,
        () => return Ok(file),
    };
    strip(&file).map(Bytes::from)
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Damaged)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// What has to stand here.
    fn expect(&mut self, words: &[u8]) -> Result<(), Damaged> {
        (self.take(words.len())? == words).then_some(()).ok_or(Damaged)
    }
}

#[cfg(test)]
mod tests;
