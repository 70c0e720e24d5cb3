//! What somebody wrote, without what they quoted and their signature: for reading only, the source has all of it (sheet 4).

/// How mail programs introduce what they quote: the line's beginning and its end, both in lower case. An empty beginning is
/// any.
const INTRODUCTIONS: &[(&str, &str)] = &[
    ("on ", "wrote:"),
    ("am ", "schrieb:"),
    ("am ", "geschrieben:"),
    ("le ", "a écrit :"),
    ("le ", "a écrit:"),
    ("el ", "escribió:"),
    ("em ", "escreveu:"),
    ("il ", "ha scritto:"),
    ("op ", "schreef:"),
    ("w dniu ", "napisał(a):"),
    ("w dniu ", "napisał:"),
    ("den ", "skrev:"),
    ("", "пишет:"),
    ("", "написал(а):"),
    ("", "написал:"),
    ("", "написала:"),
];

/// Between hyphens, in lower case.
const ORIGINAL: &[&str] = &[
    "original message",
    "original appointment",
    "ursprüngliche nachricht",
    "originalnachricht",
    "message d'origine",
    "message d’origine",
    "mensaje original",
    "mensagem original",
    "messaggio originale",
    "oorspronkelijk bericht",
    "исходное сообщение",
    "пересылаемое сообщение",
];

/// The block of Outlook: who, when or to whom, what about; in lower case.
const WHO: &[&str] = &["from:", "von:", "de :", "de:", "от:", "da:", "van:"];
const WHEN: &[&str] = &[
    "sent:",
    "date:",
    "gesendet:",
    "datum:",
    "envoyé :",
    "envoyé:",
    "date :",
    "enviado:",
    "enviado el:",
    "fecha:",
    "отправлено:",
    "дата:",
    "inviato:",
    "verzonden:",
    "to:",
    "an:",
    "à :",
    "à:",
    "para:",
    "кому:",
    "a:",
    "aan:",
];
const ABOUT: &[&str] =
    &["subject:", "betreff:", "objet :", "objet:", "asunto:", "assunto:", "тема:", "oggetto:", "onderwerp:"];

/// A line that other help desks put above their mails.
const REPLY_MARK: &str = "reply above this line";

/// The words that are new in a mail. Where nothing would remain, all of them.
pub(crate) fn stripped(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    // Below this line there are quotes only.
    let quotes = lines.iter().rposition(|line| !is_quote(line) && !line.trim().is_empty()).map_or(0, |last| last + 1);
    let end = (0..lines.len()).find(|at| cuts(&lines, *at, quotes)).unwrap_or(lines.len());
    let kept = lines.get(..end).unwrap_or_default();
    // RFC 3676 section 4.3: dash, dash, blank.
    let signature = kept.iter().rposition(|line| *line == "-- ").unwrap_or(kept.len());
    let own = tidy(kept.get(..signature).unwrap_or_default());
    if own.is_empty() { tidy(&lines) } else { own }
}

/// Whether what was quoted begins here.
fn cuts(lines: &[&str], at: usize, quotes: usize) -> bool {
    let rest = lines.get(at..).unwrap_or_default();
    let Some(line) = rest.first().map(|line| line.trim()) else { return false };
    if line.is_empty() {
        return false;
    }
    let after = |taken: usize| rest.get(taken..).unwrap_or_default();
    if let Some(taken) = introduces(rest) {
        return only_quotes_follow(after(taken));
    }
    let lower = line.to_lowercase();
    let is_original = line.starts_with("---") && ORIGINAL.contains(&lower.trim_matches(['-', ' ']));
    let is_rule = line.len() >= 10 && line.bytes().all(|byte| byte == b'_');
    let is_mark = lower.contains(REPLY_MARK);
    is_original || is_rule || is_mark || is_outlook(rest) || at >= quotes && is_quote(line)
}

/// How many lines an introduction takes here: it may be wrapped over three.
fn introduces(rest: &[&str]) -> Option<usize> {
    let mut joined = String::new();
    for taken in 1..=rest.len().min(3) {
        let line = rest.get(taken - 1)?.trim();
        if line.is_empty() || is_quote(line) {
            return None;
        }
        if taken > 1 {
            joined.push(' ');
        }
        joined.push_str(&line.to_lowercase());
        if joined.chars().count() > 300 {
            return None;
        }
        // A date or an address stands between: other sentences end so too.
        let told = joined.contains('@') || joined.chars().filter(char::is_ascii_digit).count() >= 2;
        let known = INTRODUCTIONS.iter().any(|(start, end)| joined.starts_with(start) && joined.ends_with(end));
        // "Am 9. Oktober schrieb Ann Lee:"
        let german = joined.starts_with("am ") && joined.contains(" schrieb ") && joined.ends_with(':');
        let russian = (joined.contains(" написал") || joined.contains(" пишет")) && joined.ends_with(':');
        // "чт, 9 окт. 2025 г. в 08:53, Ann <ann@example.test>:", and the quote.
        let bare = joined.ends_with(">:") && rest.get(taken).is_some_and(|next| is_quote(next));
        if told && (known || german || russian || bare) {
            return Some(taken);
        }
    }
    None
}

