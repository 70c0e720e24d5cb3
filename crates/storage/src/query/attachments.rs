//! Files: uploaded by agents, or fetched from the platform that a customer sent them over.
//!
//! ```text
//!  uploaded ──► stored        kept by the platform ──► remote ── fetched ──► stored
//!  received with its message                            │ ▲ └── given up ──► failed
//!     ├──────► stored                                   └─┘ tried again
//!     └──────► failed
//! ```
//! A row is stored only after its bytes are. What is to be fetched is the rows that have a `due_at`: a restart loses nothing.

use std::collections::BTreeSet;

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use time::OffsetDateTime;
use transom_domain::{AgentId, Attachment, AttachmentId, ChannelAccountId, MediaSource, MessageId};
use uuid::Uuid;

use super::connections::{read_public_id, write_public_id};
use super::{from_json, millis, to_json, unreadable};
use crate::blobs::Blob;
use crate::entity::attachments;
use crate::instant::Millis;
use crate::storage::database_now;
use crate::{Reader, Storage, StorageError, Tx, WorkspaceScope};

/// How many ids one statement names.
const IDS_AT_ONCE: usize = 500;

/// Where a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttachmentState {
    /// Its bytes are here.
    Stored,
    /// The platform has it, and we fetch it.
    Remote,
    /// It can't be had.
    Failed,
}

impl AttachmentState {
    /// The name in API and database.
    pub const fn as_str(self) -> &'static str {
        match self {
            AttachmentState::Stored => "stored",
            AttachmentState::Remote => "remote",
            AttachmentState::Failed => "failed",
        }
    }
}

/// A file as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAttachment {
    /// Its id.
    pub id: AttachmentId,
    /// Where it is.
    pub state: AttachmentState,
    /// Its bytes, if they are here.
    pub blob: Option<Blob>,
    /// MIME type without parameters, where it is known.
    pub mime: Option<String>,
    /// The file's name, where it has one.
    pub file_name: Option<String>,
    /// Who uploaded it; `None` for what customers sent.
    pub uploaded_by: Option<AgentId>,
    /// The message that it came with.
    pub message: Option<MessageId>,
    /// Why it can't be had, in a stable word.
    pub reason: Option<String>,
    /// How often fetching was begun.
    pub attempts: u32,
    /// When it became known.
    pub created_at: OffsetDateTime,
}

impl TryFrom<attachments::Model> for StoredAttachment {
    type Error = StorageError;

    fn try_from(row: attachments::Model) -> Result<Self, StorageError> {
        let all = [AttachmentState::Stored, AttachmentState::Remote, AttachmentState::Failed];
        let state = all.into_iter().find(|state| state.as_str() == row.state);
        let place = |column| ("attachments", column, row.id);
        let blob = match (row.sha256, row.size) {
            (Some(sha256), Some(size)) => {
                let sha256 = sha256.try_into().map_err(|_| unreadable(place("sha256"), "not 32 bytes"))?;
                Some(Blob { sha256, size: u64::try_from(size).unwrap_or_default() })
            }
            _ => None,
        };
        Ok(Self {
            id: row.id.into(),
            state: state.ok_or_else(|| unreadable(place("state"), format!("`{}`", row.state)))?,
            blob,
            mime: row.mime,
            file_name: row.file_name,
            uploaded_by: row.agent_id.map(Into::into),
            message: row.message_id.map(Into::into),
            reason: row.reason,
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            created_at: row.created_at.at(),
        })
    }
}

/// A file that was uploaded; its bytes are in the blob store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttachment {
    /// Its id.
    pub id: AttachmentId,
    /// Its bytes.
    pub blob: Blob,
    /// MIME type without parameters.
    pub mime: String,
    /// The file's name, where it has one.
    pub file_name: Option<String>,
    /// Who uploaded it; `None` for a visitor.
    pub uploaded_by: Option<AgentId>,
}

/// A file that came in together with its message; its bytes, if they are kept, are in the blob store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedFile {
    /// Its id.
    pub id: AttachmentId,
    /// The message that it came with.
    pub message: MessageId,
    /// Its place among the message's files.
    pub index: u32,
    /// The account that it came over.
    pub account: ChannelAccountId,
    /// Its bytes, or why they are not kept, in a stable word.
    pub blob: Result<Blob, &'static str>,
    /// MIME type without parameters, where it is known.
    pub mime: Option<String>,
    /// The file's name, where it has one.
    pub file_name: Option<String>,
}

