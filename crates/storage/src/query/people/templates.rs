//! Message templates as the platforms keep them.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Value};
use time::OffsetDateTime;
use transom_domain::{ChannelAccountId, Ids, Template, TemplateDefinition, TemplateId, TemplateStatus};

use super::statement::Sql;
use crate::entity::templates;
use crate::instant::Millis;
use crate::query::{from_json, millis, to_json};
use crate::{Reader, StorageError, Tx};

/// What a synchronisation changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SyncCounts {
    /// Templates that were new.
    pub added: u32,
    /// Templates that had changed.
    pub changed: u32,
    /// Templates that the platform no longer has.
    pub gone: u32,
}

impl TryFrom<templates::Model> for Template {
    type Error = StorageError;

    fn try_from(row: templates::Model) -> Result<Self, StorageError> {
        Ok(Self {
            id: row.id.into(),
            account: row.account_id.into(),
            definition: from_json(row.definition, ("templates", "definition", row.id))?,
            synced_at: row.synced_at.at(),
        })
    }
}

impl Reader {
    /// The account's templates, by name and language; those that are gone as well.
    pub async fn templates(&self, account: ChannelAccountId) -> Result<Vec<Template>, StorageError> {
        let rows = templates::Entity::find()
            .filter(templates::Column::WorkspaceId.eq(self.ws()))
            .filter(templates::Column::AccountId.eq(account.uuid()))
            .order_by_asc(templates::Column::Name)
            .order_by_asc(templates::Column::Language)
            .all(&self.conn)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// One template of the account.
    pub async fn template(
        &self,
        account: ChannelAccountId,
        name: &str,
        language: &str,
    ) -> Result<Option<Template>, StorageError> {
        let row = templates::Entity::find()
            .filter(templates::Column::WorkspaceId.eq(self.ws()))
            .filter(templates::Column::AccountId.eq(account.uuid()))
            .filter(templates::Column::Name.eq(name))
            .filter(templates::Column::Language.eq(language))
            .one(&self.conn)
            .await?;
        row.map(TryInto::try_into).transpose()
    }

    /// When the whole catalogue was last fetched; `None` if never.
    pub async fn templates_synced_at(&self, account: ChannelAccountId) -> Result<Option<OffsetDateTime>, StorageError> {
        let mut statement = Sql::new("SELECT templates_synced_at FROM channel_accounts WHERE workspace_id = ");
        statement.bind(self.ws()).with(" AND id = ", account.uuid());
        let Some(row) = self.conn.query_one_raw(statement.on(&self.conn)).await? else { return Ok(None) };
        Ok(row.try_get_by_index::<Option<Millis>>(0)?.map(Millis::at))
    }
}

impl Tx {
    /// Stores the whole catalogue of an account as just fetched; what it no longer names is [`TemplateStatus::Deleted`].
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] if there is no such account.
    pub async fn upsert_templates(
        &self,
        account: ChannelAccountId,
        catalogue: &[TemplateDefinition],
        ids: &dyn Ids,
        now: OffsetDateTime,
    ) -> Result<SyncCounts, StorageError> {
        // Locked, so that two that synchronise take turns.
        let mut statement = Sql::new("UPDATE channel_accounts SET templates_synced_at = ");
        statement.bind(millis(now)).with(" WHERE workspace_id = ", self.ws()).with(" AND id = ", account.uuid());
        if self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected() == 0 {
            return Err(StorageError::MissingReference("there is no such account".to_owned()));
        }
        let key = |definition: &TemplateDefinition| (definition.name.clone(), definition.language.clone());
        let mut stored: BTreeMap<_, Template> = BTreeMap::new();
        for template in self.templates(account).await? {
            stored.insert(key(&template.definition), template);
        }
        let mut counts = SyncCounts::default();
        let mut rows = Vec::new();
        let fetched: BTreeMap<_, _> = catalogue.iter().map(|definition| (key(definition), definition)).collect();
        for (key, definition) in fetched {
            match stored.remove(&key) {
                Some(known) => {
                    counts.changed += u32::from(known.definition != *definition);
                    rows.push((known.id, definition.clone()));
                }
                None => {
                    counts.added += 1;
                    rows.push((TemplateId::from(ids.next()), definition.clone()));
                }
            }
        }
        for (_, gone) in stored {
            counts.gone += u32::from(gone.definition.status != TemplateStatus::Deleted);
            rows.push((gone.id, TemplateDefinition { status: TemplateStatus::Deleted, ..gone.definition }));
        }
        for chunk in rows.chunks(500) {
            self.store_templates(account, chunk, now).await?;
        }
        Ok(counts)
    }

    async fn store_templates(
        &self,
        account: ChannelAccountId,
        rows: &[(TemplateId, TemplateDefinition)],
        at: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let mut statement = Sql::new(
            "INSERT INTO templates (workspace_id, id, account_id, provider_id, name, language, category, status, definition, \
             synced_at) VALUES ",
        );
        for (place, (id, definition)) in rows.iter().enumerate() {
            statement.push(if place == 0 { "" } else { ", " }).list([
                Value::from(self.ws()),
                id.uuid().into(),
                account.uuid().into(),
                definition.provider_id.as_str().into(),
                definition.name.as_str().into(),
                definition.language.as_str().into(),
                definition.category.as_str().into(),
                definition.status.as_str().into(),
                to_json(definition)?.into(),
                millis(at),
            ]);
        }
        statement.push(
            " ON CONFLICT (workspace_id, id) DO UPDATE SET provider_id = excluded.provider_id, category = excluded.category, \
             status = excluded.status, definition = excluded.definition, synced_at = excluded.synced_at",
        );
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        Ok(())
    }

    /// Stores what the platform says about one template; `false` if something newer is known, or no such template.
    #[expect(clippy::too_many_arguments, reason = "the fields of one notice")]
    pub async fn set_template_status(
        &self,
        account: ChannelAccountId,
        name: &str,
        language: &str,
        status: TemplateStatus,
        provider_status: &str,
        category: Option<&str>,
        at: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let Some(template) = self.template(account, name, language).await? else { return Ok(false) };
        if template.synced_at > at {
            return Ok(false);
        }
        let definition = TemplateDefinition {
            status,
            provider_status: provider_status.to_owned(),
            category: category.map_or(template.definition.category, str::to_owned),
            ..template.definition
        };
        self.store_templates(account, &[(template.id, definition)], at).await?;
        Ok(true)
    }
}
