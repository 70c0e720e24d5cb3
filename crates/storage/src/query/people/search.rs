//! What searches compare: terms, stored beside the contact and made of the query in the same way.
//!
//! | searched | how |
//! |---|---|
//! | name as set by an agent, name, first and last name of the profile | each word of the query begins a word of a name |
//! | email address | prefix |
//! | user name, with or without `@` | prefix |
//! | phone number | its last digits, 4 at least; spaces, `+` and leading zeros don't count |
//! | the platform's own id, and any other address | exact |
//!
//! Upper case, lower case and accents are the same. In scripts without spaces each character begins a word. Every comparison is a range or a point of an index.

use transom_domain::{Address, Profile};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::conditions::{Find, FindBy};
use super::couples;
use super::statement::Sql;

pub(super) const NAME: u8 = b'n';
const EMAIL: u8 = b'e';
const USERNAME: u8 = b'u';
const PHONE: u8 = b'p';
/// The business's own id of a person: no search looks here, only who wants that very id.
const EXTERNAL: u8 = b'x';

/// Longer words are found by their beginning.
const TERM_CHARS: usize = 48;
/// Nobody's names have more words than this.
const TERMS: usize = 32;
/// Fewer last digits would find everybody.
const PHONE_DIGITS: usize = 4;
/// Words of a query beyond these are not looked at.
const QUERY_WORDS: usize = 6;

/// Lower case, without the accents of Latin, Greek and Cyrillic letters.
pub(crate) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.nfkd().filter(|c| !matches!(c, '\u{300}'..='\u{36f}')).flat_map(char::to_lowercase) {
        match letter {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'þ' => folded.push_str("th"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' | 'ð' => folded.push('d'),
            'ħ' => folded.push('h'),
            'ı' => folded.push('i'),
            // `İ` in lower case is an `i` with a dot that is an accent.
            '\u{307}' => {}
            other => folded.push(other),
        }
    }
    folded
}

fn words(text: &str) -> Vec<String> {
    let folded = fold(text);
    let words = folded.split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c)).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// A word, and whatever of it a person may take for one: in scripts that put no spaces between words each character begins one.
fn beginnings(word: &str) -> impl Iterator<Item = &str> {
    word.char_indices().filter(|(at, letter)| *at == 0 || begins_a_word(*letter)).filter_map(|(at, _)| word.get(at..))
}

/// Han, kana, the first part of a Hangul syllable (as NFKD takes it apart), Thai, Lao, Burmese, Khmer (Unicode 16, Blocks.txt).
fn begins_a_word(letter: char) -> bool {
    let is_unspaced = matches!(letter,
        '\u{e00}'..='\u{eff}'
        | '\u{1000}'..='\u{109f}'
        | '\u{1100}'..='\u{115f}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}'
        | '\u{20000}'..='\u{3ffff}');
    is_unspaced && !is_combining_mark(letter) && !matches!(letter, '\u{30fc}' | '\u{e46}')
}

fn term(kind: u8, text: impl Iterator<Item = char>) -> Vec<u8> {
    let text: String = text.take(TERM_CHARS).collect();
    [&[kind], text.as_bytes()].concat()
}

fn email(address: &str) -> Vec<u8> {
    term(EMAIL, address.trim().to_lowercase().chars())
}

fn username(name: &str) -> Vec<u8> {
    term(USERNAME, fold(name.trim().trim_start_matches('@')).chars())
}

fn phone(digits: &str) -> Vec<u8> {
    term(PHONE, digits.chars().rev().filter(char::is_ascii_digit))
}

fn external(id: &str) -> Vec<u8> {
    term(EXTERNAL, id.chars())
}

/// Everything that finds a contact.
pub(crate) fn terms<'a>(
    display_name: Option<&str>,
    profile: &Profile,
    addresses: impl IntoIterator<Item = &'a Address>,
) -> Vec<Vec<u8>> {
    let names = [display_name, profile.name.as_deref(), profile.first_name.as_deref(), profile.last_name.as_deref()];
    let words: Vec<String> = names.into_iter().flatten().flat_map(words).collect();
    let names = words.iter().flat_map(|word| beginnings(word)).map(|word| term(NAME, word.chars()));
    let mut terms: Vec<Vec<u8>> = names.collect();
    terms.extend(profile.email.as_deref().map(email));
    terms.extend(profile.username.as_deref().map(username));
    terms.extend(profile.phone.as_deref().map(phone));
    terms.extend(profile.external_id.as_deref().map(external));
    for address in addresses {
        match address.kind.as_str() {
            "phone" => terms.push(phone(&address.value)),
            "email" => terms.push(email(&address.value)),
            "username" => terms.push(username(&address.value)),
            _ => {}
        }
    }
    terms.retain(|term| term.len() > 1);
    terms.sort_unstable();
    terms.dedup();
    terms.truncate(TERMS);
    let couples = couples::of_terms(&terms);
    terms.extend(couples);
    terms
}

