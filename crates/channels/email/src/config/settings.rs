//! The settings of a mailbox, and where to find them.

use transom_channel::{SettingField, SettingScope};

pub(super) const SMTP_HOST: &str = "smtp_host";
pub(super) const SMTP_PORT: &str = "smtp_port";
pub(super) const SMTP_SECURITY: &str = "smtp_security";
pub(super) const SMTP_AUTH: &str = "smtp_auth";
pub(super) const SMTP_USER: &str = "smtp_user";
pub(super) const SMTP_PASSWORD: &str = "smtp_password";
pub(super) const IMAP_HOST: &str = "imap_host";
pub(super) const IMAP_PORT: &str = "imap_port";
pub(super) const IMAP_SECURITY: &str = "imap_security";
pub(super) const IMAP_AUTH: &str = "imap_auth";
pub(super) const IMAP_USER: &str = "imap_user";
pub(super) const IMAP_PASSWORD: &str = "imap_password";
pub(super) const IMAP_FOLDER: &str = "imap_folder";
pub(super) const IMAP_MOVE_TO: &str = "imap_move_to";
pub(super) const IMAP_SENT_FOLDER: &str = "imap_sent_folder";
pub(super) const IMAP_POLL_SECONDS: &str = "imap_poll_seconds";
pub(super) const OAUTH_TOKEN_URL: &str = "oauth_token_url";
pub(super) const OAUTH_CLIENT_ID: &str = "oauth_client_id";
pub(super) const OAUTH_CLIENT_SECRET: &str = "oauth_client_secret";
pub(super) const OAUTH_SCOPE: &str = "oauth_scope";
pub(super) const OAUTH_REFRESH_TOKEN: &str = "oauth_refresh_token";
pub(super) const CA_CERTIFICATE: &str = "ca_certificate";
pub(super) const INBOUND_PARSE: &str = "inbound_parse";
pub(super) const MAILGUN_SIGNING_KEY: &str = "mailgun_signing_key";
pub(super) const WEBHOOK_USER: &str = "webhook_user";
pub(super) const WEBHOOK_PASSWORD: &str = "webhook_password";
pub(super) const AUTHSERV_ID: &str = "authserv_id";
pub(super) const TOKEN_SECRET: &str = "token_secret";
pub(super) const TOKEN_SECRET_PREVIOUS: &str = "token_secret_previous";
pub(super) const MAX_BYTES: &str = "max_bytes";
pub(super) const MAX_INBOUND_BYTES: &str = "max_inbound_bytes";
pub(super) const PER_MINUTE: &str = "per_minute";
pub(super) const PER_DAY: &str = "per_day";
pub(super) const TIMEOUT_SECONDS: &str = "timeout_seconds";
pub(super) const DELIVERY_RECEIPTS: &str = "delivery_receipts";
pub(super) const MAILBOX: &str = "mailbox";
pub(super) const ALIASES: &str = "aliases";
pub(super) const SENDERS: &str = "senders";
pub(super) const SENDER_NAME: &str = "sender_name";
pub(super) const BOUNCE_ADDRESS: &str = "bounce_address";
pub(super) const DEFAULT_SUBJECT: &str = "default_subject";

const fn field(name: &'static str, label: &'static str, help: &'static str) -> SettingField {
    SettingField {
        name,
        label,
        help,
        secret: false,
        scope: SettingScope::Connection,
        required: false,
        external_key: false,
    }
}

const fn own(name: &'static str, label: &'static str, help: &'static str) -> SettingField {
    SettingField { scope: SettingScope::Account, ..field(name, label, help) }
}

