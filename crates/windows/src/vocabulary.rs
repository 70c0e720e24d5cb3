//! The few words that are the same for every platform: who sends, what kind of template, whose country.
//!
//! Everything else (kinds of events, tags, features, quotas, grants) is named by the policies.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A person on one channel account, as the engine sees them: a number that says nothing.
///
/// A [`Permit`](crate::Permit) is stamped with it, so that it cannot let a message through to somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(u128);

impl Subject {
    /// Any number that stands for this person on this account and for nobody else, such as the bits of a UUID.
    pub const fn new(id: u128) -> Self {
        Self(id)
    }

    /// The number it was made of.
    pub const fn id(self) -> u128 {
        self.0
    }
}

/// A word that was none of those expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {what}: {expected} is expected")]
pub struct UnknownWord {
    given: String,
    what: &'static str,
    expected: String,
}

/// A closed set of words: the enum, its text both ways, serde, and a set of them in one byte.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $(#[$set_doc:meta])* $set:ident, $what:literal { $($(#[$word_doc:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$word_doc])* $word,)* }

        impl $name {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$word,)*];

            /// The word as it stands in policies and JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$word => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or_else(|| UnknownWord {
                    given: text.chars().take(64).collect(),
                    what: $what,
                    expected: one_of(Self::ALL.iter().map(|word| word.as_str())),
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        $(#[$set_doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $set(u8);

        impl $set {
            /// None of them.
            pub const NONE: Self = Self(0);
            /// All of them.
            pub const ALL: Self = Self($(1 << $name::$word as u8 |)* 0);

            /// This set with one more.
            #[must_use]
            pub const fn with(self, word: $name) -> Self {
                Self(self.0 | 1 << word as u8)
            }

            /// Whether it holds that one.
            pub const fn contains(self, word: $name) -> bool {
                self.0 & (1 << word as u8) != 0
            }

            /// Whether it holds nothing.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// What both hold.
            #[must_use]
            pub const fn and(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }

            /// What this one holds and the other doesn't.
            #[must_use]
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// Its members, in order.
            pub fn iter(self) -> impl Iterator<Item = $name> {
                $name::ALL.iter().copied().filter(move |word| self.contains(*word))
            }
        }

        impl FromIterator<$name> for $set {
            fn from_iter<I: IntoIterator<Item = $name>>(words: I) -> Self {
                words.into_iter().fold(Self::NONE, Self::with)
            }
        }

        impl fmt::Debug for $set {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_set().entries(self.iter()).finish()
            }
        }

        impl Serialize for $set {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.iter())
            }
        }

        impl<'de> Deserialize<'de> for $set {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Vec::<$name>::deserialize(deserializer)?.into_iter().collect())
            }
        }
    };
}

/// `a`, `b` or `c`.
pub(crate) fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

words! {
    /// Who writes: platforms tell a person's answer from a machine's.
    Sender,
    /// A set of senders.
    SenderSet, "a sender" {
        /// A person who answers this customer.
        Human = "human",
        /// A program that converses.
        Bot = "bot",
        /// A message that no person and no conversation made: timed, sent by a rule, a survey.
        Automation = "automation",
        /// One text to many people, whoever wrote it.
        Broadcast = "broadcast",
    }
}

words! {
    /// What a message is about, as the platforms that approve templates tell it apart.
    Category,
    /// A set of categories.
    CategorySet, "a category" {
        /// Offers, news, anything that promotes.
        Marketing = "marketing",
        /// About something that the customer ordered, booked or asked for.
        Utility = "utility",
        /// A code that proves who somebody is.
        Authentication = "authentication",
    }
}

words! {
    /// How much an opt-out covers.
    OptOutScope,
    /// A set of opt-out scopes.
    OptOutScopes, "a scope of an opt-out" {
        /// Marketing, and mail that nobody asked for.
        Marketing = "marketing",
        /// Every message.
        All = "all",
    }
}

words! {
    /// Who blocked whom.
    Blocker,
    /// A set of those who block.
    Blockers, "who blocked" {
        /// We blocked the customer.
        Us = "by_us",
        /// The customer blocked us.
        Customer = "by_customer",
    }
}

/// A country by its two letters (ISO 3166-1 alpha-2), such as `AT`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// Its two letters.
    pub fn as_str(&self) -> &str {
        // Only ASCII letters get in, so this never falls back.
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl FromStr for Country {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match *text.as_bytes() {
            [first @ b'A'..=b'Z', second @ b'A'..=b'Z'] => Ok(Self([first, second])),
            _ => Err(UnknownWord {
                given: text.chars().take(64).collect(),
                what: "a country",
                expected: "two capital letters of ISO 3166-1, such as `AT`,".to_owned(),
            }),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What somebody wants to send.
///
/// ```
/// use transom_windows::{Ask, Category, Sender};
///
/// let ask = Ask::by(Sender::Broadcast).category(Category::Marketing).cost(2);
/// assert_eq!(ask.sender(), Sender::Broadcast);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ask {
    sender: Sender,
    category: Option<Category>,
    cost: u32,
}

impl Ask {
    /// A message of no particular category that costs one.
    pub const fn by(sender: Sender) -> Self {
        Self { sender, category: None, cost: 1 }
    }

    /// Says what the message is about. Without it, every template and every free text is asked about at once.
    #[must_use]
    pub const fn category(self, category: Category) -> Self {
        Self { category: Some(category), ..self }
    }

    /// Says how many requests, or recipients, the message takes in the unit in which a quota counts. At least 1.
    #[must_use]
    pub const fn cost(self, cost: u32) -> Self {
        Self { cost: if cost == 0 { 1 } else { cost }, ..self }
    }

    /// Who writes.
    pub const fn sender(self) -> Sender {
        self.sender
    }

    /// What it is about, if that was said.
    pub const fn about(self) -> Option<Category> {
        self.category
    }

    /// What it costs.
    pub const fn costs(self) -> u32 {
        self.cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_text_and_a_wrong_one_says_what_is_expected() {
        for sender in Sender::ALL {
            assert_eq!(sender.as_str().parse(), Ok(*sender));
        }
        let error = "robot".parse::<Sender>().unwrap_err().to_string();
        assert_eq!(error, "`robot` is not a sender: `human`, `bot`, `automation` or `broadcast` is expected");
        assert!("at".parse::<Country>().unwrap_err().to_string().contains("ISO 3166-1"));
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let set: SenderSet = [Sender::Bot, Sender::Human].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [Sender::Human, Sender::Bot]);
        assert_eq!(SenderSet::ALL.without(set).iter().count(), 2);
    }
}