/// A file to be fetched from a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToFetch {
    /// Its id.
    pub id: AttachmentId,
    /// The message that it came with.
    pub message: MessageId,
    /// The account that knows it.
    pub account: ChannelAccountId,
    /// What the platform said of it.
    pub file: Attachment,
    /// How often fetching was begun before.
    pub attempts: u32,
    due_at: Millis,
}

/// What became of an attempt to fetch a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// Its bytes are in the blob store.
    Stored {
        /// The bytes.
        blob: Blob,
        /// MIME type without parameters.
        mime: String,
        /// The file's name, where it has one.
        file_name: Option<String>,
    },
    /// Try again at an instant of the database's clock.
    Again {
        /// When.
        at: OffsetDateTime,
        /// Why it did not work, in a stable word.
        reason: &'static str,
    },
    /// It can't be had.
    Failed {
        /// Why, in a stable word.
        reason: &'static str,
    },
}

impl Storage {
    /// The public id of a file, for its signed address: it carries the workspace, so that a call finds both at once.
    pub fn public_file_id(&self, scope: &WorkspaceScope, id: AttachmentId) -> String {
        write_public_id(scope.workspace().uuid(), id.uuid())
    }

    /// The file of a [public id](Self::public_file_id). The id proves nothing: check the signature first.
    pub async fn file_of_public_id(
        &self,
        public_id: &str,
    ) -> Result<Option<(WorkspaceScope, StoredAttachment)>, StorageError> {
        let Some((workspace, id)) = read_public_id(public_id) else { return Ok(None) };
        let row = attachments::Entity::find_by_id((workspace, id)).one(self.db()).await?;
        row.map(|row| Ok((WorkspaceScope::of(workspace.into()), row.try_into()?))).transpose()
    }

    /// Workspaces with files to fetch that are due by the database's clock; its present instant goes with them.
    pub async fn scopes_with_files_to_fetch(&self) -> Result<(Vec<WorkspaceScope>, OffsetDateTime), StorageError> {
        let now = database_now(self.db()).await?;
        let ids = attachments::Entity::find()
            .select_only()
            .column(attachments::Column::WorkspaceId)
            .distinct()
            .filter(Expr::col(attachments::Column::DueAt).lte(Expr::value(millis(now))))
            .into_tuple::<Uuid>()
            .all(self.db())
            .await?;
        Ok((ids.into_iter().map(|id| WorkspaceScope::of(id.into())).collect(), now))
    }
}

