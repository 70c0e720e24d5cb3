//! Two contacts made one by a person, and made two again.
//!
//! What is said of a contact is taken as a set of facts, each a name and a text. Of two contacts the kept one's word counts, and
//! the other's fills the gaps; the record keeps both, so that nothing is lost. Taking it back gives each fact that nobody touched
//! since its old word. Identities, with what the rules know of them, and conversations are only carried over, never changed.

use std::collections::BTreeMap;

use sea_orm::sea_query::LockType;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use time::OffsetDateTime;
use transom_domain::{Actor, ContactId, FieldValue, IdentityId, MergeId};
use uuid::Uuid;

use super::contacts::StoredContact;
use super::merge_facts::{
    AGENT, DISPLAY_NAME, FIELD, Facts, LABEL, PROFILE, Told, field_of, given_back, merged, profile_of,
};
use super::merge_recipients::Carried;
use super::statement::Sql;
use crate::entity::{aliases, contact_fields, contact_labels, contact_merges, contacts, identities};
use crate::instant::Millis;
use crate::query::{from_json, millis, to_json};
use crate::{Reader, StorageError, Tx};

/// Others who bring a new identity of the same contacts make it begin again.
const ROUNDS: usize = 4;
/// A contact as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Side {
    facts: Facts,
    /// When each field of the profile was told, those that are empty by now among them.
    profile_at: Json,
    profile_until: i64,
    blocked: bool,
    created_at: i64,
    version: i64,
    identities: Vec<Uuid>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    kept: Side,
    gone: Side,
    /// What was said of the kept contact right after.
    became: Facts,
    /// Ids that meant the other contact already.
    aliases: Vec<Uuid>,
    /// What became of the other one's places in broadcasts.
    #[serde(default)]
    recipients: Vec<Carried>,
}

/// A merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMerge {
    /// Its id.
    pub id: MergeId,
    /// The contact that stayed.
    pub kept: ContactId,
    /// The one that became a part of it.
    pub gone: ContactId,
    /// Where both said something, and not the same: what the kept one says, and what gave way to it.
    pub conflicts: Vec<MergeConflict>,
    /// Whether both were blocked, or neither.
    pub blocked_alike: bool,
    /// The identities that came over.
    pub moved: Vec<IdentityId>,
    /// Who did it.
    pub by: Actor,
    /// When.
    pub at: OffsetDateTime,
    /// Who took it back, and when.
    pub undone: Option<(Actor, OffsetDateTime)>,
}

/// Something that two contacts said differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeConflict {
    /// `display_name`, a field of the profile such as `email`, `field.` and the id of a custom field, or `agent`.
    pub field: String,
    /// What the kept contact says.
    pub kept: String,
    /// What gave way.
    pub lost: String,
}

impl Record {
    fn conflicts(&self) -> Vec<MergeConflict> {
        let conflict = |(name, kept): (&String, &Told)| {
            let lost = self.gone.facts.get(name).filter(|lost| lost.text != kept.text)?;
            let field = name.strip_prefix(PROFILE).unwrap_or(name).to_owned();
            Some(MergeConflict { field, kept: kept.text.clone(), lost: lost.text.clone() })
        };
        self.kept.facts.iter().filter_map(conflict).collect()
    }
}

fn read_record(row: &contact_merges::Model) -> Result<Record, StorageError> {
    from_json(row.record.clone(), ("contact_merges", "record", row.id))
}

impl TryFrom<contact_merges::Model> for StoredMerge {
    type Error = StorageError;

    fn try_from(row: contact_merges::Model) -> Result<Self, StorageError> {
        let place = |column| ("contact_merges", column, row.id);
        let record = read_record(&row)?;
        let undone = match (row.undone_by, row.undone_at) {
            (Some(by), Some(at)) => Some((from_json(by, place("undone_by"))?, at.at())),
            _ => None,
        };
        Ok(Self {
            id: row.id.into(),
            kept: row.kept_id.into(),
            gone: row.gone_id.into(),
            conflicts: record.conflicts(),
            blocked_alike: record.kept.blocked == record.gone.blocked,
            moved: record.gone.identities.iter().copied().map(Into::into).collect(),
            by: from_json(row.merged_by, place("merged_by"))?,
            at: row.merged_at.at(),
            undone,
        })
    }
}

