//! Texts kept for reuse: written, found, filled for a contact.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use transom_domain::saved_reply::{places, render};
use transom_domain::{
    Agent, ChannelAccountId, ContactId, FieldValue, SavedReply, SavedReplyId, SavedReplyVariant, field_key,
};
use transom_storage::{Reader, StoredContact, StoredReply, Tx};

use crate::authorise::{Action, Caller, authorise};
use crate::changes::tell;
use crate::idempotency::{Once, only_once};
use crate::{Desk, DeskError, custom_fields};

/// The longest title, in characters.
const MAX_TITLE: usize = 200;
/// The longest text, in characters: as long as the longest message.
const MAX_TEXT: usize = 100_000;
const MAX_VARIANTS: usize = 100;
/// How many custom fields a refusal names at most.
const NAMED: usize = 50;

/// A saved reply to keep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewReply {
    /// What agents find it by.
    pub title: String,
    /// The text, where no variant fits better.
    pub content: String,
    /// Wordings for a language, a platform or both.
    pub variants: Vec<SavedReplyVariant>,
}

/// What may change about it; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplyChange {
    /// What agents find it by.
    pub title: Option<String>,
    /// The text, where no variant fits better.
    pub content: Option<String>,
    /// All its wordings.
    pub variants: Option<Vec<SavedReplyVariant>>,
}

/// A text with its places filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// The variant that was chosen; `None` for the text that fits everybody.
    pub variant: Option<(Option<String>, Option<String>)>,
}

const MISSING: DeskError = DeskError::NotFound { what: "saved reply" };

/// Saved replies whose titles begin so, by title; goes on behind `after`.
///
/// # Errors
/// When the database fails.
pub async fn list(
    desk: &Desk,
    caller: &Caller,
    prefix: &str,
    after: Option<SavedReplyId>,
    limit: u32,
) -> Result<Vec<StoredReply>, DeskError> {
    authorise(caller, Action::ReadConversations)?;
    Ok(desk.reader(&caller.scope).saved_replies(prefix, after, limit).await?)
}

/// One saved reply.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn get(desk: &Desk, caller: &Caller, id: SavedReplyId) -> Result<StoredReply, DeskError> {
    authorise(caller, Action::ReadConversations)?;
    desk.reader(&caller.scope).saved_reply(id).await?.ok_or(MISSING)
}

/// Keeps a saved reply.
///
/// # Errors
/// [`DeskError::Invalid`] says what is missing or too long, or which of its places nothing would ever fill.
pub async fn add(
    desk: &Desk,
    caller: &Caller,
    new: NewReply,
    once: Option<Once<StoredReply>>,
) -> Result<StoredReply, DeskError> {
    authorise(caller, Action::ManageCatalogues)?;
    let NewReply { title, content, variants } = checked(new)?;
    let reply = SavedReply { id: SavedReplyId::new(desk.ids()), title, content, variants };
    let (desk_in, reply, once, now) = (desk.clone(), Arc::new(reply), once.map(Arc::new), desk.now());
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, reply, once) = (desk_in.clone(), reply.clone(), once.clone());
            Box::pin(async move {
                let added = async {
                    check_places(tx, wordings(&reply.content, &reply.variants), &[]).await?;
                    tx.put_saved_reply(&reply, None, now).await?;
                    tell(tx, desk.ids(), None, "saved_reply.created", json!({ "saved_reply": reply.id }), now).await?;
                    tx.saved_reply(reply.id).await?.ok_or(MISSING)
                };
                only_once(once.as_deref(), tx, now, added).await
            })
        })
        .await
}

/// Changes a saved reply.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::VersionMismatch`]; as [`add`].
pub async fn change(
    desk: &Desk,
    caller: &Caller,
    id: SavedReplyId,
    change: ReplyChange,
    expected: Option<u64>,
) -> Result<StoredReply, DeskError> {
    authorise(caller, Action::ManageCatalogues)?;
    let (desk_in, change, now) = (desk.clone(), Arc::new(change), desk.now());
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, change) = (desk_in.clone(), change.clone());
            Box::pin(async move {
                let known = tx.saved_reply(id).await?.ok_or(MISSING)?.reply;
                // What it says already stays so, though a field that it names may be gone since.
                let said: Vec<String> =
                    wordings(&known.content, &known.variants).map(|(_, text)| text.to_owned()).collect();
                let ReplyChange { title, content, variants } = (*change).clone();
                let NewReply { title, content, variants } = checked(NewReply {
                    title: title.unwrap_or(known.title),
                    content: content.unwrap_or(known.content),
                    variants: variants.unwrap_or(known.variants),
                })?;
                check_places(tx, wordings(&content, &variants), &said).await?;
                if !tx.put_saved_reply(&SavedReply { id, title, content, variants }, expected, now).await? {
                    return Err(DeskError::VersionMismatch);
                }
                tell(tx, desk.ids(), None, "saved_reply.changed", json!({ "saved_reply": id }), now).await?;
                tx.saved_reply(id).await?.ok_or(MISSING)
            })
        })
        .await
}

