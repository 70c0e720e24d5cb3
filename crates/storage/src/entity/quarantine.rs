//! Rows of `quarantine`.

use sea_orm::entity::prelude::*;

use crate::instant::Millis;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "quarantine")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub journal_id: Uuid,
    pub account_id: Option<Uuid>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub item: Option<Json>,
    pub reason: String,
    pub detail: String,
    pub state: String,
    pub at: Millis,
    pub settled_at: Option<Millis>,
    pub connection_id: Option<Uuid>,
    pub tried_at: Option<Millis>,
    pub settled_by: Option<Uuid>,
    pub settled_why: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
