//! Token buckets, one an account, one for its sound and films, and one a recipient, from the channel's capabilities.
//!
//! A 429 empties the account's bucket and lets it fill at half its rate for a while. Waiting for a token is no attempt.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use time::{Duration, OffsetDateTime};
use transom_channel::{Pacing, Rate};
use transom_domain::{Body, ChannelAccountId, Content, IdentityId, MediaKind};
use transom_storage::Claimed;

/// Buckets of recipients beyond this many are swept: a full bucket says nothing.
const MANY: usize = 50_000;
/// How long an account goes at half its rate after a 429.
const SLOW_FOR: Duration = Duration::MINUTE;

#[derive(Debug, Default)]
pub(super) struct Pacers {
    buckets: Mutex<HashMap<Key, Bucket>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Account(ChannelAccountId),
    SoundAndFilm(ChannelAccountId),
    Recipient(IdentityId),
}

/// What a request takes its tokens for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    account: ChannelAccountId,
    recipient: IdentityId,
    sound_or_film: bool,
}

impl Load {
    pub(super) fn of(claimed: &Claimed) -> Self {
        let sound_or_film = carries_sound_or_film(&claimed.content);
        Self { account: claimed.account, recipient: claimed.identity, sound_or_film }
    }

    /// The buckets that a token is taken of.
    fn buckets(self, pacing: &Pacing) -> impl Iterator<Item = (Key, Rate)> + Clone + use<> {
        let more = pacing.sound_and_film.filter(|_| self.sound_or_film);
        let always = [(Key::Account(self.account), pacing.account), (Key::Recipient(self.recipient), pacing.recipient)];
        always.into_iter().chain(more.map(|rate| (Key::SoundAndFilm(self.account), rate)))
    }
}

fn carries_sound_or_film(content: &Content) -> bool {
    let Body::Text { attachments, .. } = &content.body else { return false };
    attachments.iter().any(|file| match file.kind {
        MediaKind::Video | MediaKind::Animation | MediaKind::Audio | MediaKind::Voice => true,
        MediaKind::Image | MediaKind::Document | MediaKind::Sticker => false,
    })
}

/// The instant at which the bucket is full again; each token moves it on by one span (a virtual schedule, GCRA).
#[derive(Debug, Clone, Copy)]
struct Bucket {
    full_at: OffsetDateTime,
    /// Until then each token costs two.
    slow_until: OffsetDateTime,
}

impl Pacers {
    /// Takes a token of each bucket, or says when to come again.
    ///
    /// # Errors
    /// The instant at which all have one.
    pub(super) fn take(&self, pacing: &Pacing, load: Load, now: OffsetDateTime) -> Result<(), OffsetDateTime> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() > MANY {
            buckets.retain(|_, bucket| bucket.full_at > now);
        }
        let wanted = load.buckets(pacing);
        let ready = wanted.clone().filter_map(|(key, rate)| buckets.get(&key)?.ready_at(rate, now)).max();
        if let Some(at) = ready {
            return Err(at);
        }
        for (key, rate) in wanted {
            let bucket = buckets.entry(key).or_insert(Bucket { full_at: now, slow_until: now });
            let cost = if now < bucket.slow_until { rate.each * 2 } else { rate.each };
            bucket.full_at = bucket.full_at.max(now).saturating_add(cost);
        }
        Ok(())
    }

    /// Gives tokens back that nothing was sent with.
    pub(super) fn put_back(&self, pacing: &Pacing, load: Load) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, rate) in load.buckets(pacing) {
            if let Some(bucket) = buckets.get_mut(&key) {
                bucket.full_at = bucket.full_at.saturating_sub(rate.each);
            }
        }
    }

    /// The platform said "too fast": nothing more from this account until then.
    pub(super) fn slow_down(&self, pacing: &Pacing, account: ChannelAccountId, until: OffsetDateTime) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(Key::Account(account)).or_insert(Bucket { full_at: until, slow_until: until });
        bucket.slow_until = bucket.slow_until.max(until.saturating_add(SLOW_FOR));
        let emptied = until.saturating_add(span(pacing.account) - pacing.account.each);
        bucket.full_at = bucket.full_at.max(emptied);
    }
}

impl Bucket {
    /// When the next token is there; `None`: now.
    fn ready_at(self, rate: Rate, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let at = self.full_at.saturating_add(rate.each).saturating_sub(span(rate));
        (at > now).then_some(at)
    }
}

