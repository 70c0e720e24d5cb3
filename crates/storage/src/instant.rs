//! Instants as both databases keep them: milliseconds since 1970, UTC, a BIGINT that sorts.

use sea_orm::DeriveValueType;
use time::{Duration, OffsetDateTime};

/// A stored instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, DeriveValueType)]
pub struct Millis(pub(crate) i64);

impl From<OffsetDateTime> for Millis {
    fn from(at: OffsetDateTime) -> Self {
        Millis(i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).unwrap_or(i64::MAX))
    }
}

impl From<Millis> for OffsetDateTime {
    /// What lies outside the years that `time` knows becomes their edge.
    fn from(Millis(millis): Millis) -> Self {
        OffsetDateTime::UNIX_EPOCH.saturating_add(Duration::milliseconds(millis))
    }
}

impl Millis {
    pub(crate) fn at(self) -> OffsetDateTime {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    #[test]
    fn instants_before_1970_are_cut_towards_the_past() {
        assert_eq!(Millis::from(datetime!(1969-12-31 23:59:59.999_9 UTC)), Millis(-1));
        assert_eq!(Millis(i64::MAX).at().year(), 9999);
    }

    proptest! {
        #[test]
        fn whole_milliseconds_come_back(millis in -60_000_000_000_000_i64..250_000_000_000_000) {
            prop_assert_eq!(Millis::from(Millis(millis).at()), Millis(millis));
        }
    }
}