/// Deletes a saved reply. What was sent with it stays as it was sent.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn delete(desk: &Desk, caller: &Caller, id: SavedReplyId) -> Result<(), DeskError> {
    authorise(caller, Action::ManageCatalogues)?;
    let (desk_in, now) = (desk.clone(), desk.now());
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let desk = desk_in.clone();
            Box::pin(async move {
                if !tx.delete_saved_reply(id).await? {
                    return Err(MISSING);
                }
                tell(tx, desk.ids(), None, "saved_reply.deleted", json!({ "saved_reply": id }), now).await
            })
        })
        .await
}

/// What a saved reply would say to a contact over a channel: the wording for their language and the channel's platform, with
/// every place filled.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::Invalid`] names the fields that are unknown or empty.
pub async fn rendered(
    desk: &Desk,
    caller: &Caller,
    id: SavedReplyId,
    contact: Option<ContactId>,
    account: Option<ChannelAccountId>,
) -> Result<Rendered, DeskError> {
    authorise(caller, Action::ReadConversations)?;
    let reader = desk.reader(&caller.scope);
    let reply = reader.saved_reply(id).await?.ok_or(MISSING)?.reply;
    let platform = match account {
        Some(id) => Some(reader.account(id).await?.ok_or(DeskError::NotFound { what: "channel" })?.platform),
        None => None,
    };
    let contact = match contact {
        Some(id) => Some(reader.contact(id).await?.ok_or(DeskError::NotFound { what: "contact" })?),
        None => None,
    };
    let language = contact.as_ref().and_then(|stored| stored.contact.profile.language.as_deref());
    let (content, chosen) = reply.wording(language, platform.as_deref());
    let text = render(content, &fields(contact.as_ref(), Some(&caller.agent)))?;
    let variant = chosen.map(|variant| (variant.language.clone(), variant.platform.clone()));
    Ok(Rendered { text, variant })
}

/// The words of a message that is sent with a saved reply: its own, or those that the sender made of it.
pub(crate) async fn words(
    tx: &Tx,
    id: SavedReplyId,
    edited: Option<&str>,
    (contact, platform): (ContactId, &str),
    agent: Option<transom_domain::AgentId>,
) -> Result<String, DeskError> {
    let reply = tx.saved_reply(id).await?.ok_or(MISSING)?.reply;
    let contact = tx.contact(contact).await?.ok_or(DeskError::NotFound { what: "contact" })?;
    let agent = agent_of(tx, agent).await?;
    let (content, _) = reply.wording(contact.contact.profile.language.as_deref(), Some(platform));
    Ok(render(edited.unwrap_or(content), &fields(Some(&contact), agent.as_ref()))?)
}

async fn agent_of(reader: &Reader, id: Option<transom_domain::AgentId>) -> Result<Option<Agent>, DeskError> {
    match id {
        Some(id) => Ok(reader.agent(id).await?.map(|stored| stored.agent)),
        None => Ok(None),
    }
}

/// What places in a text stand for, by name. A custom field never has the name of a built-in one.
pub(crate) fn fields(contact: Option<&StoredContact>, agent: Option<&Agent>) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut put = |name: &str, value: Option<String>| fields.extend(value.map(|value| (name.to_owned(), value)));
    put("agent_name", agent.map(|agent| agent.name.clone()));
    if let Some(stored) = contact {
        let profile = stored.contact.profile.clone();
        // Where the contact itself says none, the address by which a channel knows them is one.
        let address = |kind| stored.identities.iter().find_map(|identity| identity.address(kind)).map(str::to_owned);
        put("name", stored.contact.shown_name());
        put("first_name", profile.first_name);
        put("last_name", profile.last_name);
        put("username", profile.username);
        put("external_id", profile.external_id);
        put("email", profile.email.or_else(|| address("email")));
        put("phone", profile.phone.or_else(|| address("phone")));
        put("language", profile.language);
        for field in &stored.fields {
            put(&field.name, Some(FieldValue::to_string(&field.value)));
        }
    }
    fields
}

