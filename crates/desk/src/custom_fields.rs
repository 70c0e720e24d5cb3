//! The fields that a workspace makes for its contacts: made, changed, filled.

use std::sync::Arc;

use serde_json::{Value, json};
use transom_domain::{ContactId, CustomField, CustomFieldId, FieldError, FieldKind, field_key};
use transom_storage::{StoredField, Tx};

use crate::authorise::{Action, Caller, authorise};
use crate::changes::tell;
use crate::idempotency::{Once, only_once};
use crate::{Desk, DeskError};

/// How many fields a workspace has at most, those in the archive included: all of them are shown with each contact.
const MAX_FIELDS: usize = 200;
const MAX_OPTIONS: usize = 200;
/// The longest name, and the longest option, in characters.
const MAX_NAME: usize = 100;

/// What every contact has anyway: texts look these up under the same names.
pub(crate) const BUILT_IN: [&str; 9] =
    ["name", "first_name", "last_name", "username", "external_id", "email", "phone", "language", "agent_name"];

/// A field to make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewField {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: FieldKind,
    /// What can be chosen, for [`FieldKind::Choice`].
    pub options: Vec<String>,
}

/// What may change about a field; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldChange {
    /// Its name.
    pub name: Option<String>,
    /// What can be chosen. Values that are an option no more stay until they are changed.
    pub options: Option<Vec<String>>,
    /// Whether it is offered no more.
    pub archived: Option<bool>,
}

/// What a contact is to have in a field, which is made if there is none of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPatch {
    /// The field's name.
    pub name: String,
    /// What a new field's values are: text unless said. Of a field that is there it must be the kind.
    pub kind: Option<FieldKind>,
    /// What can be chosen in a new field.
    pub options: Vec<String>,
    /// The value; `null` or a blank text empties the field.
    pub value: Value,
}

impl From<FieldError> for DeskError {
    fn from(error: FieldError) -> Self {
        DeskError::invalid("field_value_invalid", "fields", error)
    }
}

/// The column of a field in a table of contacts.
pub(crate) fn column(field: &CustomField) -> String {
    format!("{COLUMN}{}", field.name)
}

/// What the names of such columns begin with.
pub(crate) const COLUMN: &str = "custom.";

/// The fields whose names begin so, by name.
///
/// # Errors
/// When the database fails.
pub async fn list(desk: &Desk, caller: &Caller, prefix: &str, archived: bool) -> Result<Vec<StoredField>, DeskError> {
    authorise(caller, Action::ReadContacts)?;
    let prefix = field_key(prefix);
    let mut fields = desk.reader(&caller.scope).custom_fields(archived).await?;
    fields.retain(|stored| field_key(&stored.field.name).starts_with(&prefix));
    Ok(fields)
}

/// One field.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn get(desk: &Desk, caller: &Caller, id: CustomFieldId) -> Result<StoredField, DeskError> {
    authorise(caller, Action::ReadContacts)?;
    desk.reader(&caller.scope).custom_field(id).await?.ok_or(MISSING)
}

const MISSING: DeskError = DeskError::NotFound { what: "custom field" };

/// Makes a field.
///
/// # Errors
/// [`DeskError::Conflict`] for a name that is taken; [`DeskError::Invalid`] for one that is none, or for wrong options.
pub async fn add(
    desk: &Desk,
    caller: &Caller,
    new: NewField,
    once: Option<Once<StoredField>>,
) -> Result<StoredField, DeskError> {
    authorise(caller, Action::WriteContacts)?;
    let (desk_in, new, once, now) = (desk.clone(), Arc::new(checked(new)?), once.map(Arc::new), desk.now());
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, new, once) = (desk_in.clone(), new.clone(), once.clone());
            Box::pin(async move { only_once(once.as_deref(), tx, now, made(tx, &desk, &new)).await })
        })
        .await
}

/// Changes a field.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::VersionMismatch`]; as [`add`].
pub async fn change(
    desk: &Desk,
    caller: &Caller,
    id: CustomFieldId,
    change: FieldChange,
    expected: Option<u64>,
) -> Result<StoredField, DeskError> {
    authorise(caller, Action::ManageCatalogues)?;
    let (desk_in, change, now) = (desk.clone(), Arc::new(change), desk.now());
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, change) = (desk_in.clone(), change.clone());
            Box::pin(async move {
                let CustomField { name, kind, options, archived, .. } =
                    tx.custom_field(id).await?.ok_or(MISSING)?.field;
                let FieldChange { name: new_name, options: new_options, archived: put_away } = (*change).clone();
                let wanted = NewField { name: new_name.unwrap_or(name), kind, options: new_options.unwrap_or(options) };
                let NewField { name, kind, options } = checked(wanted)?;
                if tx.custom_field_named(&name).await?.is_some_and(|other| other.field.id != id) {
                    return Err(taken(&name));
                }
                let field = CustomField { id, name, kind, options, archived: put_away.unwrap_or(archived) };
                if !tx.update_custom_field(&field, expected, now).await? {
                    return Err(DeskError::VersionMismatch);
                }
                tell(tx, desk.ids(), None, "custom_field.changed", json!({ "custom_field": id }), now).await?;
                tx.custom_field(id).await?.ok_or(MISSING)
            })
        })
        .await
}

