//! The chain: committed rows get numbers without a gap, and each a hash over itself and the one before.
//!
//! The hash of a row is SHA-256 over the hash before it and a JSON array of the row's columns in the order of the table. The
//! first row follows 32 zero bytes.

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use transom_domain::{AgentId, AuditId, TokenId, WorkspaceId};
use uuid::Uuid;

use crate::entity::audit_log::{Column as C, Entity, Model};
use crate::entity::{audit_chains, audit_log};
use crate::query::{Sql, millis, run_of, sql};
use crate::{Reader, StorageError, Tx};

/// One statement chains at most this many.
const BATCH: u64 = 500;
/// What the first row follows.
const NOTHING: [u8; 32] = [0; 32];

/// A row of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAudit {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// Its id.
    pub id: AuditId,
    /// When.
    pub at: OffsetDateTime,
    /// Who.
    pub actor: AgentId,
    /// Their role at that time.
    pub role: String,
    /// `api`, `command_line` or `job`.
    pub via: String,
    /// By which token.
    pub token: Option<TokenId>,
    /// What was done or tried.
    pub action: String,
    /// `done`, or the stable code of the refusal.
    pub outcome: String,
    /// To what: its kind.
    pub object_kind: Option<String>,
    /// To what: its id.
    pub object_id: Option<String>,
    /// How it was, as JSON: the columns that changed.
    pub before: Option<String>,
    /// How it is, as JSON.
    pub after: Option<String>,
    /// From which address.
    pub address: Option<String>,
    /// In which request.
    pub request: Option<Uuid>,
    /// The link of the chain.
    pub hash: Vec<u8>,
}

/// Which rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Of this agent.
    pub actor: Option<AgentId>,
    /// With this action.
    pub action: Option<String>,
    /// About the object of this id.
    pub object: Option<String>,
    /// At this instant or later.
    pub since: Option<OffsetDateTime>,
    /// Before this instant.
    pub until: Option<OffsetDateTime>,
}

/// The newest link of the chain. Kept outside, it proves that nothing before it was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// Its number.
    pub seq: u64,
    /// Its hash.
    pub hash: Vec<u8>,
}

/// Where the chain is broken first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenLink {
    /// The number of the row.
    pub seq: u64,
    /// What is wrong with it: `missing`, `changed` or `head`.
    pub what: &'static str,
}

fn link(before: &[u8], seq: i64, row: &Model) -> Vec<u8> {
    let columns = json!([
        row.workspace_id,
        row.id,
        seq,
        row.at.0,
        row.actor_id,
        row.role,
        row.via,
        row.token_id,
        row.action,
        row.outcome,
        row.object_kind,
        row.object_id,
        row.before,
        row.after,
        row.address,
        row.request_id,
    ]);
    Sha256::new().chain_update(before).chain_update(columns.to_string()).finalize().to_vec()
}

/// Chains the workspace's new rows, inside the caller's transaction, which holds the numberer's lock.
pub(crate) async fn seal(db: &impl ConnectionTrait, workspace: WorkspaceId) -> Result<(), StorageError> {
    let ws = workspace.uuid();
    loop {
        let rows = Entity::find()
            .filter(C::WorkspaceId.eq(ws))
            .filter(Expr::col(C::Seq).is_null())
            .order_by_asc(C::Id)
            .limit(BATCH)
            .all(db)
            .await?;
        if rows.is_empty() {
            return Ok(());
        }
        let chain = audit_chains::Entity::find_by_id(ws).one(db).await?;
        let (mut seq, mut hash) = chain.map_or((0, NOTHING.to_vec()), |chain| (chain.last_seq, chain.last_hash));
        let mut links: Vec<[Value; 3]> = Vec::with_capacity(rows.len());
        for row in &rows {
            seq += 1;
            hash = link(&hash, seq, row);
            links.push([row.id.into(), seq.into(), hash.clone().into()]);
        }
        let mut rest = links.as_slice();
        while let Some((run, tail)) = run_of(rest.len()).and_then(|run| rest.split_at_checked(run)) {
            rest = tail;
            let mut update = Sql::new("UPDATE audit_log SET seq = linked.column2, hash = linked.column3 FROM (VALUES ");
            update
                .rows(run.iter().cloned())
                .with(") AS linked WHERE workspace_id = ", ws)
                .push(" AND id = linked.column1");
            db.execute_raw(update.on(db)).await?;
        }
        put_end(db, ws, seq, hash).await?;
        if (rows.len() as u64) < BATCH {
            return Ok(());
        }
    }
}

async fn put_end(db: &impl ConnectionTrait, ws: Uuid, seq: i64, hash: Vec<u8>) -> Result<(), StorageError> {
    use audit_chains::Column as H;
    let row = audit_chains::ActiveModel {
        workspace_id: Set(ws),
        base_seq: Set(0),
        base_hash: Set(NOTHING.to_vec()),
        last_seq: Set(seq),
        last_hash: Set(hash),
    };
    let further = OnConflict::column(H::WorkspaceId).update_columns([H::LastSeq, H::LastHash]).to_owned();
    audit_chains::Entity::insert(row).on_conflict(further).exec_without_returning(db).await?;
    Ok(())
}

