//! One line of an import: who it is, and what it changes.

use std::collections::BTreeSet;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, Region};
use serde_json::{Value, json};
use time::OffsetDateTime;
use transom_domain::{Address, Contact, ContactId, CustomField, CustomFieldId, FieldValue, Profile};
use transom_storage::{ItemState, JobItem, StoredContact, Tx};

use super::file::of_field;
use crate::changes::tell;
use crate::contacts::{WRITTEN, checked, e164, somebody};
use crate::erase::refuse_erased;
use crate::labels as labels_of;
use crate::{Desk, DeskError, custom_fields};

/// How long a label may be, and how many a line may bring.
const LABEL: usize = 100;
const LABELS: usize = 20;
/// How much is kept of why a line fails, in characters: it may quote a cell of any length.
const DETAIL: usize = 500;

/// One line after the other.
pub(super) struct Filing<'a> {
    pub(super) desk: &'a Desk,
    pub(super) labels: &'a [String],
    pub(super) fields: &'a [CustomField],
    pub(super) dry_run: bool,
    pub(super) country: Option<&'a str>,
    pub(super) now: OffsetDateTime,
}

/// What a line says.
struct Line {
    display_name: Option<String>,
    profile: Profile,
    labels: BTreeSet<String>,
    fields: Vec<(CustomFieldId, FieldValue)>,
}

/// What came of a line: of whom, and how.
type Filed = (ItemState, Option<ContactId>);