/// One of the ways in which a text finds contacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Alternative {
    /// Has names with all of these words.
    Words(Words),
    /// Has a term that begins so.
    Prefix(Lead),
    /// Has this very address.
    Address(String),
}

/// What names begin with; never empty, and none begins with another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) terms: Vec<Vec<u8>>,
    /// From each of them all contacts with these words are reached: every word, and every two of them.
    pub(super) leads: Vec<Lead>,
}

/// A range of terms that contacts are reached from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lead {
    /// How a term begins, or two of names, the smaller one first.
    pub(super) terms: Vec<Vec<u8>>,
    /// Whether it is known that so few contacts are in it that all of them may be read.
    pub(super) is_rare: bool,
}

impl Words {
    fn of(text: &str) -> Option<Self> {
        let mut terms: Vec<_> = words(text).iter().take(QUERY_WORDS).map(|word| term(NAME, word.chars())).collect();
        terms.sort_unstable_by(|one, other| other.cmp(one));
        // Whoever has the longer word has the one that it begins with.
        terms.dedup_by(|next, word| word.starts_with(next));
        terms.reverse();
        let singles = terms.iter().map(|term| Lead::of(vec![term.clone()]));
        let leads =
            singles.chain(couples::pairs(&terms).map(|(one, other)| Lead::of(vec![one.clone(), other.clone()])));
        let leads = leads.collect();
        (!terms.is_empty()).then_some(Self { terms, leads })
    }
}

impl Lead {
    fn of(terms: Vec<Vec<u8>>) -> Self {
        Self { terms, is_rare: false }
    }
}

/// All the ways in which a text finds contacts; none for a text without anything to look for.
pub(super) fn alternatives(find: &Find) -> Vec<Alternative> {
    let text = find.text.trim();
    let is_one_word = !text.contains(char::is_whitespace);
    let names = || Words::of(text).map(Alternative::Words);
    let prefix = |term: Vec<u8>| (term.len() > 1).then(|| Alternative::Prefix(Lead::of(vec![term])));
    let address = || (!text.is_empty()).then(|| Alternative::Address(text.to_owned()));
    let numbers = || {
        let number = find.number.as_deref().map(phone).and_then(prefix);
        typed_digits(text).map(|digits| phone(&digits)).and_then(prefix).into_iter().chain(number)
    };
    let mut found: Vec<Alternative> = match find.by {
        FindBy::Anything => {
            let is_handle = text.starts_with('@');
            let names = (!is_handle).then(names).flatten();
            let email = (is_one_word && !is_handle).then(|| prefix(email(text))).flatten();
            let username = is_one_word.then(|| prefix(username(text))).flatten();
            address().into_iter().chain(names).chain(email).chain(username).chain(numbers()).collect()
        }
        FindBy::Name => names().into_iter().collect(),
        FindBy::Email => prefix(email(text)).into_iter().collect(),
        FindBy::Phone => numbers().collect(),
        FindBy::Username => prefix(username(text)).into_iter().collect(),
        FindBy::Id => address().into_iter().collect(),
    };
    found.dedup();
    found
}

/// The digits of a text that is nothing but a number with its usual signs, without leading zeros; `None` for too few.
fn typed_digits(text: &str) -> Option<String> {
    let is_number = text.chars().all(|c| c.is_ascii_digit() || " +-()./\u{a0}".contains(c));
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    (is_number && digits.len() >= PHONE_DIGITS).then(|| digits.to_owned())
}

/// Adds `WITH named AS (…) `, the ids of the contacts that may have this address. `$1` is the workspace.
pub(crate) fn with_named(statement: &mut Sql, name: &Address) {
    let term = match name.kind.as_str() {
        "phone" => Some(phone(&name.value)),
        "email" => Some(email(&name.value)),
        _ => None,
    };
    statement.push("WITH named AS MATERIALIZED (");
    match term {
        Some(term) => {
            statement.push("SELECT contact_id FROM contact_terms WHERE workspace_id = $1 AND term = ").bind(term);
        }
        None => {
            statement
                .push("SELECT i.contact_id FROM identity_addresses a JOIN identities i ")
                .push("ON i.workspace_id = $1 AND i.id = a.identity_id WHERE a.workspace_id = $1 AND a.kind = ")
                .bind(name.kind.as_str())
                .with(" AND a.value = ", name.value.as_str());
            if name.kind == "external_id" {
                statement
                    .push(" UNION SELECT contact_id FROM contact_terms WHERE workspace_id = $1 AND term = ")
                    .bind(external(&name.value));
            }
        }
    }
    statement.push(") ");
}