impl StoredAudit {
    fn of(row: Model) -> Option<Self> {
        Some(Self {
            seq: row.seq?.unsigned_abs(),
            id: row.id.into(),
            at: row.at.at(),
            actor: row.actor_id.into(),
            role: row.role,
            via: row.via,
            token: row.token_id.map(Into::into),
            action: row.action,
            outcome: row.outcome,
            object_kind: row.object_kind,
            object_id: row.object_id,
            before: row.before,
            after: row.after,
            address: row.address,
            request: row.request_id,
            hash: row.hash?,
        })
    }
}

impl Reader {
    /// Up to `limit` rows before number `before`, newest first. A row that was just committed may still wait for its number.
    pub async fn audit_page(
        &self,
        query: &AuditQuery,
        before: Option<u64>,
        limit: u64,
    ) -> Result<Vec<StoredAudit>, StorageError> {
        let mut rows = Entity::find().filter(C::WorkspaceId.eq(self.ws())).filter(Expr::col(C::Seq).is_not_null());
        if let Some(actor) = query.actor {
            rows = rows.filter(C::ActorId.eq(actor.uuid()));
        }
        if let Some(action) = &query.action {
            rows = rows.filter(C::Action.eq(action.as_str()));
        }
        if let Some(object) = &query.object {
            rows = rows.filter(C::ObjectId.eq(object.as_str()));
        }
        if let Some(since) = query.since {
            rows = rows.filter(Expr::col(C::At).gte(Expr::value(millis(since))));
        }
        if let Some(until) = query.until {
            rows = rows.filter(Expr::col(C::At).lt(Expr::value(millis(until))));
        }
        if let Some(before) = before {
            rows = rows.filter(Expr::col(C::Seq).lt(before.cast_signed()));
        }
        let rows = rows.order_by_desc(C::Seq).limit(limit).all(&self.conn).await?;
        Ok(rows.into_iter().filter_map(StoredAudit::of).collect())
    }

    /// The newest link; `None` before the first.
    pub async fn audit_head(&self) -> Result<Option<AuditHead>, StorageError> {
        let chain = audit_chains::Entity::find_by_id(self.ws()).one(&self.conn).await?;
        Ok(chain.map(|chain| AuditHead { seq: chain.last_seq.unsigned_abs(), hash: chain.last_hash }))
    }

    /// Walks the whole chain, and says how many rows hold, or where it is broken first. A `head` that was kept outside has to
    /// be in it.
    pub async fn verify_audit(&self, head: Option<&AuditHead>) -> Result<Result<u64, BrokenLink>, StorageError> {
        let chain = audit_chains::Entity::find_by_id(self.ws()).one(&self.conn).await?;
        let Some(chain) = chain else {
            let kept = head.map_or(Ok(0), |head| Err(BrokenLink { seq: head.seq, what: "missing" }));
            return Ok(kept);
        };
        let (mut seq, mut hash, mut held) = (chain.base_seq, chain.base_hash, 0);
        loop {
            let rows = Entity::find()
                .filter(C::WorkspaceId.eq(self.ws()))
                .filter(Expr::col(C::Seq).gt(seq))
                .filter(Expr::col(C::Seq).lte(chain.last_seq))
                .order_by_asc(C::Seq)
                .limit(BATCH)
                .all(&self.conn)
                .await?;
            for row in &rows {
                let broken = |what| BrokenLink { seq: (seq + 1).unsigned_abs(), what };
                if row.seq != Some(seq + 1) {
                    return Ok(Err(broken("missing")));
                }
                hash = link(&hash, seq + 1, row);
                let kept = head.filter(|head| head.seq.cast_signed() == seq + 1).map(|head| &head.hash);
                if row.hash.as_ref() != Some(&hash) || kept.is_some_and(|kept| *kept != hash) {
                    return Ok(Err(broken("changed")));
                }
                (seq, held) = (seq + 1, held + 1);
            }
            if rows.is_empty() {
                break;
            }
        }
        let end = (chain.last_seq, &chain.last_hash);
        if seq < end.0 {
            return Ok(Err(BrokenLink { seq: (seq + 1).unsigned_abs(), what: "missing" }));
        }
        let later = head.filter(|head| head.seq.cast_signed() > seq);
        Ok(match later {
            Some(head) => Err(BrokenLink { seq: head.seq, what: "missing" }),
            None if hash != *end.1 => Err(BrokenLink { seq: seq.unsigned_abs(), what: "head" }),
            None => Ok(held),
        })
    }
}

impl Tx {
    /// Deletes up to `limit` of the oldest rows, if they are older than `before`; the chain then begins behind them. How many.
    pub async fn purge_audit(&self, before: OffsetDateTime, limit: u64) -> Result<u64, StorageError> {
        let old = Entity::find()
            .filter(C::WorkspaceId.eq(self.ws()))
            .filter(Expr::col(C::Seq).is_not_null())
            .order_by_asc(C::Seq)
            .limit(limit)
            .all(&self.conn)
            .await?;
        let last: Option<audit_log::Model> = old.into_iter().take_while(|row| row.at.at() < before).last();
        let Some((seq, hash)) = last.and_then(|row| Some((row.seq?, row.hash?))) else { return Ok(0) };
        const BASE: &str = "UPDATE audit_chains SET base_seq = $2, base_hash = $3 WHERE workspace_id = $1";
        self.conn.execute_raw(sql(&self.conn, BASE, [self.ws().into(), seq.into(), hash.into()])).await?;
        const DELETE: &str = "DELETE FROM audit_log WHERE workspace_id = $1 AND seq <= $2";
        Ok(self.conn.execute_raw(sql(&self.conn, DELETE, [self.ws().into(), seq.into()])).await?.rows_affected())
    }
}
