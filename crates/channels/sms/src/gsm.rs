//! The GSM 7-bit default alphabet and its extension (3GPP TS 23.038, 6.2.1; sms.md 7).

/// The basic table in the order of its codes; one septet each. The escape at 0x1B stands for no character.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1b}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ\
                     ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// What follows an escape; two septets each.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// How many septets a character takes; `None` where the alphabet has it not.
pub(crate) fn septets(character: char) -> Option<u32> {
    match character {
        '\u{1b}' => None,
        // What nearly all text is made of.
        'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' => Some(1),
        _ if BASIC.contains(character) => Some(1),
        _ if EXTENSION.contains(character) => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn the_table_is_whole() {
        assert_eq!(BASIC.chars().count(), 128);
        let places: Vec<char> = BASIC.chars().collect();
        // Some codes by their number: 0x09, 0x10, 0x1B, 0x24, 0x40, 0x5F, 0x60, 0x7F.
        let known = [
            (0x09, 'Ç'),
            (0x10, 'Δ'),
            (0x1B, '\u{1b}'),
            (0x24, '¤'),
            (0x40, '¡'),
            (0x5F, '§'),
            (0x60, '¿'),
            (0x7F, 'à'),
        ];
        for (code, character) in known {
            assert_eq!(places[code], character, "{code:#x}");
        }
        let different: std::collections::BTreeSet<char> = BASIC.chars().chain(EXTENSION.chars()).collect();
        assert_eq!(different.len(), 128 + 10);
    }

    #[rstest]
    #[case('`')]
    #[case('ç')]
    #[case('\t')]
    #[case('“')]
    #[case('–')]
    #[case('…')]
    #[case('\u{a0}')]
    #[case('\u{1b}')]
    fn what_is_not_in_it(#[case] character: char) {
        assert_eq!(septets(character), None);
    }
}
