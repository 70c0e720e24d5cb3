//! Channels (accounts), the connections they share, platforms and policies.

use std::collections::BTreeMap;

use poem_openapi::Object;
use secrecy::SecretString;
use time::OffsetDateTime;
use transom_channel::{Platform, SettingScope};
use transom_desk::channels::{ChannelPatch, NewChannel};
use transom_desk::connections::ConnectionPatch;
use transom_desk::queries::{ChannelDetail, ConnectionDetail, SettingState};
use transom_domain::SenderAddress;
use transom_storage::LimitEvidence;
use transom_windows::Policy;
use uuid::Uuid;

use crate::api::contract::Limit;

/// One number, page, bot or mailbox that can be written from.
#[derive(Debug, Object)]
#[oai(rename = "Channel", skip_serializing_if_is_none)]
pub(crate) struct ChannelView {
    /// Its id.
    id: Uuid,
    /// The connection that holds its secrets.
    connection: Uuid,
    /// The platform.
    platform: String,
    /// A name for people.
    name: String,
    /// The policy that decides what may be sent.
    policy: String,
    /// How the platform names it in its webhooks.
    external_key: String,
    /// Features that the platform granted to it, as the policy names them.
    features: Vec<String>,
    /// Limits in place of the policy's: quota to limit, null for none.
    limits: BTreeMap<String, Limit>,
    /// Channels of one group share the quotas of scope `group`.
    quota_group: Option<String>,
    /// Its country (ISO 3166-1 alpha-2).
    country: Option<String>,
    /// Whether anything is sent.
    enabled: bool,
    /// Why the platform, or we, stopped it.
    suspended: Option<String>,
    /// The address to enter on the platform.
    webhook_url: String,
    /// Its settings; secrets are never shown.
    settings: BTreeMap<String, SettingView>,
    /// When its templates were last synced.
    templates_synced_at: Option<OffsetDateTime>,
    /// Refusals from which limits are learnt: once two people were refused at the same count, that is the account's limit, until
    /// somebody sets `limits`.
    limit_evidence: Vec<LimitEvidenceView>,
}

/// A refusal from which an account's limit may be learnt.
#[derive(Debug, Object)]
#[oai(rename = "LimitEvidence")]
struct LimitEvidenceView {
    /// The quota.
    quota: String,
    /// How many messages had been taken when the next was refused.
    refused_at_count: u32,
    /// To whom.
    contact: Uuid,
    /// When.
    at: OffsetDateTime,
}

impl From<LimitEvidence> for LimitEvidenceView {
    fn from(evidence: LimitEvidence) -> Self {
        let LimitEvidence { quota, refused_at_count, contact, at } = evidence;
        Self { quota, refused_at_count, contact: contact.uuid(), at }
    }
}

/// A setting. A secret shows whether it is set, and its end.
#[derive(Debug, Object)]
#[oai(rename = "Setting", skip_serializing_if_is_none)]
struct SettingView {
    /// Whether it has a value.
    set: bool,
    /// Whether it is a secret.
    secret: bool,
    /// The value, unless it is a secret.
    value: Option<String>,
    /// The last characters of a secret.
    last4: Option<String>,
}

impl From<SettingState> for SettingView {
    fn from(state: SettingState) -> Self {
        match state {
            SettingState::Plain(value) => Self { set: true, secret: false, value: Some(value), last4: None },
            SettingState::Secret { last4 } => Self { set: true, secret: true, value: None, last4: Some(last4) },
        }
    }
}

impl ChannelView {
    pub(crate) fn new(detail: &ChannelDetail, webhook_url: String) -> Self {
        let ChannelDetail { account, settings, templates_synced_at, limit_evidence, .. } = detail.clone();
        Self {
            id: account.id.uuid(),
            connection: account.connection.uuid(),
            platform: account.platform,
            name: account.name,
            policy: account.policy,
            external_key: account.external_key,
            features: account.features.into_iter().collect(),
            limits: account.limits.into_iter().map(|(quota, limit)| (quota, Limit(limit))).collect(),
            quota_group: account.quota_group,
            country: account.country,
            enabled: account.enabled,
            suspended: account.suspended,
            webhook_url,
            settings: settings.into_iter().map(|(name, state)| (name, state.into())).collect(),
            templates_synced_at,
            limit_evidence: limit_evidence.into_iter().map(Into::into).collect(),
        }
    }
}