pub(crate) const SETTINGS: &[SettingField] = &[
    SettingField {
        required: true,
        ..field(SMTP_HOST, "SMTP server", "Where mail is handed in, such as smtp.gmail.com or smtp.office365.com.")
    },
    field(SMTP_PORT, "SMTP port", "465 with TLS and 587 with STARTTLS unless set."),
    field(
        SMTP_SECURITY,
        "SMTP security",
        "tls (the default), starttls, or plain; plain is for a server on this machine and no other.",
    ),
    field(
        SMTP_AUTH,
        "SMTP sign-in",
        "plain (the default), login, xoauth2, or none for a server that knows us by our address.",
    ),
    own(SMTP_USER, "SMTP user", "The mailbox's address unless set."),
    SettingField {
        secret: true,
        ..own(SMTP_PASSWORD, "SMTP password", "The mailbox's password, or better an app password of its own.")
    },
    field(
        IMAP_HOST,
        "IMAP server",
        "Where mail is fetched, such as imap.gmail.com; left out where a provider's webhook brings it.",
    ),
    field(IMAP_PORT, "IMAP port", "993 with TLS and 143 with STARTTLS unless set."),
    field(IMAP_SECURITY, "IMAP security", "tls (the default), starttls, or plain on this machine."),
    field(IMAP_AUTH, "IMAP sign-in", "plain, login or xoauth2; as for SMTP unless set."),
    own(IMAP_USER, "IMAP user", "The SMTP user unless set."),
    SettingField { secret: true, ..own(IMAP_PASSWORD, "IMAP password", "The SMTP password unless set.") },
    own(IMAP_FOLDER, "IMAP folder", "INBOX unless set."),
    own(
        IMAP_MOVE_TO,
        "IMAP folder for mail that was taken",
        "Mail is moved there once it is stored; left out, it stays and is marked as read.",
    ),
    own(
        IMAP_SENT_FOLDER,
        "IMAP folder for mail that was sent",
        "A copy of each mail of ours is put there, marked as read. Leave it out where the server does that itself, as Gmail's does.",
    ),
    field(
        IMAP_POLL_SECONDS,
        "IMAP pause",
        "Seconds between two looks at a server that can't tell of new mail by itself (IDLE); 30 unless set.",
    ),
    field(
        OAUTH_TOKEN_URL,
        "OAuth token address",
        "For xoauth2: https://login.microsoftonline.com/TENANT/oauth2/v2.0/token, or https://oauth2.googleapis.com/token.",
    ),
    field(OAUTH_CLIENT_ID, "OAuth client id", "Of the app that was registered at the provider."),
    SettingField { secret: true, ..field(OAUTH_CLIENT_SECRET, "OAuth client secret", "Of the same app.") },
    field(
        OAUTH_SCOPE,
        "OAuth scope",
        "What the token is asked for, such as https://outlook.office.com/SMTP.Send https://outlook.office.com/IMAP.AccessAsUser.All \
         offline_access.",
    ),
    SettingField {
        secret: true,
        ..own(
            OAUTH_REFRESH_TOKEN,
            "OAuth refresh token",
            "Of the mailbox's own consent. Left out, the app signs in by itself (client credentials).",
        )
    },
    field(
        CA_CERTIFICATE,
        "Certificate authority",
        "In PEM: trusted beside the system's own, for a server with a private certificate.",
    ),
    field(
        INBOUND_PARSE,
        "Inbound webhook",
        "mailgun or postmark: whose webhook brings the mail. Left out, mail comes by IMAP.",
    ),
    SettingField {
        secret: true,
        ..field(
            MAILGUN_SIGNING_KEY,
            "Mailgun signing key",
            "Mailgun, API security: the HTTP webhook signing key. While you change it, the old and the new one with a comma \
             between them.",
        )
    },
    field(WEBHOOK_USER, "Webhook user", "The user name in the webhook's address, for Postmark."),
    SettingField {
        secret: true,
        ..field(WEBHOOK_PASSWORD, "Webhook password", "The password in the webhook's address, for Postmark.")
    },
    field(
        AUTHSERV_ID,
        "Trusted receiver",
        "The name by which your own mail server signs Authentication-Results; what it says of a sender is believed.",
    ),
    SettingField {
        secret: true,
        ..field(
            TOKEN_SECRET,
            "Token secret",
            "At least 16 characters of your own. With it answers come to mailbox+token and find their conversation even when a \
             mail program drops the headers; the server must take sub-addresses (plus addressing).",
        )
    },
    SettingField {
        secret: true,
        ..field(
            TOKEN_SECRET_PREVIOUS,
            "Previous token secret",
            "The one before, for some weeks after a change: answers to addresses that it made still find their conversation.",
        )
    },
    field(
        MAX_BYTES,
        "Largest mail",
        "In bytes, encoded; 26214400 unless set. A lower limit of the server is followed.",
    ),
    field(MAX_INBOUND_BYTES, "Largest mail that is read", "In bytes; 36700160 unless set."),
    field(PER_MINUTE, "Mails a minute", "How fast the provider lets the mailbox send; 30 unless set."),
    field(
        PER_DAY,
        "Recipients a day",
        "The provider's cap in 24 hours, such as 2000 for Google Workspace and 10000 for Microsoft 365; none unless set.",
    ),
    field(TIMEOUT_SECONDS, "Time for one mail", "Seconds for the whole dialogue, from 1 to 30; 30 unless set."),
    field(
        DELIVERY_RECEIPTS,
        "Delivery receipts",
        "yes or no (the default): ask servers to report delivery too, where they can (RFC 3461).",
    ),
    SettingField {
        required: true,
        external_key: true,
        ..own(MAILBOX, "Mailbox", "The mailbox's main address: mail for it belongs to this account.")
    },
    own(
        ALIASES,
        "Further addresses",
        "Addresses, with commas between them, whose mail arrives in this mailbox too, such as the provider's inbound address.",
    ),
    own(
        SENDERS,
        "Senders",
        "A JSON list of the addresses that may be written from: [{\"address\": \"support@shop.test\", \"name\": \"Shop\", \
         \"reply_to\": null, \"default\": true}]. The mailbox alone unless set.",
    ),
    own(SENDER_NAME, "Name", "The name beside the mailbox's address, where no list of senders is given."),
    own(
        BOUNCE_ADDRESS,
        "Bounce address",
        "Where reports of failed delivery go; it must lead to this mailbox. With a token secret each mail gets a sub-address \
         of it. Left out, reports go to the sender.",
    ),
    own(
        DEFAULT_SUBJECT,
        "Subject",
        "Of a mail that has none, such as a bot's answer; \"Message from\" and the name unless set.",
    ),
];
