//! Formatted text: `parse_mode` becomes plain text and entities, as the server does it.

use serde_json::{Map, Value, json};

use super::errors::BotError;

/// Plain text with its entities; offsets and lengths count UTF-16 code units.
pub(super) type Formatted = (String, Vec<Value>);

/// Reads text in the given mode.
pub(super) fn parse(text: &str, mode: Option<&str>) -> Result<Formatted, BotError> {
    match mode.map(str::to_ascii_lowercase).as_deref() {
        None | Some("") => Ok((text.to_owned(), Vec::new())),
        Some("html") => html(text),
        Some("markdownv2") => markdown(text, false),
        Some("markdown") => markdown(text, true),
        Some(_) => Err(BotError::bad("unsupported parse_mode")),
    }
}

/// How Telegram counts a text's length here: the cautious reading of its limits.
pub(super) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

fn unparsable(why: &str) -> BotError {
    BotError::bad(&format!("can't parse entities: {why}"))
}

/// An entity that has begun.
struct Open {
    kind: String,
    start: usize,
    url: Option<String>,
}

fn closed(open: Open, end: usize) -> Value {
    let mut entity = Map::from_iter([
        ("type".to_owned(), json!(open.kind)),
        ("offset".to_owned(), json!(open.start)),
        ("length".to_owned(), json!(end.saturating_sub(open.start))),
    ]);
    if let Some(url) = open.url {
        entity.insert("url".to_owned(), json!(url));
    }
    Value::Object(entity)
}

fn html(source: &str) -> Result<Formatted, BotError> {
    let (mut text, mut entities, mut stack) = (String::new(), Vec::new(), Vec::<(String, Open)>::new());
    let mut rest = source;
    while let Some(at) = rest.find(['<', '&']) {
        let (plain, marked) = rest.split_at(at);
        text.push_str(plain);
        if let Some(reference) = marked.strip_prefix('&') {
            let (letter, used) = reference_at(reference);
            text.push(letter);
            rest = reference.get(used..).unwrap_or_default();
            continue;
        }
        let offset = source.len() - marked.len();
        let (tag, after) = marked
            .strip_prefix('<')
            .and_then(|tag| tag.split_once('>'))
            .ok_or_else(|| unparsable(&format!("Unclosed start tag at byte offset {offset}")))?;
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            let name = name.trim().to_ascii_lowercase();
            match stack.pop() {
                Some((opened, open)) if opened == name => entities.push(closed(open, units(&text))),
                _ => return Err(unparsable(&format!("Unexpected end tag at byte offset {offset}"))),
            }
            continue;
        }
        let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        let name = name.to_ascii_lowercase();
        let kind = match name.as_str() {
            "b" | "strong" => "bold",
            "i" | "em" => "italic",
            "u" | "ins" => "underline",
            "s" | "strike" | "del" => "strikethrough",
            "tg-spoiler" | "span" => "spoiler",
            "code" => "code",
            "pre" => "pre",
            "blockquote" => "blockquote",
            "a" => "text_link",
            _ => return Err(unparsable(&format!("Unsupported start tag \"{name}\" at byte offset {offset}"))),
        };
        let quoted = attributes.split_once("href=").map(|(_, value)| value.trim_matches(['"', '\'', ' ']).to_owned());
        let open = Open { kind: kind.to_owned(), start: units(&text), url: quoted.filter(|_| kind == "text_link") };
        stack.push((name, open));
    }
    text.push_str(rest);
    match stack.pop() {
        Some((name, _)) => Err(unparsable(&format!("Can't find end tag corresponding to start tag {name}"))),
        None => Ok((text, entities)),
    }
}

/// The letter that a reference stands for, and how many bytes of it were used; a lone ampersand stands for itself.
fn reference_at(reference: &str) -> (char, usize) {
    let Some((name, _)) = reference.split_once(';') else { return ('&', 0) };
    let letter = match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        _ => name
            .strip_prefix('#')
            .and_then(|code| match code.strip_prefix('x') {
                Some(code) => u32::from_str_radix(code, 16).ok(),
                None => code.parse().ok(),
            })
            .and_then(char::from_u32),
    };
    letter.map_or(('&', 0), |letter| (letter, name.len() + 1))
}

