//! Vectors that were made with the best-known client libraries; nothing in them comes from this code.

use std::sync::Arc;

use serde_json::json;
use transom_channel::conformance::chance::RECEIVED;
use transom_channel::conformance::vectors::{self, Told};
use transom_channel::{Channel, Inbound, Item, OptOutScope, Platform, Ports, SettingValues, Standing};
use transom_sms::{Encoding, Segments, Sms, phone};

fn channel(settings: &[(&str, &str)]) -> Arc<dyn Channel> {
    let base = SettingValues::default()
        .with("account_sid", "AC00000000000000000000000000000001")
        .with("auth_token", "t")
        .with("sender", "+12025550199");
    let settings = settings.iter().fold(base, |all, (name, value)| all.with(*name, *value));
    Sms.connect(&settings, &Ports::system().unwrap()).unwrap()
}

#[test]
fn signatures_are_judged_as_the_libraries_do() {
    vectors::signatures(include_str!("../fixtures/signatures.json"), 45, RECEIVED, |vector| {
        let secret = |name: &str| vectors::text(&vector["secrets"], name);
        // Twilio signs the address letter by letter as it was entered; our own host is always in lower case.
        let url = if vectors::text(vector, "case").contains("host-upper") { vectors::text(vector, "url") } else { "" };
        channel(&[
            ("auth_token", secret("auth_token")),
            ("signing_key_id", secret("shared_key_id")),
            ("signing_key_secret", secret("shared_key_secret")),
            ("webhook_url", url),
        ])
    });
}

#[test]
fn calls_are_read_as_the_libraries_do() {
    vectors::parsing(include_str!("../fixtures/parsing.json"), 16, RECEIVED, &*channel(&[]), |vector, items| {
        let (standings, items): (Vec<Inbound>, Vec<Inbound>) =
            items.into_iter().partition(|item| matches!(item.item, Item::Standing(_)));
        let standing = match vector["expect"][0]["opt_out"].as_str() {
            Some("STOP") => vec![Item::Standing(Standing::OptedOut(OptOutScope::All))],
            Some("START") => vec![Item::Standing(Standing::OptedIn(OptOutScope::All))],
            _ => Vec::new(),
        };
        assert_eq!(standings.into_iter().map(|item| item.item).collect::<Vec<_>>(), standing, "{}", vector["id"]);
        if vectors::is_tagged(vector, "channel-prefix") {
            // Another channel over the same interface: kept, and not read as a text message (sms.md 5).
            vector["expect"][0]["kind"] = json!("unsupported");
        }
        items.into_iter().map(Told::from).collect()
    });
}

#[test]
fn segments_are_counted_as_the_libraries_do() {
    vectors::judge(include_str!("../fixtures/sms_segments.json"), 39, |vector| {
        let expect = &vector["expect"];
        let encoding = if expect["encoding"] == "GSM-7" { Encoding::Gsm7 } else { Encoding::Ucs2 };
        let number = |name: &str| u32::try_from(expect[name].as_u64().unwrap()).unwrap();
        let expected = Segments { encoding, units: number("units"), count: number("segments") };
        let seen = Segments::of(vectors::text(vector, "text"));
        if seen == expected { Vec::new() } else { vec![format!("{seen:?}")] }
    });
}

#[test]
fn numbers_are_read_as_the_libraries_do() {
    vectors::judge(include_str!("../fixtures/phone_numbers.json"), 45, |vector| {
        let read = phone::to_e164(vectors::text(vector, "input"), vector["default_region"].as_str());
        // The libraries take the channel away from the front; here it is another channel.
        let expected = vector["expect"]["e164"].as_str().filter(|_| vector["id"] != "phone-whatsapp-prefix");
        let is_right = read.as_deref() == expected && read.iter().all(|number| phone::is_e164(number));
        if is_right { Vec::new() } else { vec![format!("{read:?}")] }
    });
}