fn checked(new: NewReply) -> Result<NewReply, DeskError> {
    let title = new.title.trim().to_owned();
    if title.is_empty() || title.chars().count() > MAX_TITLE {
        let detail = format!("a title has 1 to {MAX_TITLE} characters");
        return Err(DeskError::invalid("name_missing", "title", detail));
    }
    wording(&new.content, "content")?;
    if new.variants.len() > MAX_VARIANTS {
        let detail = format!("a saved reply has at most {MAX_VARIANTS} variants");
        return Err(DeskError::invalid("too_many", "variants", detail));
    }
    let mut variants: Vec<SavedReplyVariant> = Vec::new();
    for SavedReplyVariant { language, platform, content } in new.variants {
        let said = |word: Option<String>| word.map(|word| field_key(&word)).filter(|word| !word.is_empty());
        let variant = SavedReplyVariant { language: said(language), platform: said(platform), content };
        wording(&variant.content, "variants")?;
        let place = |of: &SavedReplyVariant| (of.language.clone(), of.platform.clone());
        let detail = if place(&variant) == (None, None) {
            "a variant is for a language, a platform or both"
        } else if variants.iter().any(|other| place(other) == place(&variant)) {
            "two variants are for the same language and platform"
        } else {
            variants.push(variant);
            continue;
        };
        return Err(DeskError::invalid("invalid_value", "variants", detail));
    }
    Ok(NewReply { title, content: new.content, variants })
}

/// Every text of a saved reply, with the field that it stands in.
fn wordings<'r>(content: &'r str, variants: &'r [SavedReplyVariant]) -> impl Iterator<Item = (&'static str, &'r str)> {
    let variants = variants.iter().map(|variant| ("variants", variant.content.as_str()));
    [("content", content)].into_iter().chain(variants)
}

/// A place that no field of the workspace fills would stop whoever sends the reply. What was `said` before is not asked again.
async fn check_places(
    reader: &Reader,
    wordings: impl Iterator<Item = (&'static str, &str)>,
    said: &[String],
) -> Result<(), DeskError> {
    let new = wordings.filter(|(_, text)| !said.iter().any(|known| known == text));
    let places: Vec<_> = new.flat_map(|(field, text)| places(text).map(move |place| (field, place))).collect();
    let is_built_in = |place: &str| custom_fields::BUILT_IN.contains(&field_key(place).as_str());
    if places.iter().all(|(_, place)| is_built_in(place)) {
        return Ok(());
    }
    let known = reader.custom_fields(true).await?;
    for (field, place) in places.into_iter().filter(|(_, place)| !is_built_in(place)) {
        match known.iter().find(|stored| field_key(&stored.field.name) == field_key(place)) {
            Some(stored) if stored.field.archived => return Err(custom_fields::archived(&stored.field)),
            Some(_) => {}
            None => {
                let in_use =
                    known.iter().filter(|stored| !stored.field.archived).map(|stored| stored.field.name.as_str());
                return Err(unfilled(field, place, in_use));
            }
        }
    }
    Ok(())
}

fn unfilled<'f>(field: &'static str, place: &str, custom: impl Iterator<Item = &'f str>) -> DeskError {
    let place: String = place.chars().take(64).collect();
    let there_is: Vec<String> =
        custom_fields::BUILT_IN.into_iter().chain(custom.take(NAMED)).map(|name| format!("`{{{{{name}}}}}`")).collect();
    let detail = format!(
        "nothing fills `{{{{{place}}}}}`: there is {}, and what `POST /v1/custom-fields` adds",
        there_is.join(", ")
    );
    DeskError::invalid("placeholder_unknown", field, detail)
}

fn wording(content: &str, field: &'static str) -> Result<(), DeskError> {
    match content.chars().count() {
        _ if content.trim().is_empty() => Err(DeskError::invalid("message_empty", field, "give it a text")),
        length if length > MAX_TEXT => {
            let detail = format!("the text is too long: {length} characters, and at most {MAX_TEXT} are taken");
            Err(DeskError::invalid("text_too_long", field, detail))
        }
        _ => Ok(()),
    }
}
