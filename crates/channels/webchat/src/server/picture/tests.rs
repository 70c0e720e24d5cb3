//! Pictures whose metadata a library puts in, and looks for afterwards.

use bytes::Bytes;
use img_parts::jpeg::{Jpeg, JpegSegment, markers};
use img_parts::png::{Png, PngChunk};
use img_parts::riff::{RiffChunk, RiffContent};
use img_parts::webp::WebP;
use img_parts::{ImageEXIF, ImageICC};
use proptest::prelude::*;
use rstest::rstest;

use super::{Damaged, stripped};

/// A photo with EXIF (turned by a quarter, GPS), XMP, IPTC, a comment, a profile, and a second picture behind it.
const JPEG: &[u8] = include_bytes!("../../../tests/fixtures/photo.jpg");
const PNG: &[u8] = b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1F\x15\xC4\x89\
    \0\0\0\rIDATx\x9Cc\xF8\xCF\xC0\xF0\x1F\0\x05\0\x01\xFF\x89\x99=\x1D\0\0\0\0IEND\xAEB`\x82";
const WEBP: &[u8] =
    b"RIFF\x22\0\0\0WEBPVP8 \x16\0\0\0\x30\x01\0\x9d\x01\x2a\x01\0\x01\0\x0e\xc0\xfe\x25\xa4\0\x03\x70\0\0\0\0";
const GIF: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0\x21\xf9\x04\0\0\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b";

/// Words that no stripped picture holds.
const TOLD: &[&[u8]] =
    &[b"Acme Phone", b"GPSLatitude", b"Berlin", b"Ada at home", &[52, 0, 0, 0, 1, 0, 0, 0, 31, 0, 0, 0]];

fn exif(orientation: u8) -> Bytes {
    let mut exif = Jpeg::from_bytes(Bytes::from_static(JPEG)).unwrap().exif().unwrap().to_vec();
    let entry = exif.windows(8).position(|bytes| bytes == [0x12, 1, 3, 0, 1, 0, 0, 0]).unwrap();
    exif[entry + 8] = orientation;
    Bytes::from(exif)
}

/// The same, as a big-endian camera has it; after the prefix that some programs put into every format.
fn exif_of_others(orientation: u8) -> Bytes {
    let entry = [0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0];
    Bytes::from([b"Exif\0\0MM\0*\0\0\0\x08\0\x01".as_slice(), &entry, b"\0\0\0\0Acme Phone, Berlin"].concat())
}

fn way_up(exif: &Bytes) -> u8 {
    assert_eq!(exif.len(), 26, "nothing but a turn");
    exif[19]
}

fn tells_nothing(picture: &Bytes) {
    for words in TOLD {
        assert!(!picture.windows(words.len()).any(|found| found == *words), "{}", words.escape_ascii());
    }
}

fn strip(picture: Bytes) -> Bytes {
    assert!(TOLD.iter().any(|words| picture.windows(words.len()).any(|found| found == *words)), "it tells something");
    let picture = stripped(picture).unwrap();
    tells_nothing(&picture);
    assert_eq!(stripped(picture.clone()).unwrap(), picture, "nothing is left to strip");
    picture
}

#[test]
fn a_photo_keeps_its_pixels_its_colours_and_its_turn() {
    let was = Jpeg::from_bytes(Bytes::from_static(JPEG)).unwrap();
    let picture = strip(Bytes::from_static(JPEG));
    let is = Jpeg::from_bytes(picture.clone()).unwrap();
    assert_eq!((is.dimensions(), is.icc_profile()), (was.dimensions(), was.icc_profile()));
    assert!(is.icc_profile().is_some());
    assert_eq!(way_up(&is.exif().unwrap()), 6);
    let of_the_picture = |jpeg: &Jpeg| {
        let app_or_comment = |marker| (markers::APP0..=markers::APP15).contains(&marker) || marker == markers::COM;
        let kept = jpeg.segments().iter().filter(move |segment| !app_or_comment(segment.marker()));
        kept.map(|segment| (segment.marker(), segment.contents().clone())).collect::<Vec<_>>()
    };
    assert_eq!(of_the_picture(&is), of_the_picture(&was));
    // One picture, and nothing behind it.
    assert_eq!(picture.windows(3).filter(|bytes| *bytes == [0xff, 0xd8, 0xff]).count(), 1);
    assert!(picture.ends_with(&[0xff, 0xd9]));
}

#[rstest]
#[case(1, None)]
#[case(0, None)]
#[case(9, None)]
#[case(3, Some(3))]
#[case(8, Some(8))]
fn a_turn_is_kept_if_it_is_one(#[case] was: u8, #[case] is: Option<u8>) {
    for exif in [exif(was), exif_of_others(was)] {
        let mut jpeg = Jpeg::from_bytes(Bytes::from_static(JPEG)).unwrap();
        jpeg.set_exif(Some(exif.strip_prefix(b"Exif\0\0").map_or(exif.clone(), Bytes::copy_from_slice)));
        let jpeg = Jpeg::from_bytes(strip(jpeg.encoder().bytes())).unwrap();
        assert_eq!(jpeg.exif().as_ref().map(way_up), is);

        let mut png = Png::from_bytes(Bytes::from_static(PNG)).unwrap();
        png.set_exif(Some(exif.clone()));
        // Its check sums are looked at here.
        let png = Png::from_bytes(strip(png.encoder().bytes())).unwrap();
        assert_eq!(png.exif().as_ref().map(way_up), is);

        let mut webp = WebP::from_bytes(Bytes::from_static(WEBP)).unwrap();
        webp.set_exif(Some(exif));
        let webp = WebP::from_bytes(strip(webp.encoder().bytes())).unwrap();
        assert_eq!(webp.exif().as_ref().map(way_up), is);
        let flags = webp.chunk_by_id(*b"VP8X").unwrap().content().data().unwrap()[0];
        assert_eq!(flags & 0b1000 != 0, is.is_some(), "{flags:b}");
    }
}

/// Progressive pictures have many scans: what stands between them is looked at too.
#[test]
fn between_scans_nothing_stays_either() {
    let was = Jpeg::from_bytes(Bytes::from_static(JPEG)).unwrap();
    let end = JPEG.windows(2).position(|bytes| bytes == [0xff, 0xd9]).unwrap();
    let (head, _) = JPEG.split_at(end);
    let scan = was.segment_by_marker(markers::SOS).unwrap().clone().encoder().bytes();
    let scan_end = scan.windows(2).position(|bytes| bytes == [0xff, 0xd9]).unwrap();
    let comment = JpegSegment::new_with_contents(markers::COM, Bytes::from_static(b"Ada at home")).encoder().bytes();
    let twice = [head, &comment, &scan[..scan_end], &[0xff, 0xd9]].concat();
    let picture = strip(Bytes::from(twice));
    assert_eq!(picture.windows(scan_end).filter(|bytes| *bytes == &scan[..scan_end]).count(), 2);
}

#[test]
fn words_of_a_png_go_and_its_colours_stay() {
    let mut png = Png::from_bytes(Bytes::from_static(PNG)).unwrap();
    png.set_icc_profile(Some(Bytes::from_static(b"a profile")));
    let words = [
        (b"tEXt", b"Author\0Ada at home".as_slice()),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<GPSLatitude/>"),
        (b"zTXt", b"Raw profile type exif\0\0Berlin"),
        (b"tIME", b"\x07\xea\x0b\x16\0\0\0"),
        (b"prVt", b"Berlin"),
    ];
    for (kind, body) in words {
        png.chunks_mut().insert(2, PngChunk::new(*kind, Bytes::copy_from_slice(body)));
    }
    let mut bytes = png.encoder().bytes().to_vec();
    bytes.extend_from_slice(b"Ada at home");
    let png = Png::from_bytes(strip(Bytes::from(bytes))).unwrap();
    let kinds: Vec<_> = png.chunks().iter().map(PngChunk::kind).collect();
    assert_eq!(kinds, [*b"IHDR", *b"iCCP", *b"IDAT", *b"IEND"]);
    assert_eq!(png.icc_profile().unwrap(), "a profile");
}

#[test]
fn words_of_a_webp_go_from_the_file_and_from_its_frames() {
    let chunk = |id: &[u8; 4], body: &[u8]| RiffChunk::new(*id, RiffContent::Data(Bytes::copy_from_slice(body)));
    let bytes = |chunk: RiffChunk| chunk.encoder().bytes();
    let frame = [[0; 16].as_slice(), &bytes(chunk(b"ALPH", b"odd")), &bytes(chunk(b"note", b"Berlin"))].concat();
    let subchunks = vec![
        chunk(b"VP8X", &[0b10_1100, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        chunk(b"ICCP", b"profile"),
        chunk(b"ANMF", &frame),
        chunk(b"EXIF", &exif(6)),
        chunk(b"XMP ", b"<GPSLatitude/>"),
        chunk(b"note", b"Ada at home"),
    ];
    let file = RiffChunk::new(*b"RIFF", RiffContent::List { kind: Some(*b"WEBP"), subchunks });
    let file = Bytes::from([&bytes(file)[..], b"Ada at home"].concat());
    let webp = WebP::from_bytes(strip(file)).unwrap();
    let ids: Vec<_> = webp.chunks().iter().map(RiffChunk::id).collect();
    assert_eq!(ids, [*b"VP8X", *b"ICCP", *b"ANMF", *b"EXIF"]);
    assert_eq!(webp.chunks()[0].content().data().unwrap()[0], 0b10_1000);
    assert_eq!(webp.icc_profile().unwrap(), "profile");
    assert_eq!(webp.chunks()[2].content().data().unwrap().len(), 16 + 8 + 4);
}

#[test]
fn words_of_a_gif_go_and_its_frames_stay() {
    let (head, frames) = GIF.split_at(19);
    let loops = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0";
    let words = b"\x21\xff\x0bXMP DataXMP\x0e<GPSLatitude/>\0\x21\xfe\x0bAda at home\0";
    let picture = strip(Bytes::from([head, loops, words, frames, b"Berlin"].concat()));
    assert_eq!(picture, [head, loops, frames].concat());
}

#[test]
fn what_tells_nothing_stays_byte_for_byte() {
    for picture in [PNG, WEBP, GIF, b"%PDF-1.7 /GPSLatitude", b"plain text", b""] {
        assert_eq!(stripped(Bytes::from_static(picture)).unwrap(), picture);
    }
}

#[rstest]
#[case(b"\xff\xd8\xff\xe1\0\x40Exif\0\0")]
#[case(b"\xff\xd8\xff\xe1\0\x01")]
#[case(b"\x89PNG and no more")]
#[case(b"\x89PNG\r\n\x1a\n\xff\xff\xff\xfftEXt")]
#[case(b"GIF89a\x01\0\x01\0\x80\0\0\xff")]
#[case(b"GIF is a name")]
#[case(b"RIFF\xff\xff\xff\xffWEBPVP8 ")]
#[case(b"NONEnoneWEBP")]
fn what_cannot_be_walked_is_damaged(#[case] file: &'static [u8]) {
    assert_eq!(stripped(Bytes::from_static(file)), Err(Damaged));
}

/// What chance makes of a picture: bytes changed, cut out and put in.
fn spoilt() -> impl Strategy<Value = Vec<u8>> {
    let picture = prop::sample::select(vec![JPEG, PNG, WEBP, GIF]);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 0..12);
    (picture, changes).prop_map(|(picture, changes)| {
        let mut picture = picture.to_vec();
        for (place, byte, change) in changes {
            let at = place.index(picture.len());
            match change {
                0 => picture.insert(at, byte),
                1 if picture.len() > 1 => drop(picture.remove(at)),
                2 => picture.truncate(at.max(1)),
                _ => picture[at] = byte,
            }
        }
        picture
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_picture_is_a_panic_and_stripping_twice_is_stripping_once(file in spoilt()) {
        if let Ok(once) = stripped(Bytes::from(file)) {
            prop_assert_eq!(stripped(once.clone()), Ok(once));
        }
    }

    #[test]
    fn no_bytes_are_a_panic(
        head in prop::sample::select(vec![&b"\xff\xd8\xff"[..], b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x40\0\0\0WEBP", b""]),
        body in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = stripped(Bytes::from([head, &body].concat()));
    }
}
