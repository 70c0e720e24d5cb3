//! Phone numbers: E.164 throughout (ITU-T E.164; sms.md 2 and 5).

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, Region};

/// Whether a text is a number in E.164 form, as Twilio checks it: a plus sign and 2 to 15 digits, the first not zero.
///
/// ```
/// use transom_sms::phone;
/// assert!(phone::is_e164("+12025550123"));
/// assert!(!phone::is_e164("12025550123") && !phone::is_e164("+0123") && !phone::is_e164("whatsapp:+12025550123"));
/// ```
pub fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (2..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// A number as people write it, in E.164 form; `region` is the ISO 3166-1 country to read a national number in.
///
/// `None` for what is no valid number. Addresses of other channels, such as `whatsapp:+1…`, are none either.
///
/// ```
/// use transom_sms::phone;
/// assert_eq!(phone::to_e164("+1 (202) 555-0123", None).as_deref(), Some("+12025550123"));
/// assert_eq!(phone::to_e164("0491 570 156", Some("AU")).as_deref(), Some("+61491570156"));
/// assert_eq!(phone::to_e164("0491 570 156", None), None);
/// ```
pub fn to_e164(text: &str, region: Option<&str>) -> Option<String> {
    if is_other_channel(text) {
        return None;
    }
    let region: Option<Region> = match region {
        Some(region) => Some(region.parse().ok()?),
        None => None,
    };
    let number = PHONE_NUMBER_UTIL.parse(text, region).ok()?;
    let valid = PHONE_NUMBER_UTIL.is_valid_number(&number);
    valid.then(|| PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).into_owned())
}

/// Whether an address is one of the other channels that Twilio carries by the same interface.
pub(crate) fn is_other_channel(address: &str) -> bool {
    address.split_once(':').is_some_and(|(scheme, _)| {
        ["whatsapp", "rcs", "messenger", "sip", "client"].iter().any(|other| scheme.eq_ignore_ascii_case(other))
    })
}

/// A toll-free number of the United States and Canada: the network handles its opt-outs (sms.md 1).
pub(crate) fn is_toll_free(number: &str) -> bool {
    let codes = ["+1800", "+1833", "+1844", "+1855", "+1866", "+1877", "+1888"];
    is_e164(number) && number.len() == 12 && codes.iter().any(|code| number.starts_with(code))
}
