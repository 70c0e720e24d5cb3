//! Labels of contacts: put on, taken off, renamed, deleted.

use std::sync::Arc;

use serde_json::json;
use time::OffsetDateTime;
use transom_domain::{ContactId, LabelId, Role, field_key};
use transom_storage::{Label, LabelMove, StoredContact, Tx, WorkspaceScope};

use crate::authorise::{Action, Caller, authorise};
use crate::bots::BINDINGS_TURN;
use crate::changes::tell;
use crate::erase::refuse_shell;
use crate::routing::RULES_TURN;
use crate::{Desk, DeskError};

/// The longest name, in characters.
const MAX_LABEL: usize = 100;
/// A count goes no further than this.
pub const COUNTED: u32 = 10_000;
/// How many contacts one transaction moves: others wait for it on SQLite.
const BATCH: u32 = 1_000;

/// A label and how many contacts have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelCount {
    /// The label.
    pub label: Label,
    /// How many contacts have it, [`COUNTED`] at most; `None` if that was not asked for.
    pub contacts: Option<u32>,
}

/// Labels whose names begin so, by name; goes on behind `after`.
///
/// # Errors
/// When the database fails.
pub async fn list(
    desk: &Desk,
    caller: &Caller,
    prefix: &str,
    after: Option<LabelId>,
    limit: u32,
    counts: bool,
) -> Result<Vec<LabelCount>, DeskError> {
    authorise(caller, Action::ReadContacts)?;
    let reader = desk.reader(&caller.scope);
    let mut labels = Vec::new();
    for label in reader.labels(prefix, after, limit).await? {
        let contacts = if counts { Some(reader.count_labelled(&label.name, COUNTED).await?) } else { None };
        labels.push(LabelCount { label, contacts });
    }
    Ok(labels)
}

/// Puts a label on a contact, and makes it if there is none of that name. Twice is once.
///
/// # Errors
/// [`DeskError::NotFound`] for an unknown contact; [`DeskError::Invalid`] for what is no name; [`DeskError::Conflict`] while the
/// label is being renamed or taken away.
pub async fn put(desk: &Desk, caller: &Caller, contact: ContactId, name: &str) -> Result<StoredContact, DeskError> {
    authorise(caller, Action::WriteContacts)?;
    let (desk_in, now, name) = (desk.clone(), desk.now(), Arc::new(checked(name)?));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, name) = (desk_in.clone(), name.clone());
            Box::pin(async move {
                let contact = tx.contact(contact).await?.ok_or(NO_CONTACT)?.contact.id;
                refuse_shell(tx, contact).await?;
                if let Some(label) = attach(tx, &desk, contact, &name).await? {
                    tell(tx, desk.ids(), Some(contact), "contact.labelled", json!({ "label": label }), now).await?;
                }
                tx.contact(contact).await?.ok_or(NO_CONTACT)
            })
        })
        .await
}

const NO_CONTACT: DeskError = DeskError::NotFound { what: "contact" };

/// Puts a label on a contact that is there; its name as it is written, `None` if the contact has it.
pub(crate) async fn attach(tx: &Tx, desk: &Desk, contact: ContactId, name: &str) -> Result<Option<String>, DeskError> {
    let label = tx.ensure_label(LabelId::new(desk.ids()), name, desk.now()).await?;
    settled(tx, &label.name).await?;
    Ok(tx.label_contact(contact, &label.name).await?.then_some(label.name))
}

/// Takes a label off a contact. One that it does not have is no error.
///
/// # Errors
/// [`DeskError::NotFound`] for an unknown contact.
pub async fn remove(desk: &Desk, caller: &Caller, contact: ContactId, name: &str) -> Result<StoredContact, DeskError> {
    authorise(caller, Action::WriteContacts)?;
    let (desk_in, now, name) = (desk.clone(), desk.now(), Arc::new(name.trim().to_owned()));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, name) = (desk_in.clone(), name.clone());
            Box::pin(async move {
                let stored = tx.contact(contact).await?.ok_or(NO_CONTACT)?;
                let contact = stored.contact.id;
                let has = stored.labels.iter().find(|label| field_key(label) == field_key(&name));
                if let Some(label) = has
                    && tx.unlabel_contact(contact, label).await?
                {
                    tell(tx, desk.ids(), Some(contact), "contact.unlabelled", json!({ "label": label }), now).await?;
                }
                tx.contact(contact).await?.ok_or(NO_CONTACT)
            })
        })
        .await
}

/// Gives a label another name, on every contact that has it, and in rules and bindings that ask for it.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::Conflict`] for a name that another label has; [`DeskError::Invalid`] for what is none.
pub async fn rename(desk: &Desk, caller: &Caller, name: &str, new: &str) -> Result<Label, DeskError> {
    authorise(caller, Action::ManageCatalogues)?;
    let new = checked(new)?;
    move_all(desk, caller, name, Some(new.clone())).await?;
    desk.reader(&caller.scope).label(&new).await?.ok_or(DeskError::NotFound { what: "label" })
}

