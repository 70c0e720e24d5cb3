//! A profile that remembers when each of its fields was told, so that the newest wins whatever the order (P7).

use std::collections::BTreeMap;

use sea_orm::ConnectionTrait;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use transom_domain::Profile;
use uuid::Uuid;

use super::search;
use super::statement::{Sql, runs};
use crate::entity::contacts;
use crate::instant::Millis;
use crate::query::{from_json, millis, to_json, unreadable};
use crate::{StorageError, Tx};

/// What `profile_by` says of a field that a person wrote.
const MANUAL: &str = "manual";

/// Who wrote a field of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A platform told it.
    Platform,
    /// A person, or a system of ours, wrote it.
    Manual,
}

impl Source {
    /// The name used in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Source::Platform => "platform",
            Source::Manual => MANUAL,
        }
    }
}

/// Who wrote each field of a stored profile.
pub(super) fn sources(profile: &Value, by: &Value) -> BTreeMap<String, Source> {
    let source = |field| if by.get(field).is_some() { Source::Manual } else { Source::Platform };
    profile.as_object().into_iter().flatten().map(|(field, _)| (field.clone(), source(field))).collect()
}

/// The column `profile_by` of a profile that a person wrote.
pub(super) fn by_hand(profile: &Value) -> Value {
    Value::Object(profile.as_object().into_iter().flatten().map(|(field, _)| (field.clone(), MANUAL.into())).collect())
}

/// The fields of a profile, each with the time of the event that told it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ToldProfile {
    fields: Map<String, Value>,
    /// Milliseconds.
    at: Map<String, Value>,
    /// `manual` for what a person wrote.
    by: Map<String, Value>,
    until: Millis,
    changed: Changed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Changed {
    Nothing,
    /// The same was told again, later.
    Times,
    Fields,
}

impl ToldProfile {
    pub(crate) fn of(row: &contacts::Model) -> Result<Self, StorageError> {
        Self::read(row.id, [&row.profile, &row.profile_at, &row.profile_by], row.profile_until)
    }

    /// From the columns `profile`, `profile_at` and `profile_by`.
    pub(crate) fn read(contact: Uuid, [fields, at, by]: [&Value; 3], until: Millis) -> Result<Self, StorageError> {
        let object = |value: &Value, column| match value {
            Value::Object(fields) => Ok(fields.clone()),
            _ => Err(unreadable(("contacts", column, contact), "no object")),
        };
        let (fields, at, by) = (object(fields, "profile")?, object(at, "profile_at")?, object(by, "profile_by")?);
        Ok(Self { fields, at, by, until, changed: Changed::Nothing })
    }

    /// What the two columns hold of a profile that is told at `at` and of which nothing else is known.
    pub(crate) fn fields(profile: &Profile, at: OffsetDateTime) -> Result<(Value, Value), StorageError> {
        let fields = to_json(profile)?;
        let Millis(millis) = at.into();
        let times = fields.as_object().into_iter().flatten().map(|(field, _)| (field.clone(), millis.into())).collect();
        Ok((fields, Value::Object(times)))
    }

    /// Takes what an event tells: each field unless a newer event has told it; of two told at once, the greater text.
    pub(crate) fn tell(&mut self, profile: &Profile, at: OffsetDateTime) -> Result<(), StorageError> {
        let Millis(at) = at.into();
        let told = to_json(profile)?;
        for (field, value) in told.as_object().into_iter().flatten() {
            self.tell_field(field, Some(value), at);
        }
        Ok(())
    }

    /// Takes a profile that a person has edited: what differs was told now, and what is missing is gone.
    pub(crate) fn edit(&mut self, profile: &Profile, now: OffsetDateTime) -> Result<(), StorageError> {
        let Value::Object(edited) = to_json(profile)? else { return Ok(()) };
        let Millis(now) = now.into();
        let mut fields: Vec<String> = self.fields.keys().chain(edited.keys()).cloned().collect();
        fields.retain(|field| self.fields.get(field) != edited.get(field));
        for field in fields {
            // A platform's clock may be ahead of ours: the person still has the last word.
            let at = now.max(self.time_of(&field));
            self.at.insert(field.clone(), at.into());
            self.set(&field, edited.get(&field), at);
            self.by.insert(field, MANUAL.into());
        }
        Ok(())
    }

