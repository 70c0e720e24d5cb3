//! The text of a search, taken apart: words and fields, nothing looked up yet.

use std::fmt::{self, Write};

use super::fields::Field;
use super::{Problem, SearchError};

/// How many characters a search has at most (reliability rules, section 16).
pub const MAX_CHARS: usize = 200;
/// How many clauses a search has at most.
pub const MAX_CLAUSES: usize = 20;

/// A search: its clauses must all hold. Printed, it parses to the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchText {
    /// The clauses, in the order in which they stand.
    pub clauses: Vec<Clause>,
}

/// One clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clause {
    /// To be found: words that follow each other, or what stands between quotes.
    Words(Word),
    /// `field:value,value`, of which any will do; after a `-` none.
    Field {
        /// Whether the field must be so; if not, it must not.
        holds: bool,
        /// The field.
        field: Field,
        /// Where it stands.
        at: Place,
        /// Its values, at least one.
        values: Vec<Word>,
    },
    /// `custom.name:value,value`, of which any will do; after a `-` none.
    Custom {
        /// Whether the field must be so; if not, it must not.
        holds: bool,
        /// The field's name.
        name: Word,
        /// Its values, at least one.
        values: Vec<Word>,
    },
}

/// A text and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The text, without its quotes.
    pub text: String,
    /// Where it stands.
    pub at: Place,
}

/// The number of a character, from 1. Where things stand makes no two searches different.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place(pub usize);

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

impl SearchText {
    /// Takes a text apart.
    ///
    /// # Errors
    /// [`SearchError`] says where it can't be read, and why.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        if text.chars().count() > MAX_CHARS {
            return Err(SearchError::new(MAX_CHARS + 1, Problem::TooLong));
        }
        let mut reader = Reader { rest: text.chars().peekable(), at: 1 };
        let mut clauses: Vec<Clause> = Vec::new();
        let mut may_go_on = false;
        loop {
            reader.skip_spaces();
            let Some(next) = reader.peek() else { break };
            let at = reader.at;
            let clause = if next == '"' { Clause::Words(reader.quoted()?) } else { reader.clause()? };
            match (clauses.last_mut(), clause) {
                // Words that follow each other are one text: a name, or a number with its spaces.
                (Some(Clause::Words(before)), Clause::Words(word)) if may_go_on && next != '"' => {
                    before.text.push(' ');
                    before.text.push_str(&word.text);
                }
                (_, clause) => {
                    if clauses.len() == MAX_CLAUSES {
                        return Err(SearchError::new(at, Problem::TooManyClauses));
                    }
                    may_go_on = next != '"' && matches!(clause, Clause::Words(_));
                    clauses.push(clause);
                }
            }
        }
        Ok(Self { clauses })
    }
}

