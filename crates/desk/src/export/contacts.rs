//! Contacts, the newest first: those that come meanwhile are not among them.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use transom_domain::CustomFieldId;
use transom_storage::{ContactField, ContactQuery, StoredContact};

use super::conversations::at;
use super::sheet::Sheet;
use super::{Format, Lines};
use crate::authorise::{Action, Caller, authorise};
use crate::{Desk, DeskError, custom_fields};

/// How many are read together.
const PAGE: u32 = 200;

const COLUMNS: [&str; 14] = [
    "contact",
    "display_name",
    "first_name",
    "last_name",
    "phone",
    "email",
    "external_id",
    "language",
    "time_zone",
    "username",
    "blocked",
    "labels",
    "channels",
    "created_at",
];

/// The lines of an export of contacts; paging of the query is of no account.
///
/// # Errors
/// [`DeskError::Forbidden`].
pub async fn contacts(desk: &Desk, caller: &Caller, query: ContactQuery, format: Format) -> Result<Lines, DeskError> {
    authorise(caller, Action::Export)?;
    let fields = desk.reader(&caller.scope).custom_fields(false).await?;
    let own = fields.iter().map(|stored| custom_fields::column(&stored.field));
    let sheet = Sheet::new(format, COLUMNS.iter().map(ToString::to_string).chain(own).collect())?;
    let walk = Walk {
        desk: desk.clone(),
        caller: caller.clone(),
        sheet,
        fields: fields.into_iter().map(|stored| stored.field.id).collect(),
        query: Some(ContactQuery { after: None, limit: PAGE, ..query }),
    };
    let lines =
        stream::try_unfold(walk, |mut walk| async move { Ok(walk.next().await?.map(|chunk| (chunk, walk))) }).boxed();
    super::record::kept(desk, caller, json!({ "contacts": "filter" }), lines).await
}

struct Walk {
    desk: Desk,
    caller: Caller,
    sheet: Sheet,
    /// The custom fields, in the order of their columns.
    fields: Vec<CustomFieldId>,
    /// The next page; `None` behind the last.
    query: Option<ContactQuery>,
}

impl Walk {
    async fn next(&mut self) -> Result<Option<Bytes>, DeskError> {
        if let Some(query) = self.query.take() {
            let page = self.desk.reader(&self.caller.scope).contacts(&query).await?;
            for stored in &page {
                let own = self.fields.iter().map(|field| value_of(*field, &stored.fields));
                self.sheet.line(of_contact(stored).into_iter().chain(own).collect())?;
            }
            let last = page.last().filter(|_| page.len() as u64 == u64::from(PAGE));
            self.query =
                last.map(|last| ContactQuery { after: Some((last.contact.created_at, last.contact.id)), ..query });
        }
        let chunk = self.sheet.take();
        Ok((!chunk.is_empty()).then(|| Bytes::from(chunk)))
    }
}

fn value_of(field: CustomFieldId, values: &[ContactField]) -> Value {
    values.iter().find(|value| value.field == field).map_or(Value::Null, |found| found.value.json())
}

fn of_contact(stored: &StoredContact) -> Vec<Value> {
    let (contact, profile) = (&stored.contact, &stored.contact.profile);
    let channels: Vec<_> = stored.identities.iter().map(|identity| identity.account).collect();
    vec![
        json!(contact.id),
        json!(contact.display_name.as_ref().or(profile.name.as_ref())),
        json!(profile.first_name),
        json!(profile.last_name),
        json!(profile.phone),
        json!(profile.email),
        json!(profile.external_id),
        json!(profile.language),
        json!(profile.time_zone),
        json!(profile.username),
        json!(contact.blocked),
        json!(stored.labels),
        json!(channels),
        at(Some(contact.created_at)),
    ]
}