    /// Takes what was told of somebody who turned out to be the same person.
    pub(crate) fn join(&mut self, other: &ToldProfile) {
        for (field, at) in &other.at {
            let before = self.fields.get(field).cloned();
            self.tell_field(field, other.fields.get(field), at.as_i64().unwrap_or(i64::MIN));
            if self.fields.get(field) != before.as_ref()
                && let Some(by) = other.by.get(field)
            {
                self.by.insert(field.clone(), by.clone());
            }
        }
    }

    fn time_of(&self, field: &str) -> i64 {
        self.at.get(field).and_then(Value::as_i64).unwrap_or(i64::MIN)
    }

    fn tell_field(&mut self, field: &str, value: Option<&Value>, at: i64) {
        let known = self.fields.get(field);
        let is_newer = (at, value.and_then(Value::as_str)) > (self.time_of(field), known.and_then(Value::as_str));
        if !is_newer {
            return;
        }
        self.at.insert(field.to_owned(), at.into());
        if known == value {
            self.until = self.until.max(Millis(at));
            self.changed = self.changed.max(Changed::Times);
        } else {
            self.set(field, value, at);
        }
    }

    fn set(&mut self, field: &str, value: Option<&Value>, at: i64) {
        match value {
            Some(value) => self.fields.insert(field.to_owned(), value.clone()),
            None => self.fields.remove(field),
        };
        self.by.remove(field);
        self.until = self.until.max(Millis(at));
        self.changed = Changed::Fields;
    }

    /// Adds `profile = …, profile_at = …, profile_until = …`.
    pub(crate) fn assign(&self, statement: &mut Sql) {
        statement
            .with("profile = ", Value::Object(self.fields.clone()))
            .with(", profile_at = ", Value::Object(self.at.clone()))
            .with(", profile_by = ", Value::Object(self.by.clone()))
            .with(", profile_until = ", self.until);
    }
}

impl Tx {
    /// Stores what was told, if it changed anything.
    pub(super) async fn save_profile(
        &self,
        contact: Uuid,
        profile: &ToldProfile,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        if profile.changed == Changed::Nothing {
            return Ok(());
        }
        let mut statement = Sql::new("UPDATE contacts SET ");
        profile.assign(&mut statement);
        if profile.changed == Changed::Fields {
            statement.with(", version = version + 1, updated_at = ", millis(now));
        }
        statement.with(" WHERE workspace_id = ", self.ws()).with(" AND id = ", contact);
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        if profile.changed == Changed::Fields {
            self.rewrite_terms(contact).await?;
        }
        Ok(())
    }

    /// [`save_profile`](Self::save_profile) for many contacts: what was only told again, all at once.
    pub(super) async fn save_profiles(
        &self,
        profiles: &BTreeMap<Uuid, ToldProfile>,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let mut again = Vec::new();
        for (contact, profile) in profiles {
            match profile.changed {
                Changed::Nothing => {}
                Changed::Times => again.push((*contact, profile)),
                Changed::Fields => self.save_profile(*contact, profile, now).await?,
            }
        }
        for again in runs(&again) {
            let rows = again.iter().map(|(contact, profile)| -> [sea_orm::Value; 3] {
                [(*contact).into(), Value::Object(profile.at.clone()).into(), profile.until.into()]
            });
            let mut statement =
                Sql::new("UPDATE contacts SET profile_at = told.column2, profile_until = told.column3 FROM (VALUES ");
            statement.rows(rows).with(") AS told WHERE workspace_id = ", self.ws()).push(" AND id = told.column1");
            self.conn.execute_raw(statement.on(&self.conn)).await?;
        }
        Ok(())
    }

