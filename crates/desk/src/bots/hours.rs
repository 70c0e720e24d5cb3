//! The hours in which a bot serves: civil time in a named zone, by the rules of the IANA database (reliability.md 9).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use time::{OffsetDateTime, Time, Weekday};
use transom_domain::Hours;

use crate::DeskError;

/// More spans than one for each quarter of a day say nothing new.
const MAX_SPANS: usize = 28;

/// Whether a zone is known, and there are hours.
///
/// # Errors
/// `time_zone_unknown`, `binding_invalid`.
pub(super) fn check(hours: &Hours) -> Result<(), DeskError> {
    let Hours { time_zone, spans } = hours;
    if TimeZone::get(time_zone).is_err() {
        let detail = format!("`{time_zone}` is no time zone: give a name of the IANA database, such as Europe/Berlin");
        return Err(DeskError::invalid("time_zone_unknown", "bindings", detail));
    }
    if spans.is_empty() || spans.len() > MAX_SPANS || spans.iter().any(|span| span.days.is_empty()) {
        let detail = format!("hours are 1 to {MAX_SPANS} spans, each with the days on which it begins");
        return Err(DeskError::invalid("binding_invalid", "bindings", detail));
    }
    Ok(())
}

/// Whether an instant lies in these hours. A zone that is not known any more has none.
pub(super) fn hold(hours: &Hours, now: OffsetDateTime) -> bool {
    clock_in(&hours.time_zone, now).is_some_and(|(day, time)| hours.hold(day, time))
}

fn clock_in(zone: &str, now: OffsetDateTime) -> Option<(Weekday, Time)> {
    let there = Timestamp::from_second(now.unix_timestamp()).ok()?.to_zoned(TimeZone::get(zone).ok()?);
    let unit = |unit: i8| u8::try_from(unit).ok();
    let time = Time::from_hms(unit(there.hour())?, unit(there.minute())?, unit(there.second())?).ok()?;
    let days = u8::try_from(there.weekday().to_monday_zero_offset()).ok()?;
    Some((Weekday::Monday.nth_next(days), time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use time::macros::{datetime, time};
    use transom_domain::HourSpan;

    /// 2026-03-29 is a Sunday: Berlin's clocks go from 02:00 to 03:00, at 01:00 UTC.
    #[rstest]
    #[case("UTC", datetime!(2026-11-23 08:59 UTC), false)]
    #[case("UTC", datetime!(2026-11-23 09:00 UTC), true)]
    #[case("Europe/Berlin", datetime!(2026-11-23 08:00 UTC), true)]
    #[case("Asia/Tokyo", datetime!(2026-11-22 23:59 UTC), false)]
    #[case("Asia/Tokyo", datetime!(2026-11-23 00:00 UTC), true)]
    #[case("America/New_York", datetime!(2026-11-23 13:59 UTC), false)]
    #[case("Europe/Berlin", datetime!(2026-03-30 07:00 UTC), true)]
    #[case("Europe/Berlin", datetime!(2026-03-30 06:59 UTC), false)]
    #[case("Nowhere/Land", datetime!(2026-11-23 12:00 UTC), false)]
    fn hours_are_those_of_the_zone(#[case] zone: &str, #[case] now: OffsetDateTime, #[case] holds: bool) {
        let days = vec![Weekday::Monday];
        let spans = vec![HourSpan { days, from: time!(9:00), to: time!(17:00) }];
        assert_eq!(hold(&Hours { time_zone: zone.into(), spans }, now), holds, "{zone} at {now}");
    }

    #[test]
    fn zones_and_days_are_checked() {
        let spans = vec![HourSpan { days: vec![Weekday::Monday], from: time!(9:00), to: time!(17:00) }];
        let hours = |time_zone: &str, spans: Vec<HourSpan>| Hours { time_zone: time_zone.to_owned(), spans };
        assert!(check(&hours("Europe/Berlin", spans.clone())).is_ok());
        assert!(check(&hours("Berlin", spans)).is_err());
        assert!(check(&hours("UTC", Vec::new())).is_err());
    }
}