/// How long an empty bucket takes to be full.
fn span(rate: Rate) -> Duration {
    rate.each * rate.burst.get()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;
    use time::macros::datetime;
    use transom_domain::{Attachment, CountingIds, Ids, MediaSource};

    fn pacing(burst: u32, each: Duration) -> Pacing {
        let one = NonZeroU32::MIN;
        let rate = Rate { burst: NonZeroU32::new(burst).unwrap_or(one), each };
        let wide = Rate { burst: NonZeroU32::new(1_000).unwrap_or(one), each: Duration::MILLISECOND };
        Pacing { account: wide, sound_and_film: None, recipient: rate, concurrency: one }
    }

    fn load(account: ChannelAccountId, recipient: IdentityId) -> Load {
        Load { account, recipient, sound_or_film: false }
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let (pacers, ids) = (Pacers::default(), CountingIds::new(1));
        let (account, person) = (ids.next().into(), ids.next().into());
        let pacing = pacing(3, Duration::seconds(6));
        let now = datetime!(2026-11-20 10:00 UTC);
        for _ in 0..3 {
            assert_eq!(pacers.take(&pacing, load(account, person), now), Ok(()));
        }
        let next = now + Duration::seconds(6);
        assert_eq!(pacers.take(&pacing, load(account, person), now), Err(next));
        assert_eq!(pacers.take(&pacing, load(account, person), next), Ok(()));
        assert!(pacers.take(&pacing, load(account, person), next).is_err());
        let other = ids.next().into();
        assert_eq!(pacers.take(&pacing, load(account, other), next), Ok(()));
        pacers.put_back(&pacing, load(account, person));
        assert_eq!(pacers.take(&pacing, load(account, person), next), Ok(()), "what was not used can be taken again");
    }

    #[test]
    fn a_429_stops_the_whole_account_until_then() {
        let (pacers, ids) = (Pacers::default(), CountingIds::new(1));
        let (account, person) = (ids.next().into(), ids.next().into());
        let pacing = pacing(3, Duration::seconds(6));
        let now = datetime!(2026-11-20 10:00 UTC);
        let until = now + Duration::seconds(14);
        pacers.slow_down(&pacing, account, until);
        assert_eq!(pacers.take(&pacing, load(account, person), now), Err(until));
        assert_eq!(pacers.take(&pacing, load(account, person), until), Ok(()));
        let others: [IdentityId; 2] = [ids.next().into(), ids.next().into()];
        let twice = until + pacing.account.each * 2;
        assert_eq!(pacers.take(&pacing, load(account, others[0]), until), Err(twice), "at half its rate");
        let later = until + SLOW_FOR;
        assert_eq!(pacers.take(&pacing, load(account, others[0]), later), Ok(()));
        assert_eq!(pacers.take(&pacing, load(account, others[1]), later), Ok(()), "as before");
    }

    #[test]
    fn sound_and_films_have_a_rate_of_their_own() {
        let (pacers, ids) = (Pacers::default(), CountingIds::new(1));
        let account = ids.next().into();
        let rate = Rate { burst: NonZeroU32::MIN, each: Duration::milliseconds(100) };
        let pacing = Pacing { sound_and_film: Some(rate), ..pacing(3, Duration::seconds(6)) };
        let (film, words) = (|to| Load { sound_or_film: true, ..load(account, to) }, |to| load(account, to));
        let people: [IdentityId; 3] = [ids.next().into(), ids.next().into(), ids.next().into()];
        let now = datetime!(2026-11-20 10:00 UTC);
        assert_eq!(pacers.take(&pacing, film(people[0]), now), Ok(()));
        assert_eq!(pacers.take(&pacing, film(people[1]), now), Err(now + rate.each));
        assert_eq!(pacers.take(&pacing, words(people[2]), now), Ok(()), "words don't wait for films");
        pacers.put_back(&pacing, film(people[0]));
        assert_eq!(pacers.take(&pacing, film(people[1]), now), Ok(()));
    }

    #[test]
    fn films_and_sound_are_known_by_their_kind() {
        let source = MediaSource::Url { url: "https://files.example/1".to_owned() };
        let file = |kind| Attachment { kind, source: source.clone(), mime: None, file_name: None, size: None };
        let with =
            |kind| Content { body: Body::Text { text: String::new(), attachments: vec![file(kind)] }, reply_to: None };
        assert!(carries_sound_or_film(&with(MediaKind::Voice)) && carries_sound_or_film(&with(MediaKind::Video)));
        assert!(!carries_sound_or_film(&with(MediaKind::Image)) && !carries_sound_or_film(&Content::text("film")));
    }
}
