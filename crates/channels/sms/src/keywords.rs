//! STOP, START and HELP (sms.md 1).

use crate::phone;

/// What a customer's text means for the permission to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    /// No more of anything.
    Stop,
    /// Again.
    Start,
    /// Who is this? The provider answers.
    Help,
}

const STOP: [&str; 8] = ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"];
const START: [&str; 3] = ["START", "YES", "UNSTOP"];
const HELP: [&str; 2] = ["HELP", "INFO"];

impl Keyword {
    /// The keyword that a whole text is: case and blanks around it do not matter, a word more does.
    ///
    /// A toll-free number of ours knows fewer: there the network decides.
    pub(crate) fn of(text: &str, our_number: &str) -> Option<Self> {
        let text = text.trim();
        let is_one_of = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
        let (stop, start): (&[&str], &[&str]) =
            if phone::is_toll_free(our_number) { (&["STOP"], &["START", "UNSTOP"]) } else { (&STOP, &START) };
        match () {
            () if is_one_of(stop) => Some(Keyword::Stop),
            () if is_one_of(start) => Some(Keyword::Start),
            () if is_one_of(&HELP) => Some(Keyword::Help),
            () => None,
        }
    }

    /// The provider's own word for it, where it gives one.
    pub(crate) fn named(word: &str) -> Option<Self> {
        match word {
            "STOP" => Some(Keyword::Stop),
            "START" => Some(Keyword::Start),
            "HELP" => Some(Keyword::Help),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const LONG_CODE: &str = "+12025550199";
    const TOLL_FREE: &str = "+18885550199";

    #[rstest]
    #[case("STOP", LONG_CODE, Some(Keyword::Stop))]
    #[case(" stop\r\n", LONG_CODE, Some(Keyword::Stop))]
    #[case("OptOut", LONG_CODE, Some(Keyword::Stop))]
    #[case("stop please", LONG_CODE, None)]
    #[case("yes", LONG_CODE, Some(Keyword::Start))]
    #[case("INFO", LONG_CODE, Some(Keyword::Help))]
    #[case("ARRET", LONG_CODE, None)]
    #[case("", LONG_CODE, None)]
    #[case("stop", TOLL_FREE, Some(Keyword::Stop))]
    #[case("quit", TOLL_FREE, None)]
    #[case("yes", TOLL_FREE, None)]
    #[case("unstop", TOLL_FREE, Some(Keyword::Start))]
    #[case("help", TOLL_FREE, Some(Keyword::Help))]
    fn the_whole_text_is_the_keyword(#[case] text: &str, #[case] number: &str, #[case] keyword: Option<Keyword>) {
        assert_eq!(Keyword::of(text, number), keyword);
    }
}