struct Reader<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    at: usize,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.at += usize::from(next.is_some());
        next
    }

    fn skip_spaces(&mut self) {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {
            self.at += 1;
        }
    }

    /// What ends at a space, or at one of these.
    fn until(&mut self, ends: &[char]) -> Word {
        let at = Place(self.at);
        let mut text = String::new();
        while let Some(next) = self.rest.next_if(|c| !c.is_whitespace() && !ends.contains(c)) {
            self.at += 1;
            text.push(next);
        }
        Word { text, at }
    }

    /// What stands between quotes; a `\` takes away what the next character means.
    fn quoted(&mut self) -> Result<Word, SearchError> {
        let at = self.at;
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => break,
                Some('\\') => text.extend(self.next()),
                Some(other) => text.push(other),
                None => return Err(SearchError::new(at, Problem::OpenQuote)),
            }
        }
        if text.trim().is_empty() {
            return Err(SearchError::new(at, Problem::EmptyQuote));
        }
        Ok(Word { text, at: Place(at) })
    }

    /// A field with its values, or a word.
    fn clause(&mut self) -> Result<Clause, SearchError> {
        let mut word = self.until(&[':', '"']);
        let bare = word.text.strip_prefix('-').unwrap_or(&word.text);
        match (after_custom(bare), self.peek()) {
            (Some(""), Some('"')) => {
                let holds = bare.len() == word.text.len();
                let name = self.quoted()?;
                if self.peek() != Some(':') {
                    return Err(SearchError::new(self.at, Problem::NoValue(custom(&name.text))));
                }
                return self.custom(holds, name);
            }
            (Some(name), Some(':')) if !name.is_empty() => {
                let at = Place(word.at.0 + word.text.chars().count() - name.chars().count());
                let (holds, name) = (bare.len() == word.text.len(), Word { text: name.to_owned(), at });
                return self.custom(holds, name);
            }
            (Some(_), Some(':')) => {
                let at = word.at.0 + word.text.chars().count() - bare.chars().count();
                return Err(SearchError::new(at, Problem::UnknownField(CUSTOM.to_owned())));
            }
            _ => {}
        }
        if word.text == "-" && self.peek() == Some('"') {
            return Err(SearchError::new(word.at.0, Problem::ExcludedWords));
        }
        if self.peek() != Some(':') || !is_name(word.text.trim_start_matches('-')) {
            word.text.push_str(&self.until(&[]).text);
            return Ok(Clause::Words(word));
        }
        self.next();
        let (holds, name) = word.text.strip_prefix('-').map_or((true, word.text.as_str()), |name| (false, name));
        let at = Place(word.at.0 + usize::from(!holds));
        let field = Field::named(name).ok_or_else(|| SearchError::new(at.0, Problem::UnknownField(name.to_owned())))?;
        if !holds && !field.may_be_excluded() {
            return Err(SearchError::new(word.at.0, Problem::NotExcludable(field)));
        }
        let values = self.values(field.name())?;
        if let (false, [_, second, ..]) = (field.takes_many(), values.as_slice()) {
            return Err(SearchError::new(second.at.0, Problem::OneValue(field)));
        }
        Ok(Clause::Field { holds, field, at, values })
    }

    /// The values of a custom field, behind its name.
    fn custom(&mut self, holds: bool, name: Word) -> Result<Clause, SearchError> {
        self.next();
        let values = self.values(&custom(&name.text))?;
        Ok(Clause::Custom { holds, name, values })
    }

    /// The values of a field, up to a space.
    fn values(&mut self, field: &str) -> Result<Vec<Word>, SearchError> {
        let mut values = Vec::new();
        loop {
            let value = if self.peek() == Some('"') { self.quoted()? } else { self.until(&[',', '"']) };
            if value.text.is_empty() {
                return Err(SearchError::new(value.at.0, Problem::NoValue(field.to_owned())));
            }
            values.push(value);
            if self.rest.next_if_eq(&',').is_none() {
                break;
            }
            self.at += 1;
        }
        match self.peek() {
            Some(next) if !next.is_whitespace() => Err(SearchError::new(self.at, Problem::NoSpace)),
            _ => Ok(values),
        }
    }
}

/// What stands before the name of a custom field.
const CUSTOM: &str = "custom.";

/// The name of a custom field as a search writes it.
pub(super) fn custom(name: &str) -> String {
    format!("{CUSTOM}{name}")
}

fn after_custom(text: &str) -> Option<&str> {
    let (prefix, name) = text.split_at_checked(CUSTOM.len())?;
    prefix.eq_ignore_ascii_case(CUSTOM).then_some(name)
}

/// Whether something before a `:` is meant as a field.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl fmt::Display for SearchText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, clause) in self.clauses.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { " " })?;
            match clause {
                Clause::Words(word) => quote(f, &word.text)?,
                Clause::Field { holds, field, values, .. } => {
                    f.write_str(if *holds { "" } else { "-" })?;
                    f.write_str(field.name())?;
                    write_values(f, values)?;
                }
                Clause::Custom { holds, name, values } => {
                    f.write_str(if *holds { CUSTOM } else { "-custom." })?;
                    quote(f, &name.text)?;
                    write_values(f, values)?;
                }
            }
        }
        Ok(())
    }
}