/// A channel to connect.
#[derive(Debug, Object)]
#[oai(rename = "NewChannel", deny_unknown_fields)]
pub(crate) struct NewChannelBody {
    /// The platform.
    platform: String,
    /// A name for people; the platform's own unless said.
    #[oai(default, validator(max_length = 200))]
    name: String,
    /// A policy other than the platform's own.
    policy: Option<String>,
    /// The connection it shares; left out, it gets one of its own.
    connection: Option<Uuid>,
    /// The platform's settings: `GET /v1/platforms` lists them.
    #[oai(default)]
    settings: BTreeMap<String, String>,
    /// Features that the platform granted to it.
    #[oai(default, validator(max_items = 100))]
    features: Vec<String>,
    /// Limits in place of the policy's; null for none.
    #[oai(default)]
    limits: BTreeMap<String, Limit>,
    /// Channels of one group share the quotas of scope `group`.
    #[oai(validator(max_length = 200))]
    quota_group: Option<String>,
    /// Its country (ISO 3166-1 alpha-2).
    #[oai(validator(pattern = "^[A-Z]{2}$"))]
    country: Option<String>,
    /// Whether to ask the platform if the credentials work; yes unless said.
    check: Option<bool>,
}

impl From<NewChannelBody> for NewChannel {
    fn from(body: NewChannelBody) -> Self {
        Self {
            platform: body.platform,
            name: body.name,
            policy: body.policy,
            connection: body.connection.map(Into::into),
            settings: secret(body.settings),
            features: body.features.into_iter().collect(),
            limits: plain(body.limits),
            quota_group: body.quota_group,
            country: body.country,
            check: body.check.unwrap_or(true),
        }
    }
}

/// What may change about a channel; what is left out stays.
#[derive(Debug, Object)]
#[oai(rename = "ChannelPatch", deny_unknown_fields)]
pub(crate) struct ChannelPatchBody {
    /// A name for people.
    #[oai(validator(min_length = 1, max_length = 200))]
    name: Option<String>,
    /// The policy it goes by.
    policy: Option<String>,
    /// Settings, merged by name; an empty text takes one away.
    #[oai(default)]
    settings: BTreeMap<String, String>,
    /// Features, replaced as a whole.
    #[oai(validator(max_items = 100))]
    features: Option<Vec<String>>,
    /// Limits, replaced as a whole; null for none.
    limits: Option<BTreeMap<String, Limit>>,
    /// Whether anything is sent.
    enabled: Option<bool>,
}

impl From<ChannelPatchBody> for ChannelPatch {
    fn from(body: ChannelPatchBody) -> Self {
        Self {
            name: body.name,
            policy: body.policy,
            settings: secret(body.settings),
            features: body.features.map(|features| features.into_iter().collect()),
            limits: body.limits.map(plain),
            enabled: body.enabled,
        }
    }
}

fn plain(limits: BTreeMap<String, Limit>) -> BTreeMap<String, Option<u32>> {
    limits.into_iter().map(|(quota, limit)| (quota, limit.0)).collect()
}

fn secret(settings: BTreeMap<String, String>) -> BTreeMap<String, SecretString> {
    settings.into_iter().map(|(name, value)| (name, SecretString::from(value))).collect()
}

/// An app on a platform: its secrets and its webhook address, shared by its channels.
#[derive(Debug, Object)]
#[oai(rename = "Connection")]
pub(crate) struct ConnectionView {
    /// Its id.
    id: Uuid,
    /// The platform.
    platform: String,
    /// A name for people.
    name: String,
    /// The address to enter on the platform.
    webhook_url: String,
    /// Which secrets are set, with their last characters.
    secrets: BTreeMap<String, String>,
    /// Its channels.
    channels: Vec<Uuid>,
    /// When it was made.
    created_at: OffsetDateTime,
}

impl ConnectionView {
    pub(crate) fn new(detail: ConnectionDetail, webhook_url: String) -> Self {
        let ConnectionDetail { stored, accounts, .. } = detail;
        Self {
            id: stored.connection.id.uuid(),
            secrets: stored.secrets_of(None),
            platform: stored.connection.platform,
            name: stored.connection.name,
            webhook_url,
            channels: accounts.into_iter().map(Into::into).collect(),
            created_at: stored.created_at,
        }
    }
}

/// What may change about a connection; what is left out stays.
#[derive(Debug, Object)]
#[oai(rename = "ConnectionPatch", deny_unknown_fields)]
pub(crate) struct ConnectionPatchBody {
    /// A name for people.
    #[oai(validator(min_length = 1, max_length = 200))]
    name: Option<String>,
    /// Settings of the connection, merged by name; an empty text takes one away.
    #[oai(default)]
    settings: BTreeMap<String, String>,
}

