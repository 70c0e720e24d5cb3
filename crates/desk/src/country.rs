//! The country of a person: some rights do not exist in some countries.

use rlibphonenumber::PHONE_NUMBER_UTIL;
use time::OffsetDateTime;
use transom_domain::Identity;
use transom_windows::{Country, Event, What};

/// What the rule engine is told of a person's country: older than all that anybody else tells of it.
pub(crate) fn event(identity: &Identity) -> Option<Event> {
    let what = What::Country { country: Some(of(identity.address("phone")?)?) };
    Some(Event { at: OffsetDateTime::UNIX_EPOCH, what })
}

/// The country that a number tells. One of the North American plan that no other country is known to have counts as one of the
/// United States: new areas are theirs more often than not, and what is refused there costs more than what is withheld.
fn of(phone: &str) -> Option<Country> {
    let phone = format!("+{}", phone.trim_start_matches('+'));
    let number = PHONE_NUMBER_UTIL.parse(&phone, None).ok()?;
    let region = PHONE_NUMBER_UTIL.get_region_for_number(&number).map(|region| region.to_string());
    region.or_else(|| phone.starts_with("+1").then(|| "US".to_owned()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("+4915550100001", Some("DE"))]
    #[case("491735550100", Some("DE"))]
    #[case("+12125550100", Some("US"))]
    #[case("+16135550100", Some("CA"))]
    #[case("+17875550100", Some("PR"))]
    #[case("+15550100001", Some("US"))]
    #[case("+77015550100", Some("KZ"))]
    #[case("+88213555010", None)]
    #[case("anna", None)]
    fn a_number_tells_a_country(#[case] phone: &str, #[case] country: Option<&str>) {
        assert_eq!(of(phone), country.map(|country| country.parse().unwrap()));
    }
}