impl Reader {
    /// One file.
    pub async fn attachment(&self, id: AttachmentId) -> Result<Option<StoredAttachment>, StorageError> {
        let row = attachments::Entity::find_by_id((self.ws(), id.uuid())).one(&self.conn).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// Those of these files that there are.
    pub async fn attachments(&self, ids: &[AttachmentId]) -> Result<Vec<StoredAttachment>, StorageError> {
        let mut found = Vec::with_capacity(ids.len());
        for some in ids.chunks(IDS_AT_ONCE) {
            let rows = attachments::Entity::find()
                .filter(attachments::Column::WorkspaceId.eq(self.ws()))
                .filter(attachments::Column::Id.is_in(some.iter().map(|id| id.uuid())))
                .all(&self.conn)
                .await?;
            found.extend(rows.into_iter().map(TryInto::try_into).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(found)
    }

    /// Those of these bytes that no file has.
    pub async fn unnamed_blobs(&self, blobs: &[Blob]) -> Result<Vec<Blob>, StorageError> {
        let mut named = BTreeSet::new();
        for some in blobs.chunks(IDS_AT_ONCE) {
            let rows = attachments::Entity::find()
                .select_only()
                .column(attachments::Column::Sha256)
                .filter(attachments::Column::WorkspaceId.eq(self.ws()))
                .filter(attachments::Column::Sha256.is_in(some.iter().map(|blob| blob.sha256.to_vec())))
                .into_tuple::<Vec<u8>>()
                .all(&self.conn)
                .await?;
            named.extend(rows);
        }
        Ok(blobs.iter().filter(|blob| !named.contains(blob.sha256.as_slice())).copied().collect())
    }

    /// Up to `limit` files that are to be fetched by `now`, the longest due first.
    pub async fn files_to_fetch(&self, now: OffsetDateTime, limit: u64) -> Result<Vec<ToFetch>, StorageError> {
        let rows = attachments::Entity::find()
            .filter(attachments::Column::WorkspaceId.eq(self.ws()))
            .filter(Expr::col(attachments::Column::DueAt).lte(Expr::value(millis(now))))
            .order_by_asc(attachments::Column::DueAt)
            .limit(limit)
            .all(&self.conn)
            .await?;
        let to_fetch = |row: attachments::Model| {
            let (Some(message), Some(account), Some(source), Some(due_at)) =
                (row.message_id, row.account_id, row.source, row.due_at)
            else {
                return Err(unreadable(("attachments", "source", row.id), "a file to fetch without its source"));
            };
            Ok(ToFetch {
                id: row.id.into(),
                message: message.into(),
                account: account.into(),
                file: from_json(source, ("attachments", "source", row.id))?,
                attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
                due_at,
            })
        };
        rows.into_iter().map(to_fetch).collect()
    }
}

impl Tx {
    /// Stores that a file was uploaded.
    pub async fn insert_attachment(&self, new: &NewAttachment, now: OffsetDateTime) -> Result<(), StorageError> {
        let row = attachments::ActiveModel {
            workspace_id: Set(self.ws()),
            id: Set(new.id.uuid()),
            state: Set(AttachmentState::Stored.as_str().to_owned()),
            sha256: Set(Some(new.blob.sha256.to_vec())),
            size: Set(Some(column_of(new.blob.size))),
            mime: Set(Some(new.mime.clone())),
            file_name: Set(new.file_name.clone()),
            agent_id: Set(new.uploaded_by.map(AgentId::uuid)),
            message_id: Set(None),
            account_id: Set(None),
            source: Set(None),
            source_key: Set(None),
            attempts: Set(0),
            due_at: Set(None),
            reason: Set(None),
            created_at: Set(now.into()),
            updated_at: Set(now.into()),
        };
        attachments::Entity::insert(row).exec_without_returning(&self.conn).await?;
        Ok(())
    }

    /// Stores that a message brought a file along.
    ///
    /// # Errors
    /// [`StorageError::Duplicate`] if it is known already.
    pub async fn insert_received_file(&self, new: &ReceivedFile, now: OffsetDateTime) -> Result<(), StorageError> {
        let state = if new.blob.is_ok() { AttachmentState::Stored } else { AttachmentState::Failed };
        let blob = new.blob.ok();
        let row = attachments::ActiveModel {
            workspace_id: Set(self.ws()),
            id: Set(new.id.uuid()),
            state: Set(state.as_str().to_owned()),
            sha256: Set(blob.map(|blob| blob.sha256.to_vec())),
            size: Set(blob.map(|blob| column_of(blob.size))),
            mime: Set(new.mime.clone()),
            file_name: Set(new.file_name.clone()),
            agent_id: Set(None),
            message_id: Set(Some(new.message.uuid())),
            account_id: Set(Some(new.account.uuid())),
            source: Set(None),
            source_key: Set(Some(format!("enclosed:{}", new.index))),
            attempts: Set(0),
            due_at: Set(None),
            reason: Set(new.blob.err().map(str::to_owned)),
            created_at: Set(now.into()),
            updated_at: Set(now.into()),
        };
        attachments::Entity::insert(row).exec_without_returning(&self.conn).await?;
        Ok(())
    }

    /// Stores that a message came with a file that its platform keeps, to be fetched at once. The id it has from now on:
    /// another than `id` if the file is known with this message already, such as after an edit of its words.
    pub async fn expect_attachment(
        &self,
        id: AttachmentId,
        (message, account): (MessageId, ChannelAccountId),
        file: &Attachment,
        now: OffsetDateTime,
    ) -> Result<AttachmentId, StorageError> {
        use attachments::Column as C;
        let MediaSource::Platform { id: source_key, .. } = &file.source else {
            return Err(StorageError::Database("only what a platform keeps can be fetched".to_owned()));
        };
        let due_at = database_now(&self.conn).await?;
        let row = attachments::ActiveModel {
            workspace_id: Set(self.ws()),
            id: Set(id.uuid()),
            state: Set(AttachmentState::Remote.as_str().to_owned()),
            sha256: Set(None),
            size: Set(None),
            mime: Set(file.mime.clone()),
            file_name: Set(file.file_name.clone()),
            agent_id: Set(None),
            message_id: Set(Some(message.uuid())),
            account_id: Set(Some(account.uuid())),
            source: Set(Some(to_json(file)?)),
            source_key: Set(Some(source_key.clone())),
            attempts: Set(0),
            due_at: Set(Some(due_at.into())),
            reason: Set(None),
            created_at: Set(now.into()),
            updated_at: Set(now.into()),
        };
        let first = OnConflict::columns([C::WorkspaceId, C::MessageId, C::SourceKey]).do_nothing().to_owned();
        if attachments::Entity::insert(row).on_conflict(first).exec_without_returning(&self.conn).await? == 1 {
            return Ok(id);
        }
        let known = attachments::Entity::find()
            .select_only()
            .column(C::Id)
            .filter(C::WorkspaceId.eq(self.ws()))
            .filter(C::MessageId.eq(message.uuid()))
            .filter(C::SourceKey.eq(source_key.as_str()))
            .into_tuple::<Uuid>()
            .one(&self.conn)
            .await?;
        Ok(known.map_or(id, Into::into))
    }

    /// Takes a file to fetch until `until`; `false` if somebody else has it, or had it.
    pub async fn claim_fetch(&self, file: &ToFetch, until: OffsetDateTime) -> Result<bool, StorageError> {
        use attachments::Column as C;
        let claimed = attachments::Entity::update_many()
            .col_expr(C::DueAt, Expr::value(millis(until)))
            .col_expr(C::Attempts, Expr::col(C::Attempts).add(1))
            .filter(C::WorkspaceId.eq(self.ws()))
            .filter(C::Id.eq(file.id.uuid()))
            .filter(Expr::col(C::DueAt).eq(file.due_at))
            .exec(&self.conn)
            .await?;
        Ok(claimed.rows_affected == 1)
    }

    /// Stores what became of the attempt that was claimed; `false` if a later one has begun meanwhile, or the file is gone.
    pub async fn settle_fetch(
        &self,
        file: &ToFetch,
        fetched: &Fetched,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        use attachments::Column as C;
        let update = attachments::Entity::update_many();
        let update = match fetched {
            Fetched::Stored { blob, mime, file_name } => update
                .col_expr(C::State, Expr::value(AttachmentState::Stored.as_str()))
                .col_expr(C::Sha256, Expr::value(blob.sha256.to_vec()))
                .col_expr(C::Size, Expr::value(column_of(blob.size)))
                .col_expr(C::Mime, Expr::value(mime.as_str()))
                .col_expr(C::FileName, Expr::value(file_name.clone()))
                .col_expr(C::DueAt, Expr::value(None::<Millis>))
                .col_expr(C::Reason, Expr::value(None::<String>)),
            Fetched::Again { at, reason } => {
                update.col_expr(C::DueAt, Expr::value(millis(*at))).col_expr(C::Reason, Expr::value(*reason))
            }
            Fetched::Failed { reason } => update
                .col_expr(C::State, Expr::value(AttachmentState::Failed.as_str()))
                .col_expr(C::DueAt, Expr::value(None::<Millis>))
                .col_expr(C::Reason, Expr::value(*reason)),
        };
        let settled = update
            .col_expr(C::UpdatedAt, Expr::value(millis(now)))
            .filter(C::WorkspaceId.eq(self.ws()))
            .filter(C::Id.eq(file.id.uuid()))
            .filter(C::State.eq(AttachmentState::Remote.as_str()))
            .filter(C::Attempts.eq(i64::from(file.attempts) + 1))
            .exec(&self.conn)
            .await?;
        Ok(settled.rows_affected == 1)
    }

    /// Forgets the files of a message, since its author took it back; how many there were.
    pub async fn forget_attachments(&self, message: MessageId) -> Result<u64, StorageError> {
        let forgotten = attachments::Entity::delete_many()
            .filter(attachments::Column::WorkspaceId.eq(self.ws()))
            .filter(attachments::Column::MessageId.eq(message.uuid()))
            .exec(&self.conn)
            .await?;
        Ok(forgotten.rows_affected)
    }
}

fn column_of(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
