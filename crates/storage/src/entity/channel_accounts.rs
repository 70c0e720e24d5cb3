//! Rows of `channel_accounts`.

use sea_orm::entity::prelude::*;

use crate::instant::Millis;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "channel_accounts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub connection_id: Uuid,
    pub platform: String,
    pub policy: String,
    pub name: String,
    pub external_key: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub features: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub limits: Json,
    pub quota_group: Option<String>,
    pub country: Option<String>,
    pub enabled: bool,
    pub suspended: Option<String>,
    pub removed_at: Option<Millis>,
    pub created_at: Millis,
    pub updated_at: Millis,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