/// Whether nothing of their own stands below a quote: an answer between the lines is not cut.
fn only_quotes_follow(rest: &[&str]) -> bool {
    let mut lines = rest.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
    // Programs that quote without marks quote to the end.
    let Some(first) = lines.next() else { return true };
    !is_quote(first) || lines.all(is_quote)
}

fn is_quote(line: &str) -> bool {
    line.trim_start().starts_with('>')
}

fn is_outlook(rest: &[&str]) -> bool {
    let starts = |line: &str, known: &[&str]| {
        let line = line.trim().trim_start_matches('*').to_lowercase();
        let line = line.replacen(":*", ":", 1);
        known.iter().any(|word| line.starts_with(word))
    };
    let block: Vec<&str> = rest.iter().copied().filter(|line| !line.trim().is_empty()).take(7).collect();
    let Some((first, others)) = block.split_first() else { return false };
    starts(first, WHO)
        && others.first().is_some_and(|second| starts(second, WHEN))
        && others.iter().any(|line| starts(line, ABOUT))
}

/// Without blanks at the ends of lines and empty lines around.
fn tidy(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n").trim_matches('\n').trim().to_owned()
}

/// HTML without the elements in which mail programs put what they quote.
pub(crate) fn stripped_html(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let Some(found) = Tag::read(tag) else {
            out.push('<');
            rest = tag.get(1..).unwrap_or_default();
            continue;
        };
        match found.quotes() {
            Quotes::Nothing => {
                out.push_str(tag.get(..found.length).unwrap_or_default());
                rest = tag.get(found.length..).unwrap_or_default();
            }
            Quotes::Itself => rest = after_element(tag, &found),
            // The reply block and everything below it.
            Quotes::Rest => return out,
            // The line above a quote, and the element after it.
            Quotes::WithNext => {
                rest = after_element(tag, &found);
                let next = rest.trim_start();
                if let Some(following) = Tag::read(next).filter(|tag| !tag.closes) {
                    rest = after_element(next, &following);
                }
            }
        }
    }
    out.push_str(rest);
    out
}

/// The longest tag, in characters.
const MAX_TAG: usize = 16 * 1024;

/// What an element is of a quote.
enum Quotes {
    Nothing,
    Itself,
    WithNext,
    Rest,
}

/// A start or end tag, as far as it matters.
struct Tag<'t> {
    name: String,
    attributes: &'t str,
    closes: bool,
    empty: bool,
    length: usize,
}

impl<'t> Tag<'t> {
    fn read(text: &'t str) -> Option<Self> {
        let inner = text.strip_prefix('<')?;
        let (closes, inner) = inner.strip_prefix('/').map_or((false, inner), |inner| (true, inner));
        let length = inner.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inner.len());
        let (name, attributes) = inner.split_at(length);
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let mut quote = None;
        let end = attributes.char_indices().take(MAX_TAG).find_map(|(at, c)| {
            match (quote, c) {
                (None, '>') => return Some(Some(at)),
                // No tag: the next one begins.
                (None, '<') => return Some(None),
                (None, '"' | '\'') => quote = Some(c),
                (Some(open), c) if open == c => quote = None,
                _ => {}
            }
            None
        })??;
        let attributes = attributes.get(..end)?;
        let length = text.len() - inner.len() + length + end + 1;
        Some(Self { name: name.to_ascii_lowercase(), attributes, closes, empty: attributes.ends_with('/'), length })
    }

    fn quotes(&self) -> Quotes {
        if self.closes {
            return Quotes::Nothing;
        }
        let lower = self.attributes.to_ascii_lowercase();
        let compact: String = lower.chars().filter(|c| !c.is_whitespace() && *c != '"' && *c != '\'').collect();
        let class = |name: &str| lower.contains("class") && lower.contains(name);
        match self.name.as_str() {
            "div" | "span" | "blockquote" if class("gmail_quote") || class("yahoo_quoted") => Quotes::Itself,
            "blockquote" if compact.contains("type=cite") => Quotes::Itself,
            "div" if class("moz-cite-prefix") => Quotes::WithNext,
            "div" | "hr" if compact.contains("id=divrplyfwdmsg") || compact.contains("id=appendonsend") => Quotes::Rest,
            _ => Quotes::Nothing,
        }
    }
}

