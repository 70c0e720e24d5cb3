//! Rows of `attachments`.

use sea_orm::entity::prelude::*;

use crate::instant::Millis;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "attachments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub state: String,
    pub sha256: Option<Vec<u8>>,
    pub size: Option<i64>,
    pub mime: Option<String>,
    pub file_name: Option<String>,
    pub agent_id: Option<Uuid>,
    pub message_id: Option<Uuid>,
    pub account_id: Option<Uuid>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub source: Option<Json>,
    pub source_key: Option<String>,
    pub attempts: i64,
    pub due_at: Option<Millis>,
    pub reason: Option<String>,
    pub created_at: Millis,
    pub updated_at: Millis,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
