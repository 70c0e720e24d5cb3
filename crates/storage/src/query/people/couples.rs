//! Couples: whoever has a name of two words is reached from both together, where each of them is a common one.
//!
//! Every two words of a contact's names are a term of their own: the first character of the smaller one, all of the larger one, the
//! rest of the smaller one. Two words of a query are a range of such terms, within which the rest is compared. Names of many words,
//! such as those of scripts in which a word begins at each character, have a term for each of them instead: of the few who have one
//! of two words there, it is looked up whether they have the other.

use super::search::{NAME, after_prefix};
use super::statement::Sql;

const COUPLE: u8 = b'c';
/// Names hold no such signs.
const LARGER: u8 = b'+';
const REST: u8 = b'-';
/// Seven words would be 21 couples: more than all other terms of most people.
const WORDS: usize = 6;
/// How the terms of names with more words begin, one for each word; whoever was there before there were couples has them too.
const MANY: [u8; 2] = [COUPLE, b'*'];

/// Whether a term is of this kind: nothing that anybody searches for.
pub(super) fn is_couple(term: &[u8]) -> bool {
    term.first() == Some(&COUPLE)
}

/// Every two of them, in their order.
pub(super) fn pairs<T>(items: &[T]) -> impl Iterator<Item = (&T, &T)> {
    items.iter().enumerate().flat_map(|(at, item)| items.iter().skip(at + 1).map(move |next| (item, next)))
}

/// The couples among a contact's terms, which are sorted.
pub(super) fn of_terms(terms: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let words: Vec<&[u8]> = terms.iter().filter_map(|term| term.strip_prefix(&[NAME])).collect();
    if words.len() > WORDS {
        return words.iter().map(|word| [&MANY, *word].concat()).collect();
    }
    let couple = |(smaller, larger): (&&[u8], &&[u8])| {
        let (beginning, rest) = beginning(smaller, larger);
        [beginning.as_slice(), &[REST], rest].concat()
    };
    pairs(&words).map(couple).collect()
}

/// How the terms of two words begin, and the rest of the smaller one.
fn beginning<'a>(smaller: &'a [u8], larger: &[u8]) -> (Vec<u8>, &'a [u8]) {
    let is_inside = |byte: &&u8| **byte & 0b1100_0000 == 0b1000_0000;
    let first = smaller.len().min(1 + smaller.iter().skip(1).take_while(is_inside).count());
    let (first, rest) = smaller.split_at(first);
    ([&[COUPLE], first, &[LARGER], larger].concat(), rest)
}

/// How the term of a word begins, in names of more words than are coupled. Whoever has a word that begins so is among them.
pub(super) fn of_many(word: &[u8]) -> Vec<u8> {
    [&MANY, word.strip_prefix(&[NAME]).unwrap_or_default()].concat()
}

/// Adds ` AND …`: the terms `t` of whoever has names that begin with these two. Neither begins with the other: so they are two words,
/// in the same order as these.
pub(super) fn in_range(statement: &mut Sql, [smaller, larger]: [&[u8]; 2]) {
    let word = |term: &[u8]| term.strip_prefix(&[NAME]).unwrap_or_default().to_vec();
    let (smaller, larger) = (word(smaller), word(larger));
    let (beginning, rest) = beginning(&smaller, &larger);
    statement.with(" AND t.term >= ", beginning.clone()).with(" AND t.term < ", after_prefix(&beginning));
    if !rest.is_empty() {
        // Words hold none of the signs that `LIKE` knows, and no upper case.
        statement.with(" AND t.term LIKE ", [b"%-".as_slice(), rest, b"%"].concat());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn terms(words: &BTreeSet<String>) -> Vec<Vec<u8>> {
        words.iter().map(|word| [&[NAME], word.as_bytes()].concat()).collect()
    }

    fn texts(terms: &[Vec<u8>]) -> Vec<String> {
        terms.iter().map(|term| String::from_utf8_lossy(term).into_owned()).collect()
    }

    #[test]
    fn every_two_words_are_a_term() {
        let words = ["ana", "li", "örn"].map(str::to_owned).into();
        assert_eq!(texts(&of_terms(&terms(&words))), ["ca+li-na", "ca+örn-na", "cl+örn-i"]);
        let one = BTreeSet::from(["ana".to_owned()]);
        assert!(of_terms(&terms(&one)).is_empty());
        let seven = (0..7).map(|n| n.to_string()).collect();
        assert_eq!(texts(&of_terms(&terms(&seven))), ["c*0", "c*1", "c*2", "c*3", "c*4", "c*5", "c*6"]);
        // What is no name has no part in it.
        assert!(of_terms(&[b"emara@example.org".to_vec(), b"nmara".to_vec(), b"umara".to_vec()]).is_empty());
    }

    proptest! {
        /// The range and the rest, as the databases compare them, are those who have both words.
        #[test]
        fn two_words_lead_to_whoever_has_them(
            words in prop::collection::btree_set("[abäż王]{1,4}", 1..6),
            (one, other) in ("[abäż王]{1,3}", "[abäż王]{1,3}"),
        ) {
            prop_assume!(!one.starts_with(&other) && !other.starts_with(&one));
            let (smaller, larger) = if one < other { (&one, &other) } else { (&other, &one) };
            let (beginning, rest) = beginning(smaller.as_bytes(), larger.as_bytes());
            let rest = [&[REST], rest].concat();
            let leads = |term: &Vec<u8>| {
                (&beginning..&after_prefix(&beginning)).contains(&term) && term.windows(rest.len()).any(|part| part == rest)
            };
            let is_led_to = of_terms(&terms(&words)).iter().any(leads);
            let has = |beginning: &String| words.iter().any(|word| word.starts_with(beginning));
            prop_assert_eq!(is_led_to, has(&one) && has(&other));
        }

        /// So are names of many words, from either of the two.
        #[test]
        fn each_word_leads_to_names_of_many(
            words in prop::collection::btree_set("[abäż王]{1,4}", WORDS + 1..12),
            beginning in "[abäż王]{1,3}",
        ) {
            let of = of_many(&[&[NAME], beginning.as_bytes()].concat());
            let is_led_to = of_terms(&terms(&words)).iter().any(|term| (&of..&after_prefix(&of)).contains(&term));
            prop_assert_eq!(is_led_to, words.iter().any(|word| word.starts_with(&beginning)));
        }
    }
}