impl Filing<'_> {
    pub(super) async fn on(&self, tx: &Tx, item: JobItem) -> Result<JobItem, DeskError> {
        let input = item.input.clone().unwrap_or_default();
        let filed = match self.line(&input) {
            Ok(line) => self.file(tx, line).await,
            Err(error) => Err(error),
        };
        match filed {
            Ok((state, contact)) => {
                let outcome = contact.map(|contact| json!({ "contact": contact }));
                Ok(JobItem { state, code: None, input: None, outcome, ..item })
            }
            Err(DeskError::Storage(error)) => Err(error.into()),
            Err(error) => {
                let detail: String = error.to_string().chars().take(DETAIL).collect();
                let failed = item.failed(error.code());
                Ok(JobItem { outcome: Some(json!({ "detail": detail })), ..failed })
            }
        }
    }

    fn line(&self, input: &Value) -> Result<Line, DeskError> {
        let cell = |name: &str| input.get(name).and_then(Value::as_str).map(str::to_owned);
        let profile = Profile {
            first_name: cell("first_name"),
            last_name: cell("last_name"),
            external_id: cell("external_id"),
            email: cell("email"),
            phone: cell("phone").map(|phone| self.phone(&phone)).transpose()?,
            language: cell("language"),
            time_zone: cell("time_zone"),
            ..Profile::default()
        };
        let own = cell("labels").unwrap_or_default();
        let own = labels(own.split([',', ';', '|']))?;
        let profile = checked(profile)?;
        let mut fields = Vec::new();
        for field in self.fields {
            let value = cell(&of_field(field)).map(|cell| field.read_text(&cell)).transpose()?.flatten();
            if field.archived && value.is_some() {
                return Err(custom_fields::archived(field));
            }
            fields.extend(value.map(|value| (field.id, value)));
        }
        Ok(Line {
            display_name: cell("display_name"),
            profile,
            labels: own.into_iter().chain(self.labels.to_vec()).collect(),
            fields,
        })
    }

    /// In E.164; a national number is one of the workspace's country.
    fn phone(&self, phone: &str) -> Result<String, DeskError> {
        let region: Option<Region> = self.country.and_then(|country| country.parse().ok());
        if phone.starts_with('+') || region.is_none() {
            return e164(phone);
        }
        let number =
            PHONE_NUMBER_UTIL.parse(phone, region).ok().filter(|number| PHONE_NUMBER_UTIL.is_valid_number(number));
        match number {
            Some(number) => Ok(PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).into_owned()),
            None => {
                let country = self.country.unwrap_or_default();
                let detail = format!("`{phone}` is no phone number of {country}: {WRITTEN}");
                Err(DeskError::invalid("phone_invalid", "phone", detail))
            }
        }
    }

    async fn file(&self, tx: &Tx, line: Line) -> Result<Filed, DeskError> {
        match found(tx, &line.profile).await? {
            Some(id) => {
                let stored = tx.lock_contact(id).await?.ok_or(DeskError::NotFound { what: "contact" })?;
                self.change(tx, stored, line).await
            }
            None => self.add(tx, line).await,
        }
    }

    async fn add(&self, tx: &Tx, line: Line) -> Result<Filed, DeskError> {
        let contact = Contact {
            id: ContactId::new(self.desk.ids()),
            display_name: line.display_name,
            profile: line.profile,
            blocked: false,
            created_at: self.now,
        };
        somebody(&contact)?;
        refuse_erased(tx, &contact).await?;
        if self.dry_run {
            return Ok((ItemState::Created, None));
        }
        tx.insert_contact(&contact, self.now).await?;
        for label in &line.labels {
            labels_of::attach(tx, self.desk, contact.id, label).await?;
        }
        for (field, value) in &line.fields {
            tx.set_contact_field(contact.id, *field, value).await?;
        }
        tell(tx, self.desk.ids(), Some(contact.id), "contact.created", json!({}), self.now).await?;
        Ok((ItemState::Created, Some(contact.id)))
    }

    /// Takes what the line says; what it leaves out stays.
    async fn change(&self, tx: &Tx, stored: StoredContact, line: Line) -> Result<Filed, DeskError> {
        let mut contact = stored.contact.clone();
        contact.profile = contact.profile.updated_by(line.profile);
        contact.display_name = match line.display_name {
            // An export gives the name of the platform where nobody chose another.
            Some(name) if contact.display_name.is_none() && contact.profile.name.as_ref() == Some(&name) => None,
            Some(name) => Some(name),
            None => contact.display_name,
        };
        let has = |label: &str| stored.labels.iter().any(|known| known.to_lowercase() == label.to_lowercase());
        let lacks: Vec<&String> = line.labels.iter().filter(|label| !has(label)).collect();
        let id = contact.id;
        let mut fields = line.fields;
        fields.retain(|(field, value)| !stored.fields.iter().any(|had| had.field == *field && had.value == *value));
        if contact == stored.contact && lacks.is_empty() && fields.is_empty() {
            return Ok((ItemState::Unchanged, Some(id)));
        }
        if self.dry_run {
            return Ok((ItemState::Changed, Some(id)));
        }
        if contact != stored.contact {
            tx.update_contact(&contact, None, self.now).await?.ok_or(DeskError::NotFound { what: "contact" })?;
        }
        for label in lacks {
            labels_of::attach(tx, self.desk, id, label).await?;
        }
        for (field, value) in &fields {
            tx.set_contact_field(id, *field, value).await?;
        }
        tell(tx, self.desk.ids(), Some(id), "contact.changed", json!({}), self.now).await?;
        Ok((ItemState::Changed, Some(id)))
    }
}

/// Labels as they are stored: each once, none blank.
pub(super) fn labels<'l>(labels: impl Iterator<Item = &'l str>) -> Result<Vec<String>, DeskError> {
    let labels: BTreeSet<String> = labels.map(str::trim).filter(|label| !label.is_empty()).map(str::to_owned).collect();
    if labels.len() > LABELS || labels.iter().any(|label| label.chars().count() > LABEL) {
        let detail = format!("at most {LABELS} labels of {LABEL} characters each");
        return Err(DeskError::invalid("labels_invalid", "labels", detail));
    }
    Ok(labels.into_iter().collect())
}

/// The contact of that number, address or id.
///
/// # Errors
/// `contact_ambiguous` when they are those of several.
async fn found(tx: &Tx, profile: &Profile) -> Result<Option<ContactId>, DeskError> {
    let mut found = BTreeSet::new();
    for (kind, value) in [("phone", &profile.phone), ("email", &profile.email), ("external_id", &profile.external_id)] {
        if let Some(value) = value {
            found.extend(tx.contact_named(&Address::new(kind, value.as_str())).await?);
        }
    }
    if found.len() > 1 {
        let detail = "phone number, email address and external id are those of several contacts: merge them first";
        return Err(DeskError::conflict("contact_ambiguous", detail));
    }
    Ok(found.into_iter().next())
}
