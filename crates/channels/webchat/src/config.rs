//! What must be told to connect a widget.

mod origin;

use std::fmt;

use secrecy::SecretString;
use time::Duration;
use transom_channel::{SettingField, SettingScope, SettingValues, SettingsError};
use transom_domain::ChannelAccountId;

pub(crate) use origin::Origin;

use crate::proof::IdentitySecret;

const WIDGET_ID: &str = "widget_id";
const EVENT_SECRET: &str = "event_secret";
const ORIGINS: &str = "origins";
const IDENTITY_SECRETS: &str = "identity_secrets";
const REQUIRE_VERIFICATION: &str = "require_verification";
const APP_KEYS: &str = "app_keys";
const TITLE: &str = "title";
const COLOR: &str = "color";
const GREETING: &str = "greeting";
const ONLINE: &str = "online";
const EXPECTED_REPLY: &str = "expected_reply";
const UPLOADS: &str = "uploads";
const VISITS: &str = "visits";
const FALLBACK_CHANNEL: &str = "fallback_channel";
const FALLBACK_MINUTES: &str = "fallback_minutes";
const FALLBACK_SUBJECT: &str = "fallback_subject";

/// The shortest secret that is taken: 128 bits in base64 are longer.
const SHORTEST_SECRET: usize = 16;
/// Secrets for identities at one time: the old and the new one while they are changed (webchat.md 3).
const MOST_SECRETS: usize = 2;
/// How long a message waits to be read before a letter brings it, in minutes (webchat.md 4), and how long it may at most.
const FALLBACK_UNLESS_SET: i64 = 5;
const LONGEST_FALLBACK: i64 = 24 * 60;
/// The subject of letters where neither that nor a title is set.
const BARE_SUBJECT: &str = "Chat";
/// The longest subject, in characters.
const LONGEST_SUBJECT: usize = 200;

const fn field(name: &'static str, label: &'static str, help: &'static str) -> SettingField {
    SettingField {
        name,
        label,
        help,
        secret: false,
        scope: SettingScope::Account,
        required: false,
        external_key: false,
    }
}

pub(crate) const SETTINGS: &[SettingField] = &[
    SettingField {
        required: true,
        external_key: true,
        ..field(WIDGET_ID, "Widget id", "a name of your choice, such as wgt_1: it is the audience of JWTs")
    },
    SettingField {
        secret: true,
        required: true,
        scope: SettingScope::Connection,
        ..field(
            EVENT_SECRET,
            "Event secret",
            "signs what visitors do; at least 16 random characters, known to nobody else. While it is changed, new and old with \
             a blank between them",
        )
    },
    field(
        ORIGINS,
        "Origins",
        "the sites that may show the widget, with blanks between: https://shop.example, or https://*.shop.example for every \
         name one level below",
    ),
    SettingField {
        secret: true,
        ..field(
            IDENTITY_SECRETS,
            "Identity secrets",
            "what the site proves with who a visitor is: one secret, or two with a blank between them while it is changed. \
             `name:secret` answers to a JWT's `kid`",
        )
    },
    field(
        REQUIRE_VERIFICATION,
        "Require verification",
        "yes (unless set): an id of a person without a proof is refused; no: such a visitor stays a stranger",
    ),
    SettingField {
        secret: true,
        ..field(APP_KEYS, "App keys", "keys of your mobile apps, which send no origin; with blanks between")
    },
    field(TITLE, "Title", "what stands above the chat; the channel's name unless set"),
    field(COLOR, "Colour", "of the widget, as #rrggbb"),
    field(GREETING, "Greeting", "shown before anybody has written"),
    field(ONLINE, "Online", "yes (unless set) or no: whether the widget says that somebody is there"),
    field(EXPECTED_REPLY, "Expected reply", "in words, such as `a few minutes`"),
    field(UPLOADS, "Uploads", "yes (unless set) or no: whether visitors may send files"),
    field(
        VISITS,
        "Visits",
        "yes or no (unless set): whether a visitor who has the chat open becomes a contact before they write, so that they can \
         be invited",
    ),
    field(
        FALLBACK_CHANNEL,
        "Fallback channel",
        "the id of an email channel: what nobody comes to read goes from there to the visitor's address, if they left one; \
         nothing does unless set",
    ),
    field(
        FALLBACK_MINUTES,
        "Fallback after",
        "for how many minutes a message waits to be read and its visitor is away before that, from 1 to 1440; 5 unless set",
    ),
    field(
        FALLBACK_SUBJECT,
        "Fallback subject",
        "the subject of the first such letter; the title of the chat unless set",
    ),
];

