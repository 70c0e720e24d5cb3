//! Taking addresses and tokens out of the platform's words, which may repeat what we sent.

/// A run of digits of this length may be a phone number or somebody's id.
const ADDRESS_DIGITS: usize = 7;
/// A run of letters and digits of this length is no word.
const TOKEN_LENGTH: usize = 24;

/// The text without numbers and tokens that could name a person or open a door.
///
/// Error codes and parameter names stay.
///
/// ```
/// assert_eq!(transom_meta::redact("(#131030) +4915550100001 is not allowed"), "(#131030) … is not allowed");
/// ```
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() || matches!(c, '+' | '_' | '.' | '-' | '@') {
            run.push(c);
        } else {
            out.push_str(kept(&run));
            run.clear();
            out.push(c);
        }
    }
    out.push_str(kept(&run));
    out
}

fn kept(run: &str) -> &str {
    let digits = run.chars().filter(char::is_ascii_digit).count();
    let is_token = run.chars().count() >= TOKEN_LENGTH && (digits > 0 || run.chars().all(char::is_alphanumeric));
    if digits >= ADDRESS_DIGITS || is_token || run.contains('@') { "…" } else { run }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(
        "Param text['body'] must be at most 4096 characters long.",
        "Param text['body'] must be at most 4096 characters long."
    )]
    #[case("recipient 4915550100001 unknown", "recipient … unknown")]
    #[case("user DE.8800000000000001.", "user …")]
    #[case("token EAAGm0PX4ZCpsBAKZCinventedToken expired", "token … expired")]
    #[case("mail mara@example.com", "mail …")]
    #[case("biz_opaque_callback_data is too long", "biz_opaque_callback_data is too long")]
    #[case("", "")]
    fn addresses_and_tokens_go(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(redact(text), expected);
    }
}
