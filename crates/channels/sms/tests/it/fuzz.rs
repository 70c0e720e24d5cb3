//! Whatever comes in: no panic, the same answer twice, and nothing that could not be kept. Texts of all sorts are counted.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use transom_channel::conformance::{chance, vectors};
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

fn raw(body: impl Into<Vec<u8>>) -> RawInbound {
    RawInbound::new(body.into(), chance::RECEIVED)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_bytes(body in chance::bytes()) {
        chance::read(&**CHANNEL, body)?;
    }

    #[test]
    fn damaged(body in chance::damaged(vectors::bodies(include_str!("../fixtures/parsing.json")))) {
        chance::read(&**CHANNEL, body)?;
    }

    #[test]
    fn any_form(fields in prop::collection::vec((chance::word(NAMES), chance::word(VALUES)), 0..12), query in prop::option::of(any::<String>())) {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        chance::read_raw(&**CHANNEL, &RawInbound { query, ..raw(form.clone()) })?;
        chance::read_raw(&**CHANNEL, &RawInbound { query: Some(form), ..raw("") })?;
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