/// A widget. `Debug` shows no secret.
pub(crate) struct Config {
    pub(crate) widget: String,
    pub(crate) event_secrets: Vec<SecretString>,
    pub(crate) origins: Vec<Origin>,
    pub(crate) identity_secrets: Vec<IdentitySecret>,
    pub(crate) require_verification: bool,
    pub(crate) app_keys: Vec<SecretString>,
    pub(crate) title: Option<String>,
    pub(crate) color: Option<String>,
    pub(crate) greeting: Option<String>,
    pub(crate) online: bool,
    pub(crate) expected_reply: Option<String>,
    pub(crate) uploads: bool,
    pub(crate) visits: bool,
    pub(crate) fallback: Option<Letters>,
}

/// How letters go to visitors who are away (webchat.md 4, offline fallback).
#[derive(Debug, Clone)]
pub(crate) struct Letters {
    pub(crate) account: ChannelAccountId,
    pub(crate) after: Duration,
    pub(crate) subject: String,
}

impl Config {
    pub(crate) fn read(settings: &SettingValues) -> Result<Self, SettingsError> {
        let widget = settings.require(WIDGET_ID)?.trim().to_owned();
        if widget.len() > 64 || !widget.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) {
            return Err(wrong(WIDGET_ID, "up to 64 letters, digits, `_` and `-` are expected, such as `wgt_1`"));
        }
        let event_secrets = secrets(settings.require(EVENT_SECRET)?, EVENT_SECRET)?;
        let origins: Vec<Origin> = words(settings, ORIGINS)
            .map(|text| {
                Origin::parse(text)
                    .ok_or_else(|| wrong(ORIGINS, "each is `https://` and a host name, nothing after it"))
            })
            .collect::<Result<_, _>>()?;
        let app_keys = secrets(settings.get(APP_KEYS).unwrap_or_default(), APP_KEYS)?;
        if origins.is_empty() && app_keys.is_empty() {
            return Err(wrong(ORIGINS, "name the sites that show the widget, or give the keys of your apps"));
        }
        let color = settings.get(COLOR).map(|color| color.trim().to_ascii_lowercase());
        let is_color = |color: &String| {
            color
                .strip_prefix('#')
                .is_some_and(|hex| hex.len() == 6 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
        };
        if !color.as_ref().is_none_or(is_color) {
            return Err(wrong(COLOR, "`#` and six hexadecimal digits are expected"));
        }
        let text = |name| settings.get(name).map(|text| text.trim().to_owned());
        Ok(Self {
            widget,
            event_secrets,
            origins,
            identity_secrets: identity_secrets(settings.get(IDENTITY_SECRETS).unwrap_or_default())?,
            require_verification: yes(settings, REQUIRE_VERIFICATION, true)?,
            app_keys,
            title: text(TITLE),
            color,
            greeting: text(GREETING),
            online: yes(settings, ONLINE, true)?,
            expected_reply: text(EXPECTED_REPLY),
            uploads: yes(settings, UPLOADS, true)?,
            visits: yes(settings, VISITS, false)?,
            fallback: Letters::read(settings)?,
        })
    }
}

impl Letters {
    fn read(settings: &SettingValues) -> Result<Option<Self>, SettingsError> {
        let minutes = match settings.get(FALLBACK_MINUTES).map(|text| text.trim().parse::<i64>()) {
            None => FALLBACK_UNLESS_SET,
            Some(Ok(minutes)) if (1..=LONGEST_FALLBACK).contains(&minutes) => minutes,
            Some(_) => return Err(wrong(FALLBACK_MINUTES, "a number of minutes from 1 to 1440 is expected")),
        };
        let subject = settings.get(FALLBACK_SUBJECT).or_else(|| settings.get(TITLE)).unwrap_or(BARE_SUBJECT).trim();
        if subject.chars().count() > LONGEST_SUBJECT || subject.chars().any(char::is_control) {
            return Err(wrong(FALLBACK_SUBJECT, "one line of at most 200 characters is expected"));
        }
        let Some(channel) = settings.get(FALLBACK_CHANNEL) else { return Ok(None) };
        let account = channel.trim().parse();
        let account = account.map_err(|_| wrong(FALLBACK_CHANNEL, "the id of a channel is expected"))?;
        Ok(Some(Self { account, after: Duration::minutes(minutes), subject: subject.to_owned() }))
    }
}

fn words<'s>(settings: &'s SettingValues, name: &str) -> impl Iterator<Item = &'s str> {
    settings.get(name).unwrap_or_default().split([' ', ',', '\n', '\t']).map(str::trim).filter(|word| !word.is_empty())
}

fn secrets(text: &str, name: &str) -> Result<Vec<SecretString>, SettingsError> {
    let given = text.split_whitespace();
    given
        .map(|secret| match secret.len() < SHORTEST_SECRET {
            true => Err(wrong(name, "it is shorter than 16 characters: make it of random ones")),
            false => Ok(SecretString::from(secret)),
        })
        .collect()
}

