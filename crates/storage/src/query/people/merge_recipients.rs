//! Broadcasts to two contacts that are made one, or two again: each contact is among the recipients once.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::statement::{Sql, on_postgres};
use crate::query::sql;
use crate::{StorageError, Tx};

/// A broadcast with the contact that went among its recipients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Carried {
    broadcast: Uuid,
    /// Whether the place of the one that went is the one that counts.
    moved: bool,
    /// The place that gave way, where both had one.
    lost: Option<Place>,
}

/// A recipient's place, as the row has it.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult, Serialize, Deserialize)]
struct Place {
    broadcast_id: Uuid,
    contact_id: Uuid,
    state: String,
    reason: Option<serde_json::Value>,
    message_id: Option<Uuid>,
    due_at: i64,
    queued_at: Option<i64>,
    reason_code: Option<String>,
}

impl Place {
    /// What reached somebody counts first; who still waits still waits, though the other was left out.
    fn rank(&self) -> u8 {
        match self.state.as_str() {
            "not_sent" | "canceled" => 0,
            "waiting" => 1,
            _ => 2,
        }
    }
}

impl Tx {
    /// Gives the places of `gone` to `kept`; of two in one broadcast the one that came further counts. What gave way is gone with
    /// `gone`.
    pub(super) async fn carry_recipients(&self, gone: Uuid, kept: Uuid) -> Result<Vec<Carried>, StorageError> {
        let mut places: BTreeMap<Uuid, (Option<Place>, Option<Place>)> = BTreeMap::new();
        for place in self.lock_places(gone, kept).await? {
            let (theirs, own) = places.entry(place.broadcast_id).or_default();
            let one = if place.contact_id == gone { theirs } else { own };
            *one = Some(place);
        }
        let mut carried = Vec::with_capacity(places.len());
        for (broadcast, both) in places {
            let (Some(theirs), own) = both else { continue };
            let moved = own.as_ref().is_none_or(|own| theirs.rank() > own.rank());
            if moved && own.is_some() {
                const GIVES_WAY: &str = "DELETE FROM broadcast_recipients WHERE workspace_id = $1 AND broadcast_id = $2 AND \
                                         contact_id = $3";
                self.run_with(GIVES_WAY, [broadcast, kept]).await?;
            }
            if moved {
                const MOVES: &str = "UPDATE broadcast_recipients SET contact_id = $4 WHERE workspace_id = $1 AND \
                                     broadcast_id = $2 AND contact_id = $3";
                self.run_with(MOVES, [broadcast, gone, kept]).await?;
            }
            carried.push(Carried { broadcast, moved, lost: if moved { own } else { Some(theirs) } });
        }
        Ok(carried)
    }

    async fn lock_places(&self, gone: Uuid, kept: Uuid) -> Result<Vec<Place>, StorageError> {
        let lock = format!(
            "SELECT broadcast_id, contact_id, state, reason, message_id, due_at, queued_at, reason_code FROM broadcast_recipients \
             WHERE workspace_id = $1 AND contact_id IN ($2, $3) AND broadcast_id IN (SELECT broadcast_id FROM \
             broadcast_recipients WHERE workspace_id = $1 AND contact_id = $2) ORDER BY broadcast_id, contact_id{}",
            if on_postgres(self) { " FOR UPDATE" } else { "" }
        );
        let values: [Value; 3] = [self.ws().into(), gone.into(), kept.into()];
        Ok(Place::find_by_statement(sql(&self.conn, &lock, values)).all(&self.conn).await?)
    }

    /// Gives the places back to whom they were of, but for those with a message that the kept one got meanwhile. Messages and
    /// both contacts must be in their places already.
    pub(super) async fn part_recipients(
        &self,
        gone: Uuid,
        kept: Uuid,
        carried: Vec<Carried>,
    ) -> Result<(), StorageError> {
        for Carried { broadcast, moved, lost } in carried {
            if moved {
                const BACK: &str = "UPDATE broadcast_recipients SET contact_id = $3 WHERE workspace_id = $1 AND \
                                    broadcast_id = $2 AND contact_id = $4 AND NOT EXISTS (SELECT 1 FROM messages AS m \
                                    WHERE m.workspace_id = $1 AND m.id = broadcast_recipients.message_id AND m.contact_id = $4)";
                self.run_with(BACK, [broadcast, gone, kept]).await?;
            }
            if let Some(place) = lost {
                self.insert_place(place).await?;
            }
        }
        // A broadcast that is done comes to nobody any more.
        let mut late =
            Sql::new("UPDATE broadcast_recipients SET state = 'not_sent', reason_code = 'broadcast_done', reason = ");
        late.bind(serde_json::json!({ "code": "broadcast_done" }))
            .with(" WHERE workspace_id = ", self.ws())
            .push(" AND contact_id IN ")
            .list([gone, kept])
            .with(
                " AND state = 'waiting' AND broadcast_id IN (SELECT id FROM broadcasts WHERE workspace_id = ",
                self.ws(),
            )
            .push(" AND state = 'done')");
        self.run(late).await?;
        Ok(())
    }

    async fn insert_place(&self, place: Place) -> Result<(), StorageError> {
        let mut insert = Sql::new(
            "INSERT INTO broadcast_recipients (workspace_id, broadcast_id, contact_id, state, reason, message_id, due_at, \
             queued_at, reason_code) VALUES ",
        );
        let message = place.message_id;
        let values: [Value; 9] = [
            self.ws().into(),
            place.broadcast_id.into(),
            place.contact_id.into(),
            place.state.into(),
            place.reason.into(),
            place.message_id.into(),
            place.due_at.into(),
            place.queued_at.into(),
            place.reason_code.into(),
        ];
        insert.list(values).push(" ON CONFLICT DO NOTHING");
        self.conn.execute_raw(insert.on(&self.conn)).await?;
        // It may have gone on meanwhile.
        self.recipients_stand_as(message.as_slice()).await
    }
}