/// Whether two addresses of a kind are the same: of numbers only the digits count, in email no upper or lower case.
pub(crate) fn is_same(kind: &str, one: &str, other: &str) -> bool {
    match kind {
        "phone" => phone(one) == phone(other),
        "email" => one.trim().to_lowercase() == other.trim().to_lowercase(),
        _ => one == other,
    }
}

/// What is looked for, if anything is.
pub(crate) fn asked(query: Option<&str>) -> Option<&str> {
    query.map(str::trim).filter(|query| !query.is_empty())
}

/// The first bytes that sort behind everything with this prefix. UTF-8 and the kinds never hold 0xff, so the last byte can grow.
pub(crate) fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    match end.last_mut() {
        Some(last) => *last = last.saturating_add(1),
        None => end.push(u8::MAX),
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_accents_are_the_same() {
        for (one, other) in [
            ("José Ångström", "jose angstrom"),
            ("STRAẞE", "strasse"),
            ("Łódź", "lodz"),
            ("Ｍａｒａ", "mara"),
            ("İnci", "inci"),
        ] {
            assert_eq!(fold(one), fold(other), "{one}");
        }
    }

    #[test]
    fn scripts_without_case_keep_their_words() {
        assert_eq!(words("王 小明"), ["王", "小明"]);
        assert_eq!(words("किरण मेहता").len(), 2);
        assert_eq!(words("Anne-Marie O’Neill 🌸"), ["anne", "marie", "o", "neill"]);
    }

    #[test]
    fn scripts_without_spaces_are_found_from_any_character() {
        let begin = |name: &str| -> Vec<String> {
            words(name).iter().flat_map(|word| beginnings(word).map(str::to_owned).collect::<Vec<_>>()).collect()
        };
        assert_eq!(begin("王小明"), ["王小明", "小明", "明"]);
        assert_eq!(begin("Mara"), ["mara"]);
        // Three syllables begin in three places, not in eight, which is how many parts they have.
        assert_eq!(begin("김민준").len(), 3);
        assert!(begin("김민준").contains(&fold("민준")));
        assert!(begin("がく").contains(&fold("く")));
        assert!(begin("สมชาย").contains(&fold("ชาย")));
        assert_eq!(begin("किरण").len(), 1);
    }

    #[test]
    fn numbers_are_found_as_they_are_typed() {
        for typed in ["+49 (155) 5010-0001", "0049 155 5010 0001", "0155 50100001", "5010/0001"] {
            let digits = typed_digits(typed).unwrap();
            assert!("4915550100001".ends_with(&digits), "{typed}");
        }
        for no_number in ["001", "", "12a45", "mara"] {
            assert_eq!(typed_digits(no_number), None, "{no_number}");
        }
    }

    #[test]
    fn a_number_is_kept_from_its_end() {
        let profile = Profile { phone: Some("+49 155 5010-0001".into()), ..Profile::default() };
        assert_eq!(terms(None, &profile, []), [b"p1000010555194".to_vec()]);
    }

    #[test]
    fn nobody_fills_the_index_alone() {
        let long: Vec<String> = (0..500).map(|n| format!("{n}{}", "x".repeat(200))).collect();
        let profile = Profile { name: Some(long.join(" ")), ..Profile::default() };
        let terms = terms(None, &profile, []);
        // And as many for the couples that they are not put into.
        assert_eq!(terms.len(), 2 * TERMS);
        assert!(terms.iter().all(|term| term.len() <= 2 + 4 * TERM_CHARS));
    }

    proptest! {
        #[test]
        fn a_prefix_is_a_range(prefix in "\\PC{1,8}", rest in "\\PC{0,8}", other in "\\PC{0,8}") {
            let (from, to) = (prefix.as_bytes().to_vec(), after_prefix(prefix.as_bytes()));
            let within = |text: &str| (from.as_slice()..to.as_slice()).contains(&text.as_bytes());
            let longer = format!("{prefix}{rest}");
            prop_assert!(within(&longer));
            prop_assert_eq!(within(&other), other.starts_with(&prefix));
        }

        #[test]
        fn folding_twice_changes_nothing(text in "\\PC{0,40}") {
            prop_assert_eq!(fold(&fold(&text)), fold(&text));
        }
    }
}
