//! Vectors that were made with the best-known client libraries; nothing in them comes from this code.

use std::sync::Arc;

use serde_json::json;
use transom_channel::conformance::chance::RECEIVED;
use transom_channel::conformance::vectors::{self, Told};
use transom_channel::{Channel, Item, Platform, Ports, SettingValues, Standing};
use transom_line::Line;

fn channel(secret: &str) -> Arc<dyn Channel> {
    let settings = SettingValues::default().with("channel_access_token", "t").with("channel_secret", secret);
    Line.connect(&settings, &Ports::system().unwrap()).unwrap()
}

#[test]
fn signatures_are_judged_as_the_libraries_do() {
    vectors::signatures(include_str!("../fixtures/signatures.json"), 18, RECEIVED, |vector| {
        channel(vectors::text(&vector["secrets"], "channel_secret"))
    });
}

#[test]
fn events_are_read_as_the_libraries_do() {
    vectors::parsing(include_str!("../fixtures/parsing.json"), 21, RECEIVED, &*channel("secret"), |vector, items| {
        // A block says twice what it means: blocked, and no longer a friend.
        let told = items.into_iter().filter(|item| item.item != Item::Standing(Standing::Unsubscribed));
        let told: Vec<Told> = told.map(Told::from).map(without_package).collect();
        for (told, expected) in told.iter().zip(vector["expect"].as_array_mut().unwrap()) {
            if let Some(event) = expected["event_id"].as_str() {
                assert_eq!(told.inbound.event_key, event);
            }
            // Conversations are with one person: a group's message is kept, and is no message here.
            if expected["chat_id"].is_string() {
                assert_eq!(told.inbound.person, None, "{expected}");
                expected["kind"] = json!("unsupported");
                expected["kind_alt"].take();
            }
        }
        told
    });
}

/// A sticker is named by its package too.
fn without_package(mut told: Told) -> Told {
    for file in &mut told.files {
        file.id = file.id.take().and_then(|id| id.rsplit('/').next().map(str::to_owned));
    }
    told
}