    /// Makes a contact's search terms anew from all that is stored of it.
    pub(super) async fn rewrite_terms(&self, contact: Uuid) -> Result<(), StorageError> {
        let Some(stored) = self.contact_row(contact).await? else { return Ok(()) };
        let identities = self.identities_of(contact.into()).await?;
        let addresses = identities.iter().flat_map(|identity| &identity.addresses);
        let profile = from_json(stored.profile, ("contacts", "profile", contact))?;
        let terms = search::terms(stored.display_name.as_deref(), &profile, addresses);
        let mut statement = Sql::new("DELETE FROM contact_terms WHERE workspace_id = ");
        statement.bind(self.ws()).with(" AND contact_id = ", contact);
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        self.add_terms(contact, &terms).await
    }

    /// The same for a contact that conversations have moved to.
    pub(super) async fn rewrite_terms_and_marks(&self, contact: Uuid) -> Result<(), StorageError> {
        self.rewrite_terms(contact).await?;
        self.spread_marks(contact).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::Duration;
    use time::macros::datetime;

    const NOON: OffsetDateTime = datetime!(2026-11-20 12:00 UTC);

    fn nothing() -> ToldProfile {
        let empty = Value::Object(Map::new());
        ToldProfile::read(Uuid::nil(), [&empty, &empty, &empty], Millis(0)).unwrap()
    }

    fn told(events: &[(u8, Profile)]) -> ToldProfile {
        let mut profile = nothing();
        for (minute, event) in events {
            profile.tell(event, NOON + Duration::minutes((*minute).into())).unwrap();
        }
        ToldProfile { changed: Changed::Nothing, ..profile }
    }

    fn profile(told: &ToldProfile) -> Profile {
        serde_json::from_value(Value::Object(told.fields.clone())).unwrap()
    }

    fn profiles() -> impl Strategy<Value = Profile> {
        let text = || proptest::option::of("[ab]");
        (text(), text(), text()).prop_map(|(name, phone, email)| Profile { name, phone, email, ..Profile::default() })
    }

    #[test]
    fn a_late_event_fills_gaps_and_overrules_only_what_is_older() {
        let phone = |phone: &str| Profile { phone: Some(phone.into()), ..Profile::default() };
        let name = Profile { name: Some("Mara".into()), ..Profile::default() };
        let known = told(&[(1, phone("1")), (3, name.clone()), (2, phone("2"))]);
        assert_eq!(profile(&known), Profile { phone: Some("2".into()), ..name });
    }

    #[test]
    fn what_a_person_takes_out_comes_back_only_if_told_again() {
        let name = Profile { name: Some("Mara".into()), ..Profile::default() };
        let mut known = told(&[(1, name.clone())]);
        known.edit(&Profile::default(), NOON + Duration::minutes(5)).unwrap();
        known.tell(&name, NOON + Duration::minutes(4)).unwrap();
        assert_eq!(profile(&known), Profile::default());
        known.tell(&name, NOON + Duration::minutes(6)).unwrap();
        assert_eq!(profile(&known), name);
    }

    proptest! {
        #[test]
        fn order_and_repeats_change_nothing(
            events in proptest::collection::vec((0..4_u8, profiles()), 1..7),
            turn in any::<proptest::sample::Index>(),
            split in any::<proptest::sample::Index>(),
        ) {
            let all = told(&events);
            let mut turned = events.clone();
            turned.rotate_left(turn.index(events.len()));
            turned.push(turned[0].clone());
            prop_assert_eq!(&told(&turned), &all);
            // Told to two who are joined later.
            let (one, other) = events.split_at(split.index(events.len()));
            let mut joined = told(one);
            joined.join(&told(other));
            prop_assert_eq!(ToldProfile { changed: Changed::Nothing, ..joined }, all);
        }
    }
}