impl From<ConnectionPatchBody> for ConnectionPatch {
    fn from(body: ConnectionPatchBody) -> Self {
        Self { name: body.name, settings: secret(body.settings) }
    }
}

/// A platform, and what it needs to connect a channel.
#[derive(Debug, Object)]
#[oai(rename = "Platform")]
pub(crate) struct PlatformView {
    /// The name by which everything here knows it.
    name: String,
    /// The name for people.
    label: String,
    /// What must be told to connect a channel.
    settings: Vec<SettingFieldView>,
    /// The policies that its channels may go by.
    policies: Vec<String>,
}

/// One setting of a platform.
#[derive(Debug, Object)]
#[oai(rename = "SettingField")]
struct SettingFieldView {
    /// Its key.
    name: String,
    /// What it is.
    label: String,
    /// Where to find it on the platform.
    help: String,
    /// Whether it is kept secret.
    secret: bool,
    /// `connection`, shared by the channels, or `account`.
    scope: String,
    /// Whether nothing works without it.
    required: bool,
}

impl PlatformView {
    pub(crate) fn new(platform: &dyn Platform, policies: Vec<String>) -> Self {
        let field = |field: &transom_channel::SettingField| SettingFieldView {
            name: field.name.to_owned(),
            label: field.label.to_owned(),
            help: field.help.to_owned(),
            secret: field.secret,
            scope: match field.scope {
                SettingScope::Connection => "connection",
                SettingScope::Account => "account",
            }
            .to_owned(),
            required: field.required,
        };
        Self {
            name: platform.name().to_owned(),
            label: platform.label().to_owned(),
            settings: platform.settings().iter().map(field).collect(),
            policies,
        }
    }
}

/// A policy: which messages a platform lets through.
#[derive(Debug, Object)]
#[oai(rename = "Policy", skip_serializing_if_is_none)]
pub(crate) struct PolicyView {
    /// Its name.
    name: String,
    /// The platform it speaks for.
    platform: String,
    /// Its version.
    version: String,
    /// What it is about.
    about: String,
    /// Where its rules were read.
    sources: Vec<String>,
    /// Its grants, in the order of preference.
    grants: Vec<GrantView>,
    /// Its quotas.
    quotas: Vec<String>,
    /// The kinds of events that it knows.
    kinds: Vec<String>,
    /// The features that it asks for.
    features: Vec<String>,
    /// The policy file (TOML); only when one policy is asked for.
    text: Option<String>,
}

/// A right to send.
#[derive(Debug, Object)]
#[oai(rename = "Grant")]
struct GrantView {
    /// Its name.
    name: String,
    /// What it is, in one sentence.
    about: String,
    /// `free_form`, `tagged`, `template` or `initiated`.
    basis: String,
    /// Whether promotional content may use it.
    promotional: bool,
}

impl From<&Policy> for PolicyView {
    fn from(policy: &Policy) -> Self {
        let grant = |grant: &transom_windows::Grant| GrantView {
            name: grant.name().to_owned(),
            about: grant.about().to_owned(),
            basis: grant.basis().as_str().to_owned(),
            promotional: grant.promotional(),
        };
        Self {
            name: policy.name().to_owned(),
            platform: policy.platform().to_owned(),
            version: policy.version().to_owned(),
            about: policy.about().to_owned(),
            sources: policy.sources().iter().map(|source| source.document.to_string()).collect(),
            grants: policy.grants().iter().map(grant).collect(),
            quotas: policy.quotas().iter().map(|quota| quota.name().to_owned()).collect(),
            kinds: policy.kinds().iter().map(|kind| kind.name().to_owned()).collect(),
            features: policy.features().iter().map(|feature| feature.name().to_owned()).collect(),
            text: None,
        }
    }
}

impl PolicyView {
    /// With the file itself.
    pub(crate) fn with_text(self, policy: &Policy) -> Self {
        Self { text: Some(policy.text().to_owned()), ..self }
    }
}

/// An address from which letters can be written over a channel.
#[derive(Debug, Object)]
#[oai(rename = "SenderAddress", skip_serializing_if_is_none)]
pub(crate) struct SenderView {
    /// The bare address: what `from` of a message takes.
    address: String,
    /// The name that readers see beside it.
    name: Option<String>,
    /// Where answers go, if not there.
    reply_to: Option<String>,
    /// Whether it is taken where nobody chose.
    default: bool,
}

impl From<SenderAddress> for SenderView {
    fn from(SenderAddress { address, name, reply_to, default }: SenderAddress) -> Self {
        Self { address, name, reply_to, default }
    }
}
