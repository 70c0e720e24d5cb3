//! Quiet hours: when broadcasts and automation let a customer sleep (R-512, reliability.md 9 and 18).
//!
//! They are civil time where the customer is: by the zone that is known of them, else by every zone that their phone number (else
//! the country of their language) makes plausible, else by the workspace's own. An hour that a clock change skips is left out, one that
//! it repeats counts once: a night is one stretch between two instants.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::{Date, Time as CivilTime};
use jiff::tz::TimeZone;
use time::{Duration, OffsetDateTime};
use transom_domain::{Profile, QuietHours, Settings};
use transom_storage::StoredContact;

use crate::DeskError;

/// Each country with its calling code and its zones.
const ZONES: &str = include_str!("zones.txt");
/// Nobody finds an hour that suits all plausible zones by looking further.
const FURTHEST: Duration = Duration::days(3);

struct Country {
    name: &'static str,
    calling_code: &'static str,
    zones: Vec<&'static str>,
}

static COUNTRIES: LazyLock<Vec<Country>> = LazyLock::new(|| {
    let country = |line: &'static str| {
        let mut words = line.split_whitespace();
        Some(Country { name: words.next()?, calling_code: words.next()?, zones: words.collect() })
    };
    ZONES.lines().filter(|line| !line.starts_with('#')).filter_map(country).collect()
});

/// A zone of that name.
///
/// # Errors
/// [`DeskError::Invalid`] where the IANA database has none.
pub(crate) fn checked_zone(name: &str, field: &'static str) -> Result<(), DeskError> {
    zone(name).map(|_| ()).ok_or_else(|| {
        let detail = format!("`{name}` is no time zone: give a name of the IANA database, such as Europe/Berlin");
        DeskError::invalid("time_zone_unknown", field, detail)
    })
}

fn zone(name: &str) -> Option<TimeZone> {
    // The database knows names in any case; what is stored is compared with no other.
    TimeZone::get(name).ok()
}

/// Until when a customer is let sleep; `None` if nothing speaks against writing now.
pub(crate) fn quiet_until(settings: &Settings, profile: &Profile, now: OffsetDateTime) -> Option<OffsetDateTime> {
    let hours = settings.quiet_hours?;
    let zones = plausible_zones(profile, &settings.time_zone);
    let mut at = now;
    // What ends a night in one zone may be night in another.
    while let Some(end) = zones.iter().filter_map(|zone| end_of_night(hours, zone, at)).max() {
        at = end;
        if at - now > FURTHEST {
            break;
        }
    }
    (at > now).then_some(at)
}

/// What is known of where a contact lives: the number by which a channel knows them, too.
pub(crate) fn whereabouts(stored: &StoredContact) -> Profile {
    let mut profile = stored.contact.profile.clone();
    let number = || stored.identities.iter().find_map(|identity| identity.address("phone")).map(str::to_owned);
    profile.phone = profile.phone.or_else(number);
    profile
}

fn plausible_zones(profile: &Profile, of_workspace: &str) -> Vec<TimeZone> {
    if let Some(known) = profile.time_zone.as_deref().and_then(zone) {
        return vec![known];
    }
    let mut names: Vec<&str> = countries_of(profile).flat_map(|country| country.zones.iter().copied()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        names.push(of_workspace);
    }
    let zones: Vec<TimeZone> = names.into_iter().filter_map(zone).collect();
    if zones.is_empty() { vec![TimeZone::UTC] } else { zones }
}

/// The countries that a number's calling code stands for; without a number, the one that the language's region names.
fn countries_of(profile: &Profile) -> impl Iterator<Item = &'static Country> {
    let digits = profile.phone.as_deref().map(|phone| phone.trim_start_matches('+')).unwrap_or_default();
    // Of codes that begin alike the longest is theirs: +1 671 is Guam's.
    let codes = COUNTRIES.iter().map(|country| country.calling_code).filter(|code| digits.starts_with(code));
    let code = codes.max_by_key(|code| code.len());
    let language = profile.language.as_deref().filter(|_| code.is_none()).unwrap_or_default();
    let region = language.split(['-', '_']).skip(1).find(|part| part.len() == 2).unwrap_or_default().to_uppercase();
    COUNTRIES.iter().filter(move |country| Some(country.calling_code) == code || country.name == region)
}

/// When the night ends that it is at an instant in a zone; `None` by day.
fn end_of_night(hours: QuietHours, zone: &TimeZone, at: OffsetDateTime) -> Option<OffsetDateTime> {
    let instant = Timestamp::from_millisecond(i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()?).ok()?;
    let today = instant.to_zoned(zone.clone()).date();
    // The night of yesterday may last into today.
    [today.yesterday().ok()?, today].into_iter().find_map(|day| {
        let (begins, ends) = night(hours, zone, day)?;
        (begins <= instant && instant < ends).then(|| of(ends)).flatten()
    })
}