/// Deletes a label, and takes it off every contact.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn delete(desk: &Desk, caller: &Caller, name: &str) -> Result<(), DeskError> {
    authorise(caller, Action::ManageCatalogues)?;
    move_all(desk, caller, name, None).await
}

async fn move_all(desk: &Desk, caller: &Caller, name: &str, becomes: Option<String>) -> Result<(), DeskError> {
    let (desk_in, now) = (desk.clone(), desk.now());
    let (name, becomes) = (Arc::new(name.to_owned()), Arc::new(becomes));
    let moved = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let (desk, name, becomes) = (desk_in.clone(), name.clone(), becomes.clone());
            Box::pin(async move {
                let known = tx.label(&name).await?.ok_or(DeskError::NotFound { what: "label" })?;
                settled(tx, &known.name).await?;
                if let Some(new) = becomes.as_deref() {
                    settled(tx, new).await?;
                    if tx.label(new).await?.is_some_and(|other| other.id != known.id) {
                        return Err(DeskError::conflict("duplicate", format!("there is a label `{new}` already")));
                    }
                }
                let moved = tx.begin_moving_label(&name, becomes.as_deref()).await?;
                let moved = moved.ok_or(DeskError::NotFound { what: "label" })?;
                if let Some(new) = &moved.becomes {
                    rename_in_conditions(tx, &moved.label, new, now).await?;
                }
                let data = json!({ "label": moved.label, "becomes": moved.becomes });
                let kind = if moved.becomes.is_some() { "label.renamed" } else { "label.deleted" };
                tell(tx, desk.ids(), None, kind, data, now).await?;
                Ok(moved)
            })
        })
        .await?;
    go_on(desk, &caller.scope, &moved).await
}

/// Assignment rules and bots' bindings name a label by its name: what was for those who have it stays for them.
async fn rename_in_conditions(tx: &Tx, label: &str, new: &str, now: OffsetDateTime) -> Result<(), DeskError> {
    tx.take_turn(RULES_TURN).await?;
    for mut rule in tx.assignment_rules().await? {
        if rename_in(&mut rule.condition.labels, label, new) {
            tx.put_assignment_rule(&rule, now).await?;
        }
    }
    tx.take_turn(BINDINGS_TURN).await?;
    for bot in tx.agents().await?.into_iter().filter(|stored| stored.agent.role == Role::Bot) {
        let mut bindings = tx.bot_bindings(bot.agent.id).await?;
        let mut changed = false;
        for binding in &mut bindings {
            changed |= rename_in(&mut binding.condition.labels, label, new);
        }
        if changed {
            tx.bind_bot(bot.agent.id, &bindings).await?;
        }
    }
    Ok(())
}

/// Whether it was among them.
fn rename_in(labels: &mut [String], label: &str, new: &str) -> bool {
    let mut renamed = false;
    for known in labels.iter_mut().filter(|known| field_key(known) == field_key(label)) {
        new.clone_into(known);
        renamed = true;
    }
    renamed
}

/// Ends what was begun before a restart.
///
/// # Errors
/// When the database fails; what was moved stays moved.
pub(crate) async fn finish_moves(desk: &Desk, scope: &WorkspaceScope) -> Result<(), DeskError> {
    for moved in desk.reader(scope).label_moves().await? {
        go_on(desk, scope, &moved).await?;
    }
    Ok(())
}

/// Batch by batch, so that nobody waits for all of them.
async fn go_on(desk: &Desk, scope: &WorkspaceScope, moved: &LabelMove) -> Result<(), DeskError> {
    loop {
        let step = moved.clone();
        let count: u64 = desk
            .storage()
            .transact(scope, move |tx| {
                let step = step.clone();
                Box::pin(async move { Ok::<_, DeskError>(tx.go_on_moving_label(&step, BATCH).await?) })
            })
            .await?;
        if count < u64::from(BATCH) {
            return Ok(());
        }
    }
}

/// Nothing happens to a label while its contacts are being moved.
async fn settled(tx: &Tx, name: &str) -> Result<(), DeskError> {
    let same = |other: &str| field_key(other) == field_key(name);
    let moves = tx.label_moves().await?;
    if moves.iter().any(|moved| same(&moved.label) || moved.becomes.as_deref().is_some_and(same)) {
        let detail = format!("`{name}` is being renamed or taken away: ask again in a moment");
        return Err(DeskError::conflict("label_busy", detail));
    }
    Ok(())
}

fn checked(name: &str) -> Result<String, DeskError> {
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() || name.chars().count() > MAX_LABEL || name.contains(char::is_control) {
        let detail = format!("a label has 1 to {MAX_LABEL} characters, and no control characters");
        return Err(DeskError::invalid("name_missing", "label", detail));
    }
    Ok(name)
}
