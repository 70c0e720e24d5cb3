//! Whatever comes in: no panic, the same answer twice, and nothing that could not be kept. Texts of all sorts are counted.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use time::macros::datetime;
use transom_channel::{Channel, Platform, Ports, RawInbound, SettingValues};
use transom_sms::{Encoding, Segments, Sms, phone};

static CHANNEL: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| {
    let settings = SettingValues::default()
        .with("account_sid", "AC00000000000000000000000000000001")
        .with("auth_token", "t")
        .with("sender", "+12025550199");
    Sms.connect(&settings, &Ports::system().unwrap()).unwrap()
});

/// Names and values that the parser looks for, so that chance finds its corners.
const NAMES: &str = "MessageSid SmsSid SmsMessageSid From To Body NumMedia MediaUrl0 MediaUrl1 MediaContentType0 SmsStatus \
    MessageStatus ErrorCode OptOutType MessagingServiceSid AccountSid";
const VALUES: &str = "SM1 +12025550123 whatsapp:+12025550123 STOP START HELP received receiving queued sent delivered undelivered \
    failed canceled 0 1 99999999999999999999 21610 30005 image/jpeg https://api.twilio.com/x";

fn one_of(words: &'static str) -> impl Strategy<Value = String> {
    let words: Vec<&str> = words.split_whitespace().collect();
    prop_oneof![5 => prop::sample::select(words).prop_map(str::to_owned), 1 => any::<String>()]
}

/// Reads it twice; what can be read has a key and an account, and comes out the same.
fn survives(raw: &RawInbound) -> Result<(), TestCaseError> {
    let read = CHANNEL.parse(raw);
    prop_assert_eq!(&read, &CHANNEL.parse(raw));
    for item in read.into_iter().flatten() {
        prop_assert!(!item.event_key.is_empty() && !item.account.is_empty(), "{:?}", item);
    }
    Ok(())
}

fn raw(body: Vec<u8>) -> RawInbound {
    RawInbound::new(body, datetime!(2026-11-20 10:00 UTC))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_bytes(body in prop::collection::vec(any::<u8>(), 0..300)) {
        survives(&raw(body))?;
    }

    #[test]
    fn any_form(fields in prop::collection::vec((one_of(NAMES), one_of(VALUES)), 0..12), query in prop::option::of(any::<String>())) {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        survives(&RawInbound { query: query.clone(), ..raw(form.clone().into_bytes()) })?;
        survives(&RawInbound { query: Some(form), ..raw(Vec::new()) })?;
    }

    /// A text takes room for all of its units, and never a whole segment more than packing needs.
    #[test]
    fn any_text(text in "[a-zA-Z€{é \u{20ac}\u{400}-\u{410}\u{1f600}-\u{1f610}]{0,400}") {
        let Segments { encoding, units, count } = Segments::of(&text);
        let (one, each) = match encoding { Encoding::Gsm7 => (160, 153), Encoding::Ucs2 => (70, 67) };
        if units <= one {
            prop_assert_eq!(count, 1);
        } else {
            // At most one unit of a segment stays empty, before a wide character.
            prop_assert!(count * each >= units && (count - 1) * (each - 1) < units, "{} {}", units, count);
        }
    }

    #[test]
    fn any_number(text in "[+0-9 ()a-z:.-]{0,30}", region in prop::option::of("[A-Z]{2}")) {
        let read = phone::to_e164(&text, region.as_deref());
        prop_assert!(read.is_none_or(|number| phone::is_e164(&number)));
    }
}
