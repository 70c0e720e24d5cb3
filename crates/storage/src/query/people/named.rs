//! Many people by their ids, for pages: one statement for all of them.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use transom_domain::{Contact, ContactId, Identity, IdentityId, Profile};
use transom_windows::Person;
use uuid::Uuid;

use super::facts::read_facts;
use crate::entity::{contacts, identities};
use crate::query::from_json;
use crate::{Reader, StorageError};

/// How many ids one statement names.
const CHUNK: usize = 500;

impl Reader {
    /// These identities, with what the rule engine keeps of them. One that was joined to another, or is of another workspace, is
    /// left out.
    pub async fn known_people(
        &self,
        ids: &[IdentityId],
    ) -> Result<BTreeMap<IdentityId, (Identity, Person)>, StorageError> {
        let mut found = BTreeMap::new();
        for ids in ids.chunks(CHUNK) {
            let rows = identities::Entity::find()
                .filter(identities::Column::WorkspaceId.eq(self.ws()))
                .filter(identities::Column::Id.is_in(ids.iter().map(|id| id.uuid())))
                .all(&self.conn)
                .await?;
            for row in rows {
                let facts = read_facts(row.id, &row.facts)?;
                found.insert(row.id.into(), (row.try_into()?, facts));
            }
        }
        Ok(found)
    }

    /// The names to show of these contacts; who is unknown is left out, and so is who has none.
    pub async fn contact_names(&self, ids: &[ContactId]) -> Result<BTreeMap<ContactId, String>, StorageError> {
        use contacts::Column as C;
        let mut names = BTreeMap::new();
        for ids in ids.chunks(CHUNK) {
            let rows: Vec<(Uuid, Option<String>, serde_json::Value)> = contacts::Entity::find()
                .select_only()
                .columns([C::Id, C::DisplayName, C::Profile])
                .filter(C::WorkspaceId.eq(self.ws()))
                .filter(C::Id.is_in(ids.iter().map(|id| id.uuid())))
                .into_tuple()
                .all(&self.conn)
                .await?;
            for (id, display_name, profile) in rows {
                let profile: Profile = from_json(profile, ("contacts", "profile", id))?;
                names.extend(Contact::name_of(display_name, &profile).map(|name| (id.into(), name)));
            }
        }
        Ok(names)
    }
}
