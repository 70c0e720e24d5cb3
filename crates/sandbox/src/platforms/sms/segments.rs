//! How many segments a text takes: GSM 03.38 and 03.40, as anybody would write it down, apart from the service's own counting.

/// Characters of two septets.
const EXTENDED: [char; 10] = ['\u{c}', '^', '{', '}', '\\', '[', '~', ']', '|', '€'];
/// Characters of one septet beyond ASCII.
const BEYOND_ASCII: &str = "£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà";

fn is_basic(character: char) -> bool {
    match character {
        '\n' | '\r' => true,
        '`' | '^' | '{' | '}' | '\\' | '[' | '~' | ']' | '|' => false,
        ' '..='~' => true,
        other => BEYOND_ASCII.contains(other),
    }
}

/// How many segments.
pub(super) fn count(text: &str) -> u32 {
    let plain = text.chars().all(|character| is_basic(character) || EXTENDED.contains(&character));
    let (whole, part) = if plain { (160, 153) } else { (70, 67) };
    let width = |character: char| match plain {
        true if EXTENDED.contains(&character) => 2,
        true => 1,
        false => character.len_utf16(),
    };
    if text.chars().map(width).sum::<usize>() <= whole {
        return 1;
    }
    let (mut parts, mut room) = (1, part);
    for character in text.chars() {
        if width(character) > room {
            (parts, room) = (parts + 1, part);
        }
        room -= width(character);
    }
    parts
}