fn write_values(f: &mut fmt::Formatter<'_>, values: &[Word]) -> fmt::Result {
    for (at, value) in values.iter().enumerate() {
        f.write_char(if at == 0 { ':' } else { ',' })?;
        if value.text.chars().any(|c| c.is_whitespace() || matches!(c, ',' | '"' | '\\')) {
            quote(f, &value.text)?;
        } else {
            f.write_str(&value.text)?;
        }
    }
    Ok(())
}

fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for letter in text.chars() {
        if matches!(letter, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(letter)?;
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> SearchText {
        SearchText::parse(text).unwrap()
    }

    fn refused(text: &str) -> String {
        SearchText::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn words_and_fields_are_told_apart() {
        let read = parse(r#"status:closed jane  doe "O'Neil \"x\"" -label:vip,"big spender" 12:30 foo"#);
        assert_eq!(read.to_string(), r#"status:closed "jane doe" "O'Neil \"x\"" -label:vip,"big spender" "12:30 foo""#);
        assert_eq!(read.clauses.len(), 5);
        let read = parse(r#"custom.größe:M,"X L" -Custom."Order no":7 custom.note"#);
        assert_eq!(read.to_string(), r#"custom."größe":M,"X L" -custom."Order no":7 "custom.note""#);
        assert_eq!(parse("  ").clauses, []);
        assert_eq!(parse("+49 155 -5010").to_string(), "\"+49 155 -5010\"");
    }

    #[test]
    fn mistakes_are_shown_where_they_are() {
        assert!(refused("a stauts:open").starts_with("at character 3: there is no field `stauts`"));
        assert!(refused("tab:").starts_with("at character 5: `tab` needs a value"));
        assert!(refused("tab:open,").starts_with("at character 10:"));
        assert!(refused("a \"b").starts_with("at character 3: the quote is not closed"));
        assert!(refused("\" \"").starts_with("at character 1:"));
        assert!(refused("-\"b\"").starts_with("at character 1: words can't be excluded"));
        assert!(refused("x -blocked:yes").starts_with("at character 3: `blocked` can't be excluded"));
        assert!(refused("blocked:yes,no").starts_with("at character 13: `blocked` takes one value"));
        assert!(refused("label:\"a\"b").starts_with("at character 10: a space is missing"));
        assert!(refused("custom.:x").starts_with("at character 1: there is no field"), "{}", refused("custom.:x"));
        assert!(refused("custom.\"a b\"").starts_with("at character 13: `custom.a b` needs a value"));
        assert!(refused("-custom.age:").starts_with("at character 13: `custom.age` needs a value"));
        assert!(refused(&"a".repeat(201)).contains("200 characters"));
        assert!(refused(&"tab:all ".repeat(21)).contains("20 clauses"));
    }

    fn words() -> impl Strategy<Value = Word> {
        "[a-z\"\\\\,: äé王@+-]{0,8}[a-z0-9]".prop_map(|text| Word { text, at: Place(0) })
    }

    fn clauses() -> impl Strategy<Value = Clause> {
        let field =
            (proptest::sample::select(Field::ALL.to_vec()), any::<bool>(), proptest::collection::vec(words(), 1..3));
        let field = field.prop_map(|(field, holds, mut values)| {
            values.truncate(if field.takes_many() { 2 } else { 1 });
            Clause::Field { holds: holds || !field.may_be_excluded(), field, at: Place(0), values }
        });
        let custom = (any::<bool>(), words(), proptest::collection::vec(words(), 1..3));
        let custom = custom.prop_map(|(holds, name, values)| Clause::Custom { holds, name, values });
        prop_oneof![words().prop_map(Clause::Words), field, custom]
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(clauses in proptest::collection::vec(clauses(), 0..5)) {
            let search = SearchText { clauses };
            let printed = search.to_string();
            prop_assume!(printed.chars().count() <= MAX_CHARS);
            prop_assert_eq!(parse(&printed), search, "{}", printed);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[a-z:,\"\\\\ -]{0,40}|custom\\.[a-z:,\"\\\\ -]{0,20}|\\PC{0,40}") {
            if let Ok(search) = SearchText::parse(&text) {
                let printed = search.to_string();
                if printed.chars().count() <= MAX_CHARS {
                    prop_assert_eq!(parse(&printed), search);
                }
            }
        }
    }
}
