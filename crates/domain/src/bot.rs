//! On which accounts a bot serves, and which messages it is told of.

use serde::{Deserialize, Serialize};
use time::{Time, Weekday};

use crate::ChannelAccountId;

/// A bot on an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotBinding {
    /// The account.
    pub account: ChannelAccountId,
    /// Whether it serves there.
    pub enabled: bool,
    /// Which messages it is told of.
    pub condition: BotCondition,
}

/// Which messages a bot is told of. All fields must hold; an empty one says nothing, of several values any will do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BotCondition {
    /// Only the first that the contact ever wrote, on whatever channel.
    pub first_message: bool,
    /// In which one of these stands as words of their own, whatever their case.
    pub keywords: Vec<String>,
    /// Of a contact who has one of these labels.
    pub labels: Vec<String>,
    /// In these hours.
    pub hours: Option<Hours>,
}

/// Hours of the week, by the clock of a time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// The zone, by its name in the IANA database.
    pub time_zone: String,
    /// When; any will do.
    pub spans: Vec<HourSpan>,
}

/// The same hours on some days of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HourSpan {
    /// The days on which it begins.
    pub days: Vec<Weekday>,
    /// When it begins.
    pub from: Time,
    /// When it is over: at that minute already. Not after `from`, it is over on the next day.
    pub to: Time,
}

impl Hours {
    /// Whether it is one of these hours, where it is this time on this day.
    pub fn hold(&self, day: Weekday, time: Time) -> bool {
        self.spans.iter().any(|span| span.holds(day, time))
    }
}

impl HourSpan {
    fn holds(&self, day: Weekday, time: Time) -> bool {
        if self.from < self.to {
            return self.days.contains(&day) && self.from <= time && time < self.to;
        }
        (self.days.contains(&day) && self.from <= time) || (self.days.contains(&day.previous()) && time < self.to)
    }
}

impl BotCondition {
    /// Whether a text has one of the keywords; true without any.
    pub fn has_keyword(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.keywords.is_empty() || self.keywords.iter().any(|word| stands_in(&word.to_lowercase(), &text))
    }

    /// Whether a contact has one of the labels; true without any.
    pub fn has_label(&self, labels: &[String]) -> bool {
        self.labels.is_empty() || self.labels.iter().any(|label| labels.contains(label))
    }
}

/// Whether a word stands in a text, not as a part of another. Scripts without cases write no spaces: there a part will do.
fn stands_in(word: &str, text: &str) -> bool {
    let of_one = |a: char, b: char| [a, b].iter().all(|c| c.is_lowercase() || c.is_numeric());
    !word.is_empty()
        && text.match_indices(word).any(|(at, found)| {
            let (before, after) =
                (text.get(..at).unwrap_or_default(), text.get(at + found.len()..).unwrap_or_default());
            let joins = |left: &str, right: &str| {
                left.chars().next_back().zip(right.chars().next()).is_some_and(|(a, b)| of_one(a, b))
            };
            !joins(before, found) && !joins(found, after)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use time::macros::time;

    #[rstest]
    #[case("hi", "Hi there", true)]
    #[case("hi", "this", false)]
    #[case("hi", "this, hi!", true)]
    #[case("order status", "my ORDER STATUS please", true)]
    #[case("ÄRGER", "nur ärger", true)]
    #[case("返品", "返品したいです", true)]
    #[case("42", "call 420", false)]
    #[case("", "anything", false)]
    fn a_keyword_stands_for_itself(#[case] word: &str, #[case] text: &str, #[case] found: bool) {
        let condition = BotCondition { keywords: vec![word.to_owned()], ..BotCondition::default() };
        assert_eq!(condition.has_keyword(text), found, "{word} in {text}");
    }

    #[test]
    fn nothing_asked_for_is_had_by_all() {
        let anything = BotCondition::default();
        assert!(anything.has_keyword("") && anything.has_label(&[]));
        let vip = BotCondition { labels: vec!["vip".into()], ..anything };
        assert!(vip.has_label(&["new".into(), "vip".into()]) && !vip.has_label(&["new".into()]));
    }

    #[rstest]
    #[case(time!(9:00), time!(17:00), Weekday::Monday, time!(9:00), true)]
    #[case(time!(9:00), time!(17:00), Weekday::Monday, time!(17:00), false)]
    #[case(time!(9:00), time!(17:00), Weekday::Tuesday, time!(12:00), false)]
    #[case(time!(22:00), time!(6:00), Weekday::Monday, time!(23:00), true)]
    #[case(time!(22:00), time!(6:00), Weekday::Tuesday, time!(5:59), true)]
    #[case(time!(22:00), time!(6:00), Weekday::Monday, time!(5:59), false)]
    #[case(time!(0:00), time!(0:00), Weekday::Monday, time!(23:59), true)]
    fn a_night_belongs_to_the_day_on_which_it_begins(
        #[case] from: Time,
        #[case] to: Time,
        #[case] day: Weekday,
        #[case] at: Time,
        #[case] holds: bool,
    ) {
        let spans = vec![HourSpan { days: vec![Weekday::Monday], from, to }];
        assert_eq!(Hours { time_zone: "UTC".into(), spans }.hold(day, at), holds);
    }
}