impl Reader {
    /// One merge.
    pub async fn merge(&self, id: MergeId) -> Result<Option<StoredMerge>, StorageError> {
        self.merge_row(id).await?.map(TryInto::try_into).transpose()
    }

    async fn merge_row(&self, id: MergeId) -> Result<Option<contact_merges::Model>, StorageError> {
        Ok(contact_merges::Entity::find_by_id((self.ws(), id.uuid())).one(&self.conn).await?)
    }

    /// The merges that made a contact what it is, the newest first.
    pub async fn merges_into(&self, kept: ContactId, limit: u32) -> Result<Vec<StoredMerge>, StorageError> {
        use contact_merges::Column as C;
        let rows = contact_merges::Entity::find()
            .filter(C::WorkspaceId.eq(self.ws()))
            .filter(C::KeptId.eq(kept.uuid()))
            .order_by_desc(C::MergedAt)
            .order_by_desc(C::Id)
            .limit(u64::from(limit))
            .all(&self.conn)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The merge after which this one can't be taken back: a later one of the same contact.
    pub async fn later_merge(&self, merge: &StoredMerge) -> Result<Option<MergeId>, StorageError> {
        use contact_merges::Column as C;
        let of = |column: C| {
            contact_merges::Entity::find()
                .filter(C::WorkspaceId.eq(self.ws()))
                .filter(column.eq(merge.kept.uuid()))
                .filter(C::UndoneAt.is_null())
                .filter(C::Id.gt(merge.id.uuid()))
                .order_by_desc(C::Id)
        };
        let later = match of(C::KeptId).one(&self.conn).await? {
            Some(later) => Some(later),
            None => of(C::GoneId).one(&self.conn).await?,
        };
        Ok(later.map(|row| row.id.into()))
    }

    async fn side(&self, row: &contacts::Model, identities: &[Uuid]) -> Result<Side, StorageError> {
        let (id, ws) = (row.id, self.ws());
        let mut facts = Facts::new();
        let plain = |text: String| Told { text, at: None, by: None };
        facts.extend(row.display_name.clone().map(|name| (DISPLAY_NAME.to_owned(), plain(name))));
        for (field, text) in row.profile.as_object().into_iter().flatten() {
            let told = Told {
                text: text.as_str().unwrap_or_default().to_owned(),
                at: row.profile_at.get(field).and_then(Json::as_i64),
                by: row.profile_by.get(field).and_then(Json::as_str).map(str::to_owned),
            };
            facts.insert(format!("{PROFILE}{field}"), told);
        }
        let labels = contact_labels::Entity::find().filter(contact_labels::Column::WorkspaceId.eq(ws));
        for label in labels.filter(contact_labels::Column::ContactId.eq(id)).all(&self.conn).await? {
            facts.insert(format!("{LABEL}{}", label.label), plain(String::new()));
        }
        let fields = contact_fields::Entity::find().filter(contact_fields::Column::WorkspaceId.eq(ws));
        for field in fields.filter(contact_fields::Column::ContactId.eq(id)).all(&self.conn).await? {
            facts.insert(format!("{FIELD}{}", field.field_id), plain(field.value));
        }
        let agent = self.dedicated_agent(id.into()).await?;
        facts.extend(agent.map(|agent| (AGENT.to_owned(), plain(agent.to_string()))));
        Ok(Side {
            facts,
            profile_at: row.profile_at.clone(),
            profile_until: row.profile_until.0,
            blocked: row.blocked,
            created_at: row.created_at.0,
            version: row.version,
            identities: identities.to_vec(),
        })
    }
}

/// Contacts that are locked, each with its identities.
type Locked = BTreeMap<Uuid, (contacts::Model, Vec<Uuid>)>;

impl Tx {
    /// Locks contacts with all their identities, in everybody's order: identities, then contacts. `None` if one of them is gone.
    async fn lock_contacts(&self, ids: &[Uuid]) -> Result<Option<Locked>, StorageError> {
        let mut before: Option<BTreeMap<Uuid, Vec<Uuid>>> = None;
        for _ in 0..ROUNDS {
            let rows = identities::Entity::find()
                .filter(identities::Column::WorkspaceId.eq(self.ws()))
                .filter(identities::Column::ContactId.is_in(ids.to_vec()))
                .order_by_asc(identities::Column::Id)
                .lock(LockType::NoKeyUpdate)
                .all(&self.conn)
                .await?;
            let mut known: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
            for row in rows {
                known.entry(row.contact_id).or_default().push(row.id);
            }
            let rows = contacts::Entity::find()
                .filter(contacts::Column::WorkspaceId.eq(self.ws()))
                .filter(contacts::Column::Id.is_in(ids.to_vec()))
                .order_by_asc(contacts::Column::Id)
                // No identity can be added to a contact that is locked so.
                .lock(LockType::Update)
                .all(&self.conn)
                .await?;
            if rows.len() < ids.len() {
                return Ok(None);
            }
            if before.as_ref() == Some(&known) {
                let with = |row: contacts::Model| (row.id, (known.get(&row.id).cloned().unwrap_or_default(), row));
                return Ok(Some(rows.into_iter().map(with).map(|(id, (ids, row))| (id, (row, ids))).collect()));
            }
            before = Some(known);
        }
        Err(StorageError::Conflict)
    }

