//! How many segments a text takes, and in which alphabet (sms.md 7).

use crate::gsm;

/// The alphabet in which a text travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// The GSM 7-bit default alphabet with its extension.
    Gsm7,
    /// 16-bit units, as UTF-16. One character outside of the other alphabet puts the whole text into this one.
    Ucs2,
}

impl Encoding {
    /// Units in a message of one segment.
    pub const fn single(self) -> u32 {
        match self {
            Encoding::Gsm7 => 160,
            Encoding::Ucs2 => 70,
        }
    }

    /// Units in each segment of a longer one; six bytes go to the header that joins them.
    pub const fn joined(self) -> u32 {
        match self {
            Encoding::Gsm7 => 153,
            Encoding::Ucs2 => 67,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Encoding::Gsm7 => "GSM-7",
            Encoding::Ucs2 => "UCS-2",
        }
    }

    fn width(self, character: char) -> u32 {
        match self {
            Encoding::Gsm7 => gsm::septets(character).unwrap_or_default(),
            // At most two.
            Encoding::Ucs2 => {
                if character.len_utf16() == 2 {
                    2
                } else {
                    1
                }
            }
        }
    }
}

/// What a text is on the network.
///
/// ```
/// use transom_sms::{Encoding, Segments};
///
/// // The euro sign takes two of the 160 septets, and is never torn between two segments.
/// let text = "a".repeat(159) + "€";
/// assert_eq!(Segments::of(&text), Segments { encoding: Encoding::Gsm7, units: 161, count: 2 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segments {
    /// The alphabet.
    pub encoding: Encoding,
    /// Septets, an extension character counted twice, or UTF-16 units.
    pub units: u32,
    /// How many segments are sent and billed; an empty text is one.
    pub count: u32,
}

impl Segments {
    /// Counts a text, as it stands: nothing is replaced to make it shorter.
    pub fn of(text: &str) -> Self {
        let plain = text.chars().all(|character| gsm::septets(character).is_some());
        let encoding = if plain { Encoding::Gsm7 } else { Encoding::Ucs2 };
        let widths = || text.chars().map(|character| encoding.width(character));
        let units: u32 = widths().fold(0, u32::saturating_add);
        let count = if units <= encoding.single() { 1 } else { joined(widths(), encoding.joined()) };
        Self { encoding, units, count }
    }

    /// The count in words for whoever writes the text, with the character that makes it dearer.
    pub(crate) fn note(self, text: &str) -> String {
        let Self { encoding, units, count } = self;
        let room = if count == 1 { encoding.single() } else { encoding.joined().saturating_mul(count) };
        let segments = if count == 1 { "segment" } else { "segments" };
        let counted = format!("{count} {segments} in {}, {units} of {room} units", encoding.name());
        match text.chars().find(|character| gsm::septets(*character).is_none()) {
            Some(odd) if !odd.is_control() => format!("{counted}: `{odd}` is not in GSM-7"),
            _ => counted,
        }
    }
}

/// Packs characters into segments; a wide one that no longer fits goes whole into the next.
fn joined(widths: impl Iterator<Item = u32>, room: u32) -> u32 {
    let (count, _) = widths.fold((1_u32, 0), |(count, used), width| match used + width {
        used if used <= room => (count, used),
        _ => (count.saturating_add(1), width),
    });
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// The checks of sms.md 7.
    #[rstest]
    #[case("a".repeat(160), 1)]
    #[case("a".repeat(161), 2)]
    #[case("a".repeat(159) + "€", 2)]
    #[case("я".repeat(70), 1)]
    #[case("я".repeat(71), 2)]
    #[case("😀".repeat(35), 1)]
    #[case("😀".repeat(36), 2)]
    #[case("a".repeat(1_600), 11)]
    #[case("я".repeat(1_600), 24)]
    // A pair that does not fit into the 67th unit moves on: 33 pairs a segment.
    #[case("😀".repeat(67), 3)]
    #[case(String::new(), 1)]
    fn segments_are_counted(#[case] text: String, #[case] count: u32) {
        assert_eq!(Segments::of(&text).count, count);
    }

    #[rstest]
    #[case("Hello".to_owned(), "1 segment in GSM-7, 5 of 160 units")]
    #[case("a".repeat(159) + "€", "2 segments in GSM-7, 161 of 306 units")]
    #[case("a".repeat(70) + "ç", "2 segments in UCS-2, 71 of 134 units: `ç` is not in GSM-7")]
    #[case("a\tb".to_owned(), "1 segment in UCS-2, 3 of 70 units")]
    fn the_writer_is_told(#[case] text: String, #[case] note: &str) {
        assert_eq!(Segments::of(&text).note(&text), note);
    }
}
