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
//! Upper case, lower case and accents are the same. Every comparison is a range or a point of an index.

use transom_domain::{Address, Profile};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::statement::Sql;

const NAME: u8 = b'n';
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
    let names = names.into_iter().flatten().flat_map(words).map(|word| term(NAME, word.chars()));
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
    terms
}

/// Adds `WITH found AS (…) `, the ids of the contacts that a query finds; nothing for a blank query. `$1` is the workspace.
///
/// A query without anything to look for finds nobody.
pub(crate) fn with_found(statement: &mut Sql, query: Option<&str>) {
    let Some(query) = asked(query) else { return };
    statement
        .push("WITH found AS MATERIALIZED (SELECT i.contact_id FROM identity_addresses a JOIN identities i ")
        .push("ON i.workspace_id = $1 AND i.id = a.identity_id WHERE a.workspace_id = $1 AND a.value = ")
        .bind(query);
    let names: Vec<_> = words(query).iter().take(QUERY_WORDS).map(|word| term(NAME, word.chars())).collect();
    if !names.is_empty() && !query.starts_with('@') {
        statement.push(" UNION ALL ");
        for (at, name) in names.iter().enumerate() {
            if at > 0 {
                statement.push(" AND contact_id IN (");
            }
            range(statement, name);
        }
        statement.push(&")".repeat(names.len() - 1));
    }
    let is_one_word = !query.contains(char::is_whitespace);
    let digits: String = query.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    let is_number = query.chars().all(|c| c.is_ascii_digit() || " +-()./".contains(c));
    let others = [
        (is_one_word && !query.starts_with('@')).then(|| email(query)),
        is_one_word.then(|| username(query)),
        (is_number && digits.len() >= PHONE_DIGITS).then(|| phone(digits)),
    ];
    for prefix in others.iter().flatten().filter(|term| term.len() > 1) {
        statement.push(" UNION ALL ");
        range(statement, prefix);
    }
    statement.push(") ");
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

/// The contacts with a term of that prefix.
fn range(statement: &mut Sql, prefix: &[u8]) {
    statement
        .push("SELECT contact_id FROM contact_terms WHERE workspace_id = $1 AND term >= ")
        .bind(prefix.to_vec())
        .with(" AND term < ", after_prefix(prefix));
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
    fn a_number_is_kept_from_its_end() {
        let profile = Profile { phone: Some("+49 155 5010-0001".into()), ..Profile::default() };
        assert_eq!(terms(None, &profile, []), [b"p1000010555194".to_vec()]);
    }

    #[test]
    fn nobody_fills_the_index_alone() {
        let long: Vec<String> = (0..500).map(|n| format!("{n}{}", "x".repeat(200))).collect();
        let profile = Profile { name: Some(long.join(" ")), ..Profile::default() };
        let terms = terms(None, &profile, []);
        assert_eq!(terms.len(), TERMS);
        assert!(terms.iter().all(|term| term.len() <= 1 + 4 * TERM_CHARS));
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