    /// The id under which a contact is known now, locked against a merge until the end of the transaction; `None` if there is
    /// none.
    pub async fn hold_contact(&self, id: ContactId) -> Result<Option<ContactId>, StorageError> {
        self.held(id, LockType::KeyShare).await
    }

    /// A contact that is about to be changed, under whatever id: nobody else changes it before the end of the transaction.
    pub async fn lock_contact(&self, id: ContactId) -> Result<Option<StoredContact>, StorageError> {
        match self.held(id, LockType::NoKeyUpdate).await? {
            Some(id) => self.contact(id).await,
            None => Ok(None),
        }
    }

    async fn held(&self, id: ContactId, lock: LockType) -> Result<Option<ContactId>, StorageError> {
        let mut target = id.uuid();
        // It may be merged while we wait for it.
        for _ in 0..ROUNDS {
            let row = contacts::Entity::find_by_id((self.ws(), target)).lock(lock).one(&self.conn).await?;
            if row.is_some() {
                return Ok(Some(target.into()));
            }
            match self.alias(target).await? {
                Some(other) => target = other,
                None => return Ok(None),
            }
        }
        Err(StorageError::Conflict)
    }

    /// Makes `gone` a part of `kept`. Its id finds `kept` from now on. `None` if one of them is not there any more.
    pub async fn merge_contacts(
        &self,
        id: MergeId,
        (kept, gone): (ContactId, ContactId),
        by: &Actor,
        now: OffsetDateTime,
    ) -> Result<Option<StoredMerge>, StorageError> {
        let (kept, gone) = (kept.uuid(), gone.uuid());
        let Some(mut locked) = self.lock_contacts(&[kept, gone]).await? else { return Ok(None) };
        let (Some((kept_row, kept_ids)), Some((gone_row, gone_ids))) = (locked.remove(&kept), locked.remove(&gone))
        else {
            return Ok(None);
        };
        let (one, other) = (self.side(&kept_row, &kept_ids).await?, self.side(&gone_row, &gone_ids).await?);
        let became = merged(&one.facts, &other.facts);
        let aliases = aliases::Entity::find()
            .filter(aliases::Column::WorkspaceId.eq(self.ws()))
            .filter(aliases::Column::TargetId.eq(gone))
            .all(&self.conn)
            .await?;
        self.write_facts(&kept_row, &one.facts, &became, now).await?;
        self.carry_over(&gone_ids, kept, now).await?;
        let recipients = self.carry_recipients(gone, kept).await?;
        contacts::Entity::delete_by_id((self.ws(), gone)).exec(&self.conn).await?;
        self.leave_alias(gone, kept).await?;
        self.rewrite_terms_and_marks(kept).await?;
        let aliases = aliases.into_iter().map(|alias| alias.id).collect();
        let record = Record { kept: one, gone: other, became, aliases, recipients };
        let row = contact_merges::ActiveModel {
            workspace_id: Set(self.ws()),
            id: Set(id.uuid()),
            kept_id: Set(kept),
            gone_id: Set(gone),
            record: Set(to_json(&record)?),
            merged_by: Set(to_json(by)?),
            merged_at: Set(now.into()),
            undone_by: Set(None),
            undone_at: Set(None),
        };
        contact_merges::Entity::insert(row).exec_without_returning(&self.conn).await?;
        self.merge(id).await
    }

