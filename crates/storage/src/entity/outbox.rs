//! Rows of `outbox`.

use sea_orm::entity::prelude::*;

use crate::instant::Millis;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub message_id: Uuid,
    pub conversation_id: Uuid,
    pub identity_id: Uuid,
    pub account_id: Uuid,
    pub seq: i64,
    pub state: String,
    pub priority: i64,
    pub due_at: Millis,
    pub ready_at: Millis,
    pub expires_at: Millis,
    pub attempt: i64,
    pub crashes: i64,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub asked_by: Option<Json>,
    pub owner: Option<Uuid>,
    pub lease_until: Option<Millis>,
    pub receipts: bool,
    pub holds_until: Option<Millis>,
    pub ask_at: Option<Millis>,
    pub look_at: Option<Millis>,
    pub created_at: Millis,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
