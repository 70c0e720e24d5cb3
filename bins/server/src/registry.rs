//! The platforms that this service speaks: one line each.

use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::{EndpointExt, Response};
use transom::channel::{Host, Platform};
use transom_desk::Registry;

macro_rules! platforms {
    ($($name:literal $platform:expr;)*) => {
        /// Their names.
        pub const NAMES: &[&str] = &[$($name,)*];

        /// All of them.
        pub fn registry() -> Registry {
            let all: [Arc<dyn Platform>; NAMES.len()] = [$(Arc::new($platform),)*];
            Registry::new(all)
        }
    };
}

platforms! {
    "email" transom::email::Email;
    "http" transom::http::Http;
    "instagram" transom::instagram::Instagram;
    "line" transom::line::Line;
    "messenger" transom::messenger::Messenger;
    "sms" transom::sms::Sms;
    "telegram" transom::telegram::Telegram;
    "tiktok" transom::tiktok::TikTok;
    "viber" transom::viber::Viber;
    "webchat" transom::webchat::WebChat;
    "wechat" transom::wechat::WeChat;
    "whatsapp" transom::whatsapp::WhatsApp;
}

/// The routes of the platforms that this service hosts itself, each with its path.
pub(crate) fn hosted(host: Arc<dyn Host>) -> Vec<(&'static str, BoxEndpoint<'static, Response>)> {
    vec![(transom::webchat::server::PATH, transom::webchat::server::routes(host).boxed())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_platform_is_listed_by_its_own_name() {
        let registry = registry();
        assert!(registry.iter().map(|platform| platform.name()).eq(NAMES.iter().copied()));
    }
}