    /// Makes two contacts again of one; `false` if somebody was faster, or the contact is not there any more.
    ///
    /// Messages that came meanwhile go with the identity that they were for. What was told of the kept contact since stays with
    /// it; of two identities that turned out to be one, that one stays where it is.
    pub async fn undo_merge(&self, id: MergeId, by: &Actor, now: OffsetDateTime) -> Result<bool, StorageError> {
        let Some(row) = self.merge_row(id).await? else { return Ok(false) };
        let record = read_record(&row)?;
        let (kept, gone) = (row.kept_id, row.gone_id);
        let Some(mut locked) = self.lock_contacts(&[kept]).await? else { return Ok(false) };
        let Some((kept_row, present)) = locked.remove(&kept) else { return Ok(false) };
        let mut statement = Sql::new("UPDATE contact_merges SET undone_by = ");
        statement
            .bind(to_json(by)?)
            .with(", undone_at = ", millis(now))
            .with(" WHERE workspace_id = ", self.ws())
            .with(" AND id = ", id.uuid())
            .push(" AND undone_at IS NULL");
        if self.run(statement).await? == 0 {
            return Ok(false);
        }
        self.run_with("DELETE FROM aliases WHERE workspace_id = $1 AND id = $2", [gone]).await?;
        for alias in &record.aliases {
            const BACK: &str = "UPDATE aliases SET target_id = $3 WHERE workspace_id = $1 AND id = $2";
            self.run_with(BACK, [*alias, gone]).await?;
        }
        let now_said = self.side(&kept_row, &present).await?.facts;
        let back = given_back(&record.kept.facts, &record.became, &now_said);
        self.write_facts(&kept_row, &now_said, &back, now).await?;
        self.insert_side(gone, &record.gone, kept_row.blocked, now).await?;
        let theirs: Vec<Uuid> = record.gone.identities.into_iter().filter(|id| present.contains(id)).collect();
        self.carry_over(&theirs, gone, now).await?;
        self.part_recipients(gone, kept, record.recipients).await?;
        self.rewrite_terms_and_marks(kept).await?;
        self.rewrite_terms_and_marks(gone).await?;
        Ok(true)
    }

    /// What was written while contacts were merged or parted, and named the other one.
    pub async fn follow_identities(&self, merge: &StoredMerge) -> Result<(), StorageError> {
        for identity in &merge.moved {
            if let Some(row) = self.identity_row(identity.uuid(), false).await? {
                self.carry_messages(row.id, row.contact_id).await?;
            }
        }
        Ok(())
    }

    /// Identities with their conversations and messages become another contact's.
    async fn carry_over(&self, identities: &[Uuid], to: Uuid, now: OffsetDateTime) -> Result<(), StorageError> {
        for identity in identities {
            const IDENTITY: &str = "UPDATE identities SET contact_id = $3 WHERE workspace_id = $1 AND id = $2";
            self.run_with(IDENTITY, [*identity, to]).await?;
            let mut statement = Sql::new("UPDATE conversations SET contact_id = ");
            statement
                .bind(to)
                .with(", updated_at = ", millis(now))
                .with(", version = version + 1 WHERE workspace_id = ", self.ws())
                .with(" AND identity_id = ", *identity);
            self.run(statement).await?;
            self.carry_messages(*identity, to).await?;
        }
        Ok(())
    }

