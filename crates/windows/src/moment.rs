//! Instants as the engine compares them: two integers, no calendar until a month has to be named.

use time::{Duration, OffsetDateTime};

/// An instant in UTC, to the nanosecond. Comparing and adding cost a few instructions, where a calendar date costs dozens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment {
    secs: i64,
    nanos: u32,
}

const NANOS_PER_SEC: u32 = 1_000_000_000;
const SECS_PER_DAY: i64 = 86_400;

impl Moment {
    /// The instant `span` later; the far end of time rather than an overflow.
    #[inline]
    pub(crate) fn plus(self, span: Duration) -> Self {
        let nanos = i64::from(self.nanos) + i64::from(span.subsec_nanoseconds());
        let carry = nanos.div_euclid(i64::from(NANOS_PER_SEC));
        let nanos = nanos.rem_euclid(i64::from(NANOS_PER_SEC));
        Self {
            secs: self.secs.saturating_add(span.whole_seconds()).saturating_add(carry),
            nanos: u32::try_from(nanos).unwrap_or(0),
        }
    }

    /// The instant `span` earlier.
    pub(crate) fn minus(self, span: Duration) -> Self {
        self.plus(Duration::ZERO.saturating_sub(span))
    }

    /// The number of the calendar day at `zone` seconds east of UTC, counted from 1970-01-01.
    pub(crate) fn day(self, zone: i32) -> i64 {
        self.secs.saturating_add(i64::from(zone)).div_euclid(SECS_PER_DAY)
    }

    /// The number of the calendar month at `zone` seconds east of UTC: year times twelve plus month, January being 0.
    pub(crate) fn month(self, zone: i32) -> i64 {
        let (year, month, _) = civil_from_days(self.day(zone));
        year * 12 + month - 1
    }

    /// The first instant of that day.
    pub(crate) fn start_of_day(day: i64, zone: i32) -> Self {
        Self { secs: day.saturating_mul(SECS_PER_DAY).saturating_sub(i64::from(zone)), nanos: 0 }
    }

    /// The first instant of that month.
    pub(crate) fn start_of_month(month: i64, zone: i32) -> Self {
        Self::start_of_day(days_from_civil(month.div_euclid(12), month.rem_euclid(12) + 1, 1), zone)
    }
}

impl From<OffsetDateTime> for Moment {
    fn from(at: OffsetDateTime) -> Self {
        Self { secs: at.unix_timestamp(), nanos: at.nanosecond() }
    }
}

impl From<Moment> for OffsetDateTime {
    /// Beyond the years that a date can hold, the last or first instant it can.
    fn from(moment: Moment) -> Self {
        let edge = if moment.secs < 0 {
            time::PrimitiveDateTime::MIN.assume_utc()
        } else {
            time::PrimitiveDateTime::MAX.assume_utc()
        };
        OffsetDateTime::from_unix_timestamp(moment.secs)
            .ok()
            .and_then(|at| at.replace_nanosecond(moment.nanos).ok())
            .unwrap_or(edge)
    }
}

/// The sooner of two instants that may never come.
#[inline]
pub(crate) fn sooner(one: Option<Moment>, other: Option<Moment>) -> Option<Moment> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// `2026-11` for a month's number.
pub(crate) fn month_name(month: i64) -> String {
    format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1)
}

/// `2026-11-20` for a day's number.
pub(crate) fn day_name(day: i64) -> String {
    let (year, month, day) = civil_from_days(day);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The number of the month that `2026-11` names.
pub(crate) fn month_number(name: &str) -> Option<i64> {
    let (year, month) = name.split_once('-')?;
    let month = digits(month, 2).filter(|month| (1..=12).contains(month))?;
    Some(digits(year, 4)? * 12 + month - 1)
}

/// The number of the day that `2026-11-20` names.
pub(crate) fn day_number(name: &str) -> Option<i64> {
    let (month, day) = name.rsplit_once('-')?;
    let month = month_number(month)?;
    let number = days_from_civil(month.div_euclid(12), month.rem_euclid(12) + 1, digits(day, 2)?);
    // 2026-02-30 is the number of another day, so it is nobody's name.
    (day_name(number) == name).then_some(number)
}

fn digits(text: &str, length: usize) -> Option<i64> {
    (text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar. Years are counted from March, so that the leap
/// day ends one.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    fn moment(at: OffsetDateTime) -> Moment {
        at.into()
    }

    #[test]
    fn a_month_turns_in_its_own_zone() {
        let last_second = moment(datetime!(2026-11-30 14:59:59.999_999_999 UTC));
        let turn = moment(datetime!(2026-11-30 15:00 UTC));
        let tokyo = 9 * 3_600;
        assert_eq!(month_name(last_second.month(tokyo)), "2026-11");
        assert_eq!(month_name(turn.month(tokyo)), "2026-12");
        assert_eq!(Moment::start_of_month(turn.month(tokyo), tokyo), turn);
    }

    #[test]
    fn the_leap_day_is_a_day() {
        assert_eq!(day_name(moment(datetime!(2028-02-29 12:00 UTC)).day(0)), "2028-02-29");
        assert_eq!(day_number("2028-02-29"), Some(moment(datetime!(2028-02-29 0:00 UTC)).day(0)));
        assert_eq!(day_number("2026-02-29"), None);
        assert_eq!(month_number("2026-13"), None);
    }

    #[test]
    fn the_far_end_of_time_is_no_overflow() {
        let end = Moment { secs: i64::MAX, nanos: 0 }.plus(Duration::MAX);
        assert_eq!(OffsetDateTime::from(end), time::PrimitiveDateTime::MAX.assume_utc());
        assert_eq!(
            OffsetDateTime::from(Moment { secs: i64::MIN, nanos: 0 }.minus(Duration::DAY)),
            time::PrimitiveDateTime::MIN.assume_utc()
        );
    }

    proptest! {
        #[test]
        fn agrees_with_the_calendar(secs in -60_000_000_000_i64..250_000_000_000, nanos in 0..NANOS_PER_SEC, add in 0_i64..10_000_000_000) {
            let at = OffsetDateTime::from_unix_timestamp(secs).unwrap().replace_nanosecond(nanos).unwrap();
            let span = Duration::nanoseconds(add);
            prop_assert_eq!(OffsetDateTime::from(moment(at)), at);
            prop_assert_eq!(OffsetDateTime::from(moment(at).plus(span)), at + span);
            prop_assert_eq!(OffsetDateTime::from(moment(at).minus(span)), at - span);
            let date = at.date();
            prop_assert_eq!(moment(at).month(0), i64::from(date.year()) * 12 + i64::from(u8::from(date.month())) - 1);
            prop_assert_eq!(day_number(&day_name(moment(at).day(0))).filter(|_| date.year() >= 0), Some(moment(at).day(0)).filter(|_| date.year() >= 0));
        }
    }
}