/// What follows the element that begins here; nothing, where it is never closed.
fn after_element<'t>(text: &'t str, tag: &Tag<'_>) -> &'t str {
    let mut rest = text.get(tag.length..).unwrap_or_default();
    if tag.empty {
        return rest;
    }
    let mut depth = 1_usize;
    while let Some(at) = rest.find('<') {
        let here = rest.get(at..).unwrap_or_default();
        let Some(found) = Tag::read(here) else {
            rest = here.get(1..).unwrap_or_default();
            continue;
        };
        rest = here.get(found.length..).unwrap_or_default();
        if found.name == tag.name {
            match (found.closes, found.empty) {
                (true, _) => depth -= 1,
                (false, true) => {}
                (false, false) => depth += 1,
            }
        }
        if depth == 0 {
            return rest;
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("Yes\n\nOn Thu, 9 Oct 2025 at 08:53, Shop <s@shop.test> wrote:\n> old\n> older")]
    #[case("Yes\n\nOn Thu, 9 Oct 2025 at 08:53, Shop of a very long name\n<support@shop.test> wrote:\n\n> old")]
    #[case("Yes\n\nOn 9 Oct 2025, at 08:53, Shop wrote:\n\nquoted without marks\nto the end")]
    #[case("Yes\n\nAm Do., 9. Okt. 2025 um 08:53 Uhr schrieb Shop <s@shop.test>:\n\n> alt")]
    #[case("Yes\n\nLe jeu. 9 oct. 2025 à 08:53, Shop <s@shop.test> a écrit :\n\n> vieux")]
    #[case("Yes\n\nEl jue, 9 oct 2025 a las 8:53, Shop (<s@shop.test>) escribió:\n\n> viejo")]
    #[case("Yes\n\nчт, 9 окт. 2025 г. в 08:53, Shop <s@shop.test>:\n> старое\n")]
    #[case("Yes\n\n9 октября 2025 г., 08:53, Магазин <s@shop.test> пишет:\n> старое")]
    #[case("Yes\n\n09.10.2025 08:53, Shop написал(а):\n> старое")]
    #[case("Yes\n\n-----Original Message-----\nFrom: Shop\nold")]
    #[case("Yes\n\n-----Ursprüngliche Nachricht-----\nVon: Shop\nalt")]
    #[case("Yes\n\n-----Message d'origine-----\nvieux")]
    #[case("Yes\n\n-----Исходное сообщение-----\nстарое")]
    #[case(
        "Yes\n\nFrom: Shop <s@shop.test>\nSent: Thursday, October 9, 2025 8:53 AM\nTo: Ann\nSubject: Order 7\n\nold"
    )]
    #[case("Yes\n\nVon: Shop\nGesendet: Donnerstag, 9. Oktober 2025\nAn: Ann\nBetreff: Order 7\n\nalt")]
    #[case("Yes\n\nDe : Shop\nEnvoyé : jeudi 9 octobre 2025\nÀ : Ann\nObjet : Order 7\n\nvieux")]
    #[case("Yes\n\nОт: Shop\nОтправлено: 9 октября 2025 г.\nКому: Ann\nТема: Order 7\n\nстарое")]
    #[case("Yes\n\n*From:* Shop\n*Sent:* Thursday\n*To:* Ann\n*Subject:* Order 7\n\nold")]
    #[case("Yes\n\n> old\n> older\n\n")]
    #[case("Yes\n________________________________\nFrom: Shop\nold")]
    #[case("Yes\n\n##- Please type your reply above this line -##\nold")]
    #[case("Yes\n-- \nAnn Lee\nExample Inc.")]
    #[case("Yes\n-- \nAnn\n\nOn 9 Oct 2025, Shop wrote:\n> old")]
    fn what_was_quoted_is_cut(#[case] text: &str) {
        assert_eq!(stripped(text), "Yes");
    }

    #[rstest]
    // Answers between the lines.
    #[case("On 9 Oct 2025, Shop wrote:\n> red or blue?\nBlue.\n> and the size?\nL.")]
    #[case("> red or blue?\n\nBlue.")]
    // Sentences.
    #[case("On Monday my sister wrote:\nit is broken.")]
    #[case("From: the shop I got a note.\nIt says no.")]
    #[case("-----\nline\n-----")]
    #[case("--\nnot a signature")]
    fn what_is_new_stays(#[case] text: &str) {
        assert_eq!(stripped(text), text);
    }

    #[test]
    fn where_nothing_remains_all_of_it_is_shown() {
        assert_eq!(stripped("> only\n> a quote"), "> only\n> a quote");
        assert_eq!(stripped(""), "");
    }

    #[rstest]
    #[case(
        r#"<p>Yes</p><div class="gmail_quote"><div>On … wrote:</div><blockquote>old<div>x</div></blockquote></div>"#
    )]
    #[case(r#"<p>Yes</p><blockquote type="cite"><p>old</p><blockquote type="cite">older</blockquote></blockquote>"#)]
    #[case(r#"<p>Yes</p><div id="divRplyFwdMsg">From: Shop</div><div>old</div>"#)]
    #[case(r#"<p>Yes</p><div class="moz-cite-prefix">Am 9.10. schrieb</div> <blockquote>old</blockquote>"#)]
    #[case("<p>Yes</p><div id='x' class='yahoo_quoted'>old")]
    fn quotes_of_html_are_dropped(#[case] html: &str) {
        assert_eq!(stripped_html(html).trim(), "<p>Yes</p>");
    }

    #[test]
    fn other_html_stays() {
        for html in
            ["<p class=\"a>b\">1 < 2</p>", "<blockquote>mine</blockquote>", "a <", "<", "<div", "</div><!-- x -->"]
        {
            assert_eq!(stripped_html(html), html);
        }
    }
}