    async fn carry_messages(&self, identity: Uuid, to: Uuid) -> Result<(), StorageError> {
        const MESSAGES: &str = "UPDATE messages SET contact_id = $3 WHERE workspace_id = $1 AND contact_id <> $3 AND \
                                conversation_id IN (SELECT id FROM conversations WHERE workspace_id = $1 AND identity_id = $2)";
        self.run_with(MESSAGES, [identity, to]).await?;
        Ok(())
    }

    /// Stores what is said of a contact in place of what was.
    async fn write_facts(
        &self,
        row: &contacts::Model,
        before: &Facts,
        after: &Facts,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let (profile, at, by) = profile_of(after, &row.profile_at);
        let until = after.values().filter_map(|told| told.at).fold(row.profile_until.0, i64::max);
        let mut statement = Sql::new("UPDATE contacts SET display_name = ");
        statement
            .bind(after.get(DISPLAY_NAME).map(|told| told.text.clone()))
            .with(", profile = ", profile)
            .with(", profile_at = ", at)
            .with(", profile_by = ", by)
            .with(", profile_until = ", Millis(until))
            .with(", updated_at = ", millis(now))
            .with(", version = version + 1 WHERE workspace_id = ", self.ws())
            .with(" AND id = ", row.id);
        self.run(statement).await?;
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            if let Some(label) = name.strip_prefix(LABEL) {
                self.unlabel_contact(row.id.into(), label).await?;
            }
            if let Some(field) = field_of(name) {
                self.clear_contact_field(row.id.into(), field.into()).await?;
            }
            if name == AGENT {
                self.set_dedicated_agent(row.id.into(), None).await?;
            }
        }
        let changed = after.iter().filter(|(name, told)| before.get(*name).is_none_or(|known| known.text != told.text));
        self.put_what_hangs_on(row.id, changed).await
    }

    /// Labels, fields and the agent of its own.
    async fn put_what_hangs_on<'f>(
        &self,
        contact: Uuid,
        facts: impl Iterator<Item = (&'f String, &'f Told)> + Send,
    ) -> Result<(), StorageError> {
        let facts: Vec<_> = facts.collect();
        for (name, told) in facts {
            if let Some(label) = name.strip_prefix(LABEL) {
                self.label_contact(contact.into(), label).await?;
            }
            if name == AGENT
                && let Ok(agent) = told.text.parse::<Uuid>()
                && self.agent(agent.into()).await?.is_some()
            {
                self.set_dedicated_agent(contact.into(), Some(agent.into())).await?;
            }
            // Fields are never deleted, and never change their kind.
            let Some(field) = field_of(name) else { continue };
            let Some(stored) = self.custom_field(field.into()).await? else { continue };
            if let Some(value) = FieldValue::of_text(stored.field.kind, &told.text) {
                self.set_contact_field(contact.into(), field.into(), &value).await?;
            }
        }
        Ok(())
    }

    /// A contact as it was before it became a part of another; blocked as that other is.
    async fn insert_side(&self, id: Uuid, side: &Side, blocked: bool, now: OffsetDateTime) -> Result<(), StorageError> {
        let (profile, profile_at, profile_by) = profile_of(&side.facts, &side.profile_at);
        let row = contacts::Model {
            workspace_id: self.ws(),
            id,
            display_name: side.facts.get(DISPLAY_NAME).map(|told| told.text.clone()),
            profile,
            profile_at,
            profile_until: Millis(side.profile_until),
            profile_by,
            blocked,
            // Its terms are written when its identities are back.
            marks: 0,
            version: side.version + 1,
            created_at: Millis(side.created_at),
            updated_at: now.into(),
        };
        contacts::Entity::insert(row.into_active_model().reset_all()).exec_without_returning(&self.conn).await?;
        self.put_what_hangs_on(id, side.facts.iter()).await
    }
}