/// The night that begins on a day.
fn night(hours: QuietHours, zone: &TimeZone, day: Date) -> Option<(Timestamp, Timestamp)> {
    let last = if hours.from < hours.to { day } else { day.tomorrow().ok()? };
    // Of a skipped hour this gives the instant after it, of a repeated one the first.
    let at = |day: Date, time: time::Time| {
        let time = CivilTime::new(time.hour().cast_signed(), time.minute().cast_signed(), 0, 0).ok()?;
        Some(zone.to_ambiguous_zoned(day.to_datetime(time)).compatible().ok()?.timestamp())
    };
    Some((at(day, hours.from)?, at(last, hours.to)?))
}

fn of(instant: Timestamp) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(instant.as_millisecond()) * 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::{datetime, time};

    fn settings(from: time::Time, to: time::Time) -> Settings {
        Settings {
            quiet_hours: Some(QuietHours { from, to }),
            time_zone: "Europe/Berlin".into(),
            ..Settings::default()
        }
    }

    fn in_zone(name: &str) -> Profile {
        Profile { time_zone: Some(name.into()), ..Profile::default() }
    }

    fn with_phone(phone: &str) -> Profile {
        Profile { phone: Some(phone.into()), ..Profile::default() }
    }

    #[test]
    fn every_zone_of_the_table_is_one() {
        for country in COUNTRIES.iter() {
            assert!(country.zones.iter().all(|name| zone(name).is_some()), "{}", country.name);
        }
        let names = |phone: &str| countries_of(&with_phone(phone)).map(|country| country.name).collect::<Vec<_>>();
        assert_eq!(names("+12025550100"), ["CA", "US"]);
        assert_eq!(names("+16715550100"), ["GU"]);
        assert_eq!(names("+77005550100"), ["KZ"]);
        assert_eq!(names("+999"), Vec::<&str>::new());
    }

    #[test]
    fn a_night_is_where_the_customer_is() {
        let settings = settings(time!(21:00), time!(08:00));
        let tokyo = in_zone("Asia/Tokyo");
        let until = |now| quiet_until(&settings, &tokyo, now);
        assert_eq!(until(datetime!(2026-11-20 11:59 UTC)), None);
        assert_eq!(until(datetime!(2026-11-20 12:00 UTC)), Some(datetime!(2026-11-20 23:00 UTC)));
        assert_eq!(until(datetime!(2026-11-20 22:59 UTC)), Some(datetime!(2026-11-20 23:00 UTC)));
        assert_eq!(until(datetime!(2026-11-20 23:00 UTC)), None);
        assert_eq!(quiet_until(&Settings::default(), &tokyo, datetime!(2026-11-20 12:00 UTC)), None, "off unless set");
    }

    #[test]
    fn an_unknown_zone_is_every_plausible_one() {
        let settings = settings(time!(21:00), time!(08:00));
        // Night in New York is over at 13:00 UTC, in Honolulu at 18:00 UTC.
        let until = quiet_until(&settings, &with_phone("+12025550100"), datetime!(2026-11-20 13:30 UTC));
        assert_eq!(until, Some(datetime!(2026-11-20 18:00 UTC)));
        let until = quiet_until(&settings, &with_phone("+4915550100001"), datetime!(2026-11-20 20:30 UTC));
        assert_eq!(until, Some(datetime!(2026-11-21 07:00 UTC)), "Berlin");
        let japanese = Profile { language: Some("ja-JP".into()), ..Profile::default() };
        assert!(quiet_until(&settings, &japanese, datetime!(2026-11-20 12:30 UTC)).is_some());
        // Nothing is known: the workspace's own zone.
        assert!(quiet_until(&settings, &Profile::default(), datetime!(2026-11-20 12:30 UTC)).is_none());
        assert!(quiet_until(&settings, &Profile::default(), datetime!(2026-11-20 20:30 UTC)).is_some());
    }

    #[test]
    fn a_skipped_hour_ends_after_it_and_a_repeated_one_counts_once() {
        let berlin = in_zone("Europe/Berlin");
        // 02:30 does not exist on 29 March 2026: clocks go from 02:00 CET to 03:00 CEST.
        let settings = settings(time!(21:00), time!(02:30));
        let until = quiet_until(&settings, &berlin, datetime!(2026-03-29 00:15 UTC));
        assert_eq!(until, Some(datetime!(2026-03-29 01:30 UTC)));
        // 02:30 comes twice on 25 October 2026: the first ends the night, and 02:15 does not begin it again.
        let until = |now| quiet_until(&settings, &berlin, now);
        assert_eq!(until(datetime!(2026-10-25 00:15 UTC)), Some(datetime!(2026-10-25 00:30 UTC)));
        assert_eq!(until(datetime!(2026-10-25 01:15 UTC)), None);
    }
}