/// MarkdownV2, or its lenient predecessor.
fn markdown(source: &str, legacy: bool) -> Result<Formatted, BotError> {
    const MARKS: [(&str, &str); 7] = [
        ("```", "pre"),
        ("||", "spoiler"),
        ("__", "underline"),
        ("*", "bold"),
        ("_", "italic"),
        ("~", "strikethrough"),
        ("`", "code"),
    ];
    let marks = || MARKS.iter().filter(|(mark, _)| !legacy || matches!(*mark, "```" | "*" | "_" | "`"));
    let (mut text, mut entities, mut stack) = (String::new(), Vec::new(), Vec::<(&str, Open)>::new());
    let mut rest = source;
    while let Some(letter) = rest.chars().next() {
        let verbatim = stack.last().is_some_and(|(mark, _)| mark.starts_with('`'));
        if let Some(escaped) =
            rest.strip_prefix('\\').and_then(|after| after.chars().next()).filter(char::is_ascii_punctuation)
        {
            text.push(escaped);
            rest = rest.get(2..).unwrap_or_default();
            continue;
        }
        let mark = marks().find(|(mark, _)| {
            rest.starts_with(mark) && (!verbatim || stack.last().is_some_and(|(open, _)| open == mark))
        });
        if let Some((mark, kind)) = mark {
            rest = rest.get(mark.len()..).unwrap_or_default();
            match stack.iter().position(|(open, _)| open == mark) {
                Some(at) if at + 1 == stack.len() => {
                    if let Some((_, open)) = stack.pop() {
                        entities.push(closed(open, units(&text)));
                    }
                }
                Some(_) => return Err(unparsable("entities overlap")),
                None => stack.push((mark, Open { kind: (*kind).to_owned(), start: units(&text), url: None })),
            }
            continue;
        }
        if letter == '[' && !verbatim {
            stack.push(("[", Open { kind: "text_link".to_owned(), start: units(&text), url: None }));
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        if letter == ']'
            && let Some((_, mut open)) = stack.pop_if(|(mark, _)| *mark == "[")
        {
            let link = rest.get(1..).and_then(|after| after.strip_prefix('(')).and_then(|after| after.split_once(')'));
            let (url, after) = link.ok_or_else(|| unparsable("Can't find end of a URL"))?;
            open.url = Some(url.to_owned());
            entities.push(closed(open, units(&text)));
            rest = after;
            continue;
        }
        if !legacy && !verbatim && "_*[]()~`>#+-=|{}.!".contains(letter) {
            return Err(unparsable(&format!(
                "Character '{letter}' is reserved and must be escaped with the preceding '\\'"
            )));
        }
        text.push(letter);
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
    }
    match stack.pop() {
        Some((_, open)) => {
            Err(unparsable(&format!("Can't find end of {} entity at byte offset {}", open.kind, open.start)))
        }
        None => Ok((text, entities)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("HTML", "a <b>bö</b> &lt;c&gt; & d", "a bö <c> & d")]
    #[case("HTML", "<a href=\"https://x.example\">x</a>", "x")]
    #[case("MarkdownV2", r"*b* _i_ ||s|| 1\.5 [x](https://x.example)", "b i s 1.5 x")]
    #[case("Markdown", "*b* 1.5 (x)", "b 1.5 (x)")]
    fn formatting_leaves_the_words(#[case] mode: &str, #[case] source: &str, #[case] plain: &str) {
        assert_eq!(parse(source, Some(mode)).unwrap().0, plain);
    }

    #[rstest]
    #[case("HTML", "a < b")]
    #[case("HTML", "<b>x")]
    #[case("HTML", "<b><i>x</b></i>")]
    #[case("HTML", "<script>x</script>")]
    #[case("MarkdownV2", "1.5")]
    #[case("MarkdownV2", "*x")]
    #[case("Markdown", "snake_case")]
    fn what_cannot_be_parsed_is_refused(#[case] mode: &str, #[case] source: &str) {
        let error = parse(source, Some(mode)).unwrap_err();
        assert!(error.description.starts_with("Bad Request: can't parse entities: "), "{error:?}");
    }

    #[test]
    fn offsets_count_utf16_units() {
        let (text, entities) = parse("👋 <b>hi</b>", Some("HTML")).unwrap();
        assert_eq!((text.as_str(), units(&text)), ("👋 hi", 5));
        assert_eq!(entities, [json!({"type": "bold", "offset": 3, "length": 2})]);
    }
}
