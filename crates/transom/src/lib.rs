#![doc = include_str!("../README.md")]

pub use transom_channel as channel;
pub use transom_domain as domain;
#[cfg(feature = "email")]
pub use transom_email as email;
#[cfg(feature = "http")]
pub use transom_http as http;
#[cfg(feature = "instagram")]
pub use transom_instagram as instagram;
#[cfg(feature = "line")]
pub use transom_line as line;
#[cfg(feature = "messenger")]
pub use transom_messenger as messenger;
#[cfg(feature = "sms")]
pub use transom_sms as sms;
#[cfg(feature = "telegram")]
pub use transom_telegram as telegram;
#[cfg(feature = "tiktok")]
pub use transom_tiktok as tiktok;
#[cfg(feature = "viber")]
pub use transom_viber as viber;
#[cfg(feature = "webchat")]
pub use transom_webchat as webchat;
#[cfg(feature = "wechat")]
pub use transom_wechat as wechat;
#[cfg(feature = "whatsapp")]
pub use transom_whatsapp as whatsapp;
pub use transom_windows as windows;

/// What most programs need, by one `use`.
pub mod prelude {
    pub use transom_channel::{Channel, OutboundPart, Platform, Ports, Receipt, SendError, SettingValues};
    pub use transom_domain::{Address, Clock, Content, Identity, Ids, SystemClock, UuidV7};
    pub use transom_windows::{Ask, Category, Decision, Event, Facts, Policies, Policy, Sender, Subject};
}

/// The platforms of the enabled features, ready to be listed in a registry.
///
/// ```
/// let names: Vec<&str> = transom::platforms().iter().map(|platform| platform.name()).collect();
/// # #[cfg(feature = "telegram")]
/// assert!(names.contains(&"telegram"));
/// ```
pub fn platforms() -> Vec<std::sync::Arc<dyn channel::Platform>> {
    vec![
        #[cfg(feature = "email")]
        std::sync::Arc::new(email::Email),
        #[cfg(feature = "http")]
        std::sync::Arc::new(http::Http),
        #[cfg(feature = "instagram")]
        std::sync::Arc::new(instagram::Instagram),
        #[cfg(feature = "line")]
        std::sync::Arc::new(line::Line),
        #[cfg(feature = "messenger")]
        std::sync::Arc::new(messenger::Messenger),
        #[cfg(feature = "sms")]
        std::sync::Arc::new(sms::Sms),
        #[cfg(feature = "telegram")]
        std::sync::Arc::new(telegram::Telegram),
        #[cfg(feature = "tiktok")]
        std::sync::Arc::new(tiktok::TikTok),
        #[cfg(feature = "viber")]
        std::sync::Arc::new(viber::Viber),
        #[cfg(feature = "webchat")]
        std::sync::Arc::new(webchat::WebChat),
        #[cfg(feature = "wechat")]
        std::sync::Arc::new(wechat::WeChat),
        #[cfg(feature = "whatsapp")]
        std::sync::Arc::new(whatsapp::WhatsApp),
    ]
}
