//! Rows of `contacts`.

use sea_orm::entity::prelude::*;

use crate::instant::Millis;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "contacts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub display_name: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub profile: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub profile_at: Json,
    pub profile_until: Millis,
    #[sea_orm(column_type = "JsonBinary")]
    pub profile_by: Json,
    pub blocked: bool,
    pub marks: i64,
    pub version: i64,
    pub created_at: Millis,
    pub updated_at: Millis,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