/// Fills a contact's fields, and makes those that are missing.
pub(crate) async fn fill(tx: &Tx, desk: &Desk, contact: ContactId, patches: &[FieldPatch]) -> Result<(), DeskError> {
    for patch in patches {
        let field = match tx.custom_field_named(&patch.name).await? {
            Some(known) => known.field,
            None if patch.value.is_null() => return Err(unknown(&patch.name)),
            None => {
                let new = NewField {
                    name: patch.name.clone(),
                    kind: patch.kind.unwrap_or_default(),
                    options: patch.options.clone(),
                };
                match made(tx, desk, &checked(new)?).await {
                    // Somebody was faster: theirs is the field.
                    Err(DeskError::Conflict { .. }) => tx.custom_field_named(&patch.name).await?.ok_or(MISSING)?.field,
                    made => made?.field,
                }
            }
        };
        if let Some(kind) = patch.kind.filter(|kind| *kind != field.kind) {
            let detail = format!(
                "`{}` is a field of type {}, not {}: leave `type` out",
                field.name,
                field.kind.as_str(),
                kind.as_str()
            );
            return Err(DeskError::invalid("field_value_invalid", "fields", detail));
        }
        let value = if patch.value.is_null() { None } else { field.read(&patch.value)? };
        match value {
            Some(_) if field.archived => return Err(archived(&field)),
            Some(value) => tx.set_contact_field(contact, field.id, &value).await?,
            None => {
                tx.clear_contact_field(contact, field.id).await?;
            }
        }
    }
    Ok(())
}

pub(crate) fn archived(field: &CustomField) -> DeskError {
    let detail = format!("`{}` is in the archive: bring it back, or use another field", field.name);
    DeskError::conflict("field_archived", detail)
}

fn unknown(name: &str) -> DeskError {
    DeskError::invalid("field_unknown", "fields", format!("there is no field `{name}` to empty"))
}

fn taken(name: &str) -> DeskError {
    DeskError::conflict("duplicate", format!("there is a custom field `{name}` already, perhaps in the archive"))
}

/// Stores a field that was checked.
async fn made(tx: &Tx, desk: &Desk, new: &NewField) -> Result<StoredField, DeskError> {
    if tx.custom_fields(true).await?.len() >= MAX_FIELDS {
        let detail = format!("a workspace has at most {MAX_FIELDS} custom fields, those in the archive included");
        return Err(DeskError::invalid("too_many", "name", detail));
    }
    let (id, now) = (CustomFieldId::new(desk.ids()), desk.now());
    let NewField { name, kind, options } = new.clone();
    let field = CustomField { id, name, kind, options, archived: false };
    if !tx.insert_custom_field(&field, now).await? {
        return Err(taken(&field.name));
    }
    tell(tx, desk.ids(), None, "custom_field.created", json!({ "custom_field": id, "name": field.name }), now).await?;
    tx.custom_field(id).await?.ok_or(MISSING)
}

/// Name and options as they may be stored.
fn checked(new: NewField) -> Result<NewField, DeskError> {
    let name = named(&new.name).ok_or_else(|| {
        let detail = format!("a field's name has 1 to {MAX_NAME} characters, and no braces or control characters");
        DeskError::invalid("name_missing", "name", detail)
    })?;
    if BUILT_IN.contains(&field_key(&name).as_str()) {
        let detail = format!("every contact has `{name}` already: it is no custom field");
        return Err(DeskError::invalid("field_reserved", "name", detail));
    }
    let mut options: Vec<String> = Vec::new();
    for option in &new.options {
        let option = named(option).ok_or_else(|| {
            let detail = format!("an option has 1 to {MAX_NAME} characters, and no braces or control characters");
            DeskError::invalid("field_options", "options", detail)
        })?;
        if options.iter().all(|known| field_key(known) != field_key(&option)) {
            options.push(option);
        }
    }
    let detail = match (new.kind, options.len()) {
        (FieldKind::Choice, 0) => "a choice needs options".to_owned(),
        (FieldKind::Choice, count) if count > MAX_OPTIONS => format!("at most {MAX_OPTIONS} options are taken"),
        (FieldKind::Choice, _) | (_, 0) => return Ok(NewField { name, kind: new.kind, options }),
        (kind, _) => format!("a field of type {} has no options: leave them out", kind.as_str()),
    };
    Err(DeskError::invalid("field_options", "options", detail))
}

/// A name with one space between words; `None` for what is no name.
fn named(name: &str) -> Option<String> {
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    let fits = !name.is_empty() && name.chars().count() <= MAX_NAME;
    // Braces would end the place in a text that stands for it.
    (fits && !name.contains(|c: char| c.is_control() || matches!(c, '{' | '}'))).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(name: &str, kind: FieldKind, options: &[&str]) -> NewField {
        NewField { name: name.into(), kind, options: options.iter().map(|&option| option.into()).collect() }
    }

    #[test]
    fn names_and_options_are_kept_in_one_form() {
        let kept = checked(new("  Order   num ", FieldKind::Choice, &["A", " a ", "B"])).unwrap();
        assert_eq!(kept, new("Order num", FieldKind::Choice, &["A", "B"]));
    }

    #[test]
    fn what_is_no_field_is_refused() {
        for (wrong, code) in [
            (new(" ", FieldKind::Text, &[]), "name_missing"),
            (new("a}}b", FieldKind::Text, &[]), "name_missing"),
            (new("First_Name", FieldKind::Text, &[]), "field_reserved"),
            (new("size", FieldKind::Choice, &[]), "field_options"),
            (new("size", FieldKind::Text, &["S"]), "field_options"),
        ] {
            assert_eq!(checked(wrong).unwrap_err().code(), code);
        }
    }
}