fn identity_secrets(text: &str) -> Result<Vec<IdentitySecret>, SettingsError> {
    let read = |word: &str| {
        let (kid, secret) = word.split_once(':').map_or((None, word), |(kid, secret)| (Some(kid.to_owned()), secret));
        match secret.is_empty() || kid.as_deref() == Some("") {
            true => Err(wrong(IDENTITY_SECRETS, "each is a secret, or `name:secret`")),
            false => Ok(IdentitySecret { kid, secret: SecretString::from(secret) }),
        }
    };
    let all: Vec<IdentitySecret> = text.split_whitespace().map(read).collect::<Result<_, _>>()?;
    match all.len() > MOST_SECRETS {
        true => Err(wrong(IDENTITY_SECRETS, "two are enough to change from one to the other")),
        false => Ok(all),
    }
}

fn yes(settings: &SettingValues, name: &str, unless_set: bool) -> Result<bool, SettingsError> {
    match settings.get(name).map(|text| text.trim().to_ascii_lowercase()).as_deref() {
        None => Ok(unless_set),
        Some("yes" | "true") => Ok(true),
        Some("no" | "false") => Ok(false),
        Some(_) => Err(wrong(name, "it is `yes` or `no`")),
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("widget", &self.widget).field("origins", &self.origins).finish_non_exhaustive()
    }
}

/// Whether a key is one of the app's keys, in constant time.
#[cfg(feature = "server")]
pub(crate) fn is_app_key(config: &Config, key: &str) -> bool {
    use secrecy::ExposeSecret;
    use subtle::ConstantTimeEq;
    let fits = |known: &SecretString| bool::from(known.expose_secret().as_bytes().ct_eq(key.as_bytes()));
    config.app_keys.iter().fold(false, |found, known| found | fits(known))
}

fn wrong(name: &str, reason: &str) -> SettingsError {
    SettingsError::Wrong { name: name.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn settings() -> SettingValues {
        SettingValues::default()
            .with(WIDGET_ID, "wgt_1")
            .with(EVENT_SECRET, "a-new-event-secret an-old-event-secret")
            .with(ORIGINS, "https://shop.example, https://*.shop.example")
            .with(IDENTITY_SECRETS, "2:idsecret idold")
    }

    #[test]
    fn a_widget_is_read() {
        let config = Config::read(&settings()).unwrap();
        assert_eq!((config.widget.as_str(), config.event_secrets.len(), config.origins.len()), ("wgt_1", 2, 2));
        let kids: Vec<_> = config.identity_secrets.iter().map(|secret| secret.kid.as_deref()).collect();
        assert_eq!(kids, [Some("2"), None]);
        assert!(config.require_verification && config.online && config.uploads && !config.visits);
        let shown = format!("{config:?}");
        assert!(shown.contains("wgt_1") && !shown.contains("secret") && !shown.contains("idold"), "{shown}");
    }

    #[test]
    fn letters_go_only_where_a_channel_is_named() {
        assert!(Config::read(&settings().with(FALLBACK_MINUTES, "10")).unwrap().fallback.is_none());
        let named = settings().with(FALLBACK_CHANNEL, "01890a5d-ac96-774b-bcce-b302099a8057").with(TITLE, "Acme");
        let letters = Config::read(&named).unwrap().fallback.unwrap();
        assert_eq!((letters.after, letters.subject.as_str()), (Duration::minutes(5), "Acme"));
    }

    #[test]
    fn an_app_needs_no_origin() {
        let config = Config::read(&settings().with(ORIGINS, "").with(APP_KEYS, "an-app-key-of-our-app")).unwrap();
        assert_eq!(config.app_keys.len(), 1);
    }

    #[rstest]
    #[case(WIDGET_ID, "")]
    #[case(WIDGET_ID, "wgt 1")]
    #[case(EVENT_SECRET, "")]
    #[case(EVENT_SECRET, "short")]
    #[case(ORIGINS, "")]
    #[case(ORIGINS, "shop.example")]
    #[case(ORIGINS, "*")]
    #[case(IDENTITY_SECRETS, "one two three")]
    #[case(IDENTITY_SECRETS, ":secret")]
    #[case(REQUIRE_VERIFICATION, "maybe")]
    #[case(APP_KEYS, "short")]
    #[case(COLOR, "red")]
    #[case(FALLBACK_CHANNEL, "email")]
    #[case(FALLBACK_MINUTES, "0")]
    #[case(FALLBACK_MINUTES, "1441")]
    #[case(FALLBACK_MINUTES, "soon")]
    #[case(FALLBACK_SUBJECT, "two\nlines")]
    fn wrong_settings_are_named(#[case] name: &str, #[case] value: &str) {
        let error = Config::read(&settings().with(name, value)).unwrap_err();
        let (SettingsError::Missing(named) | SettingsError::Wrong { name: named, .. }) = &error else {
            panic!("{error}")
        };
        assert_eq!(named, name);
    }
}
