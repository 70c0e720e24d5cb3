//! Rows of `parts`.

use sea_orm::entity::prelude::*;

use crate::instant::Millis;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "parts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub message_id: Uuid,
    pub conversation_id: Uuid,
    pub account_id: Uuid,
    pub position: i64,
    #[sea_orm(column_type = "JsonBinary")]
    pub content: Json,
    pub cost: i64,
    pub state: String,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub reason: Option<Json>,
    pub provider_id: Option<String>,
    pub attempts: i64,
    pub sent_at: Option<Millis>,
    pub delivered_at: Option<Millis>,
    pub read_at: Option<Millis>,
    pub updated_at: Millis,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
