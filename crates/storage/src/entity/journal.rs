//! Rows of `journal`.

use sea_orm::entity::prelude::*;

use crate::instant::Millis;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "journal")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub connection_id: Uuid,
    pub account_id: Option<Uuid>,
    pub source: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub headers: Json,
    pub body: Vec<u8>,
    pub body_hash: Vec<u8>,
    pub received_at: Millis,
    pub state: String,
    pub crashes: i64,
    pub in_hand_until: Option<i64>,
    pub applied_at: Option<Millis>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub summary: Option<Json>,
    pub replays: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
