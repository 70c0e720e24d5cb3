#![doc = include_str!("../README.md")]

pub use transom_channel as channel;
pub use transom_domain as domain;
pub use transom_windows as windows;

/// What most programs need, by one `use`.
pub mod prelude {
    pub use transom_channel::{Channel, OutboundPart, Platform, Ports, Receipt, SendError, SettingValues};
    pub use transom_domain::{Address, Clock, Content, Identity, Ids, SystemClock, UuidV7};
    pub use transom_windows::{Ask, Category, Decision, Event, Facts, Policies, Policy, Sender, Subject};
}

macro_rules! channels {
    ($($feature:literal $channel:ident = $from:ident $platform:ident;)*) => {
        $(
            #[cfg(feature = $feature)]
            pub use $from as $channel;
        )*

        /// The platforms of the enabled features, ready to be listed in a registry.
        ///
        /// ```
        /// let names: Vec<&str> = transom::platforms().iter().map(|platform| platform.name()).collect();
        /// # #[cfg(feature = "telegram")]
        /// assert!(names.contains(&"telegram"));
        /// ```
        pub fn platforms() -> Vec<std::sync::Arc<dyn channel::Platform>> {
            vec![
                $(
                    #[cfg(feature = $feature)]
                    std::sync::Arc::new($channel::$platform),
                )*
            ]
        }
    };
}

// Feature, module, crate, platform: one line each.
channels! {
    "email" email = transom_email Email;
    "http" http = transom_http Http;
    "instagram" instagram = transom_instagram Instagram;
    "line" line = transom_line Line;
    "messenger" messenger = transom_messenger Messenger;
    "sms" sms = transom_sms Sms;
    "telegram" telegram = transom_telegram Telegram;
    "tiktok" tiktok = transom_tiktok TikTok;
    "viber" viber = transom_viber Viber;
    "webchat" webchat = transom_webchat WebChat;
    "wechat" wechat = transom_wechat WeChat;
    "whatsapp" whatsapp = transom_whatsapp WhatsApp;
}
