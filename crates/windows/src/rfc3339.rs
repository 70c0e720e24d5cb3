//! Instants as RFC 3339 text inside lists and maps, where `time::serde::rfc3339` does not reach.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Instant(#[serde(with = "time::serde::rfc3339")] OffsetDateTime);

/// A list of instants.
pub(crate) mod list {
    use super::{Deserialize, Deserializer, Instant, OffsetDateTime, Serializer};

    pub(crate) fn serialize<S: Serializer>(instants: &[OffsetDateTime], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(instants.iter().copied().map(Instant))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<OffsetDateTime>, D::Error> {
        Ok(Vec::<Instant>::deserialize(deserializer)?.into_iter().map(|instant| instant.0).collect())
    }
}

/// Instants by a name.
pub(crate) mod map {
    use std::collections::BTreeMap;

    use super::{Deserialize, Deserializer, Instant, OffsetDateTime, Serialize, Serializer};

    pub(crate) fn serialize<K: Serialize, S: Serializer>(
        instants: &BTreeMap<K, OffsetDateTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(instants.iter().map(|(name, at)| (name, Instant(*at))))
    }

    pub(crate) fn deserialize<'de, K: Deserialize<'de> + Ord, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<K, OffsetDateTime>, D::Error> {
        Ok(BTreeMap::<K, Instant>::deserialize(deserializer)?.into_iter().map(|(name, at)| (name, at.0)).collect())
    }
}
