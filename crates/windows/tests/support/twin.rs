//! The naive twin: the same rules, told again as plainly as possible.
//!
//! It reads the policy's text with serde, keeps every event for ever, and works each answer out from the whole history:
//! no facts, no numbers for names, no order of events, no shortcut. It knows nothing of the engine's code.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use time::{Duration, OffsetDateTime, UtcOffset};
use transom_windows::{Account, Ask, Blocker, Category, Event, OptOutScope, PlatformRefusal, Sender, What};

use super::Key;

#[derive(Debug, Deserialize)]
pub struct Twin {
    #[serde(default)]
    a_refusal_ends: Option<String>,
    kinds: BTreeMap<String, Kind>,
    #[serde(default)]
    regions: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    quota: Vec<Quota>,
    #[serde(default)]
    grant: Vec<Grant>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    #[serde(default)]
    implies: Vec<String>,
    after_a_message_of_ours: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Quota {
    name: String,
    limit: Option<u32>,
    per: Per,
    scope: String,
    counts: Option<String>,
    zone: Option<String>,
    #[serde(default)]
    reset_by: Vec<String>,
    free_within: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Per {
    Word(String),
    Rolling { rolling: String },
    Since { rolling_since_opening: String },
}

#[derive(Debug, Deserialize)]
struct Grant {
    name: String,
    basis: Basis,
    by: Option<OneOrMany>,
    #[serde(default)]
    opened_by: Vec<String>,
    #[serde(default)]
    ended_by: Vec<String>,
    counted_from: Option<String>,
    within: Option<String>,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    unless: Vec<String>,
    countries: Option<Countries>,
    #[serde(default)]
    spends: Vec<String>,
    promotional: Option<bool>,
    in_force: Option<InForce>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Basis {
    Word(#[expect(dead_code, reason = "only the shape matters")] String),
    Tagged {
        #[expect(dead_code, reason = "only the shape matters")]
        tagged: String,
    },
    Template {
        template: Vec<Category>,
    },
}

#[derive(Debug, Deserialize)]
struct Countries {
    only: Option<Vec<String>>,
    except: Option<Vec<String>>,
    of: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct InForce {
    from: Option<toml::value::Datetime>,
    until: Option<toml::value::Datetime>,
}

/// What a window needs to be known about the event that opened it.
#[derive(Debug, Clone)]
struct Opening {
    start: OffsetDateTime,
    reference: Option<String>,
}

impl Twin {
    pub fn read(toml: &str) -> Self {
        toml::from_str(toml).unwrap()
    }

    /// What may be sent now, from the whole history.
    pub fn permitted(&self, history: &[Event], ask: Ask, now: OffsetDateTime) -> BTreeSet<Key> {
        let mut permits = BTreeSet::new();
        for grant in &self.grant {
            if grant.opened_by.is_empty() {
                if self.holds(grant, None, history, ask, now) {
                    permits.insert((grant.name.clone(), None));
                }
                continue;
            }
            for opening in self.openings(grant, history) {
                if self.holds(grant, Some(&opening), history, ask, now) {
                    permits.insert((grant.name.clone(), opening.reference));
                }
            }
        }
        permits
    }

    /// How much of every quota of this person is used, and its limit: for the law that none is passed.
    pub fn passed(&self, history: &[Event], now: OffsetDateTime) -> Option<String> {
        for quota in &self.quota {
            let Some(limit) = Self::limit(quota, history) else { continue };
            for grant in self.grant.iter().filter(|grant| grant.spends.contains(&quota.name)) {
                let openings: Vec<Option<Opening>> = match grant.opened_by.is_empty() {
                    true => vec![None],
                    false => self.openings(grant, history).into_iter().map(Some).collect(),
                };
                for opening in &openings {
                    let used = self.used(quota, opening.as_ref(), history, now);
                    if used > limit {
                        return Some(format!("{}: {used} of {limit}", quota.name));
                    }
                }
            }
        }
        None
    }

    fn holds(
        &self,
        grant: &Grant,
        opening: Option<&Opening>,
        history: &[Event],
        ask: Ask,
        now: OffsetDateTime,
    ) -> bool {
        let account = account(history);
        !self.barred(history, &account)
            && Self::sender_fits(grant, ask.sender())
            && in_force(grant, now)
            && self.country_fits(grant, history, &account)
            && grant.needs.iter().all(|word| self.is(word, history, &account))
            && !grant.unless.iter().any(|word| self.is(word, history, &account))
            && Self::category_fits(grant, history, &account, ask, now)
            && self.time_fits(grant, opening, history, now)
            && grant.spends.iter().all(|name| {
                let quota = self.quota.iter().find(|quota| quota.name == *name).unwrap();
                self.has_room(quota, opening, history, &account, ask.costs(), now)
            })
    }

    fn barred(&self, history: &[Event], account: &Account) -> bool {
        let heard = |at| self.heard(history).is_some_and(|heard| heard > at);
        let blocked = |by: Blocker, lifted_by_events: bool| {
            let newest = newest(history, |what| match what {
                What::Blocked { by: who } if *who == by => Some(true),
                What::Unblocked { by: who } if *who == by => Some(false),
                _ => None,
            });
            newest.is_some_and(|(at, blocked)| blocked && !(lifted_by_events && heard(at)))
        };
        let unreachable = newest(history, |what| match what {
            What::Unreachable { .. } => Some(true),
            What::Reachable => Some(false),
            _ => None,
        });
        account.suspended.is_some()
            || blocked(Blocker::Us, false)
            || blocked(Blocker::Customer, true)
            || opted_out(history, OptOutScope::All)
            || unreachable.is_some_and(|(at, unreachable)| unreachable && !heard(at))
    }

    /// When the customer was last heard in a way that proves they can be reached.
    fn heard(&self, history: &[Event]) -> Option<OffsetDateTime> {
        self.all_openings(history)
            .into_iter()
            .filter(|(kind, ..)| self.implies(kind, "reachable"))
            .map(|(_, at, _)| at)
            .max()
    }

    fn implies(&self, kind: &str, what: &str) -> bool {
        self.kinds[kind].implies.iter().any(|implied| implied == what)
    }

    fn sender_fits(grant: &Grant, sender: Sender) -> bool {
        match &grant.by {
            None => true,
            Some(OneOrMany::One(word)) => word == sender.as_str(),
            Some(OneOrMany::Many(words)) => words.iter().any(|word| word == sender.as_str()),
        }
    }

    fn country_fits(&self, grant: &Grant, history: &[Event], account: &Account) -> bool {
        let Some(countries) = &grant.countries else { return true };
        let contact = newest(history, |what| match what {
            What::Country { country } => Some(*country),
            _ => None,
        });
        let contact = contact.and_then(|(_, country)| country);
        let of = countries.of.clone().unwrap_or_else(|| vec!["contact".to_owned()]);
        of.iter().all(|whose| {
            let country = if whose == "contact" { contact } else { account.country };
            let listed = |list: &[String]| {
                country.map(|country| {
                    list.iter().any(|entry| match entry.strip_prefix('@') {
                        Some(region) => self.regions[region].iter().any(|member| member == country.as_str()),
                        None => entry == country.as_str(),
                    })
                })
            };
            match (&countries.only, &countries.except) {
                (Some(only), _) => listed(only).unwrap_or(false),
                (_, Some(except)) => !listed(except).unwrap_or(false),
                _ => unreachable!(),
            }
        })
    }

    fn is(&self, word: &str, history: &[Event], account: &Account) -> bool {
        match word {
            "wrote_before" => {
                history.iter().any(|event| event.what == What::WroteBefore)
                    || self.all_openings(history).iter().any(|(kind, ..)| self.implies(kind, "wrote_before"))
            }
            "subscribed" => self.subscribed(history) == Some(true),
            "unsubscribed" => self.subscribed(history) == Some(false),
            "consented" => consented(history),
            "opted_out:marketing" => opted_out(history, OptOutScope::Marketing),
            _ => match word.split_once(':').unwrap() {
                ("feature", name) => account.features.contains(name),
                ("template", name) => has_template(account, name.parse().unwrap()),
                _ => unreachable!("{word}"),
            },
        }
    }

    fn subscribed(&self, history: &[Event]) -> Option<bool> {
        // Of two at the same instant, the unsubscription.
        let said = history.iter().filter_map(|event| match &event.what {
            What::Subscribed => Some((event.at, false)),
            What::Unsubscribed => Some((event.at, true)),
            What::Opening { kind, .. } if self.implies(kind, "subscribed") => Some((event.at, false)),
            _ => None,
        });
        said.max().map(|(_, un)| !un)
    }

    fn category_fits(grant: &Grant, history: &[Event], account: &Account, ask: Ask, now: OffsetDateTime) -> bool {
        let out = opted_out(history, OptOutScope::Marketing);
        let cooling = |category: Category| {
            history.iter().any(|event| {
                matches!(&event.what, What::Cooling { category: cold, until } if *cold == category && now < *until)
            })
        };
        let Basis::Template { template } = &grant.basis else {
            let Some(category) = ask.about() else { return true };
            let marketing = category == Category::Marketing;
            let promotion = grant.promotional.unwrap_or(true);
            return !(marketing && (!promotion || out)) && !(grant.opened_by.is_empty() && cooling(category));
        };
        template.iter().any(|category| {
            ask.about().is_none_or(|asked| asked == *category)
                && has_template(account, *category)
                && !(out && *category == Category::Marketing)
                && !cooling(*category)
        })
    }

    fn time_fits(&self, grant: &Grant, opening: Option<&Opening>, history: &[Event], now: OffsetDateTime) -> bool {
        let Some(opening) = opening else {
            let heard = self.all_openings(history);
            let heard = heard
                .iter()
                .filter(|(kind, ..)| self.implies(kind, "reachable") || self.implies(kind, "wrote_before"))
                .map(|(_, at, _)| *at)
                .max();
            return self
                .refusals(grant, None, history)
                .iter()
                .all(|refused| heard.is_some_and(|heard| heard > *refused));
        };
        let within = grant.within.as_deref().map(span);
        let ended = self.all_openings(history).into_iter().filter(|(kind, ..)| grant.ended_by.contains(kind));
        let ended = ended.map(|(_, at, _)| at).max().filter(|ended| *ended >= opening.start);
        within.is_none_or(|within| now < opening.start + within)
            && ended.is_none_or(|ended| now < ended)
            && self
                .refusals(grant, opening.reference.as_deref(), history)
                .iter()
                .all(|refused| *refused < opening.start)
    }

    /// When messages were sent that the platform refused because this grant's time was over.
    fn refusals(&self, grant: &Grant, reference: Option<&str>, history: &[Event]) -> Vec<OffsetDateTime> {
        let every = |of: &str| !grant.opened_by.is_empty() && self.ends_every_opening(of);
        let counted = grant.spends.iter().any(|name| {
            self.quota
                .iter()
                .any(|quota| quota.name == *name && matches!(&quota.per, Per::Word(word) if word == "opening"))
        });
        let refused = history.iter().filter_map(|event| match &event.what {
            // A refusal on a right of its own ends that right, whatever the platform said.
            What::Refused { reference: Some(of), sent_at, .. } => (reference == Some(of)).then_some(*sent_at),
            What::Refused { grant: of, sent_at, cause: PlatformRefusal::WindowClosed, .. } => {
                (every(of) || *of == grant.name || self.same_session(of, grant)).then_some(*sent_at)
            }
            What::Refused { grant: of, sent_at, cause: PlatformRefusal::QuotaReached { .. }, .. } => {
                (every(of) && !counted).then_some(*sent_at)
            }
            _ => None,
        });
        refused.collect()
    }

    /// Whether two grants count from the first event of the same session.
    fn same_session(&self, name: &str, grant: &Grant) -> bool {
        let first = |grant: &Grant| grant.counted_from.as_deref() == Some("first");
        let kinds = |grant: &Grant| grant.opened_by.iter().cloned().collect::<BTreeSet<_>>();
        let other = self.grant.iter().find(|known| known.name == name).unwrap();
        first(grant) && first(other) && kinds(grant) == kinds(other)
    }

    /// Whether a refusal on that grant is evidence against whatever the customer opened.
    fn ends_every_opening(&self, grant: &str) -> bool {
        self.a_refusal_ends.as_deref() == Some("every_opening")
            && self.grant.iter().any(|known| known.name == grant && !known.opened_by.is_empty())
    }

    /// What opened a grant: one opening, or each of its rights.
    fn openings(&self, grant: &Grant, history: &[Event]) -> Vec<Opening> {
        let mut mine = self.all_openings(history);
        mine.retain(|(kind, ..)| grant.opened_by.contains(kind));
        mine.sort_by_key(|(_, at, _)| *at);
        match grant.counted_from.as_deref().unwrap() {
            "latest" => mine.last().map(|(_, at, _)| Opening { start: *at, reference: None }).into_iter().collect(),
            "first" => {
                let within = span(grant.within.as_deref().unwrap());
                let refusals = self.refusals(grant, None, history);
                let mut start: Option<OffsetDateTime> = None;
                for (_, at, _) in &mine {
                    let open = start.is_some_and(|start| {
                        *at < start + within && !refusals.iter().any(|refused| start <= *refused && *refused < *at)
                    });
                    if !open {
                        start = Some(*at);
                    }
                }
                start.map(|start| Opening { start, reference: None }).into_iter().collect()
            }
            "each" => {
                let mut rights: BTreeMap<(String, Option<String>), OffsetDateTime> = BTreeMap::new();
                for (kind, at, reference) in mine {
                    let first = rights.entry((kind, reference)).or_insert(at);
                    *first = at.min(*first);
                }
                rights.into_iter().map(|((_, reference), start)| Opening { start, reference }).collect()
            }
            _ => unreachable!(),
        }
    }

    /// Every event of the customer, those that count as another kind too included.
    fn all_openings(&self, history: &[Event]) -> Vec<(String, OffsetDateTime, Option<String>)> {
        let given = history.iter().filter_map(|event| match &event.what {
            What::Opening { kind, reference } => Some((kind.clone(), event.at, reference.clone())),
            _ => None,
        });
        let mut all: Vec<_> = given.collect();
        let first_sent = sends(history).into_values().map(|(at, ..)| at).min();
        for (name, kind) in &self.kinds {
            let Some((base, first_sent)) = kind.after_a_message_of_ours.as_ref().zip(first_sent) else { continue };
            let answers: Vec<_> =
                all.iter().filter(|(kind, at, _)| kind == base && *at > first_sent).cloned().collect();
            all.extend(answers.into_iter().map(|(_, at, _)| (name.clone(), at, None)));
        }
        all
    }

    fn limit(quota: &Quota, history: &[Event]) -> Option<u32> {
        account(history).limits.get(&quota.name).copied().unwrap_or(quota.limit)
    }

    fn has_room(
        &self,
        quota: &Quota,
        opening: Option<&Opening>,
        history: &[Event],
        account: &Account,
        cost: u32,
        now: OffsetDateTime,
    ) -> bool {
        if self.is_free(quota, history, now) {
            return true;
        }
        let distinct = quota.counts.as_deref() == Some("distinct_recipients");
        let counted = account.quotas.get(&quota.name).is_some_and(|usage| usage.counts_me);
        let cost = match (distinct, counted) {
            (true, true) => return true,
            (true, false) => 1,
            _ => cost,
        };
        if self.refused_as_used_up(quota, opening, history, now) {
            return false;
        }
        Self::limit(quota, history).is_none_or(|limit| self.used(quota, opening, history, now) + cost <= limit)
    }

    /// Whether nothing counts at an instant, because another grant's window is open.
    fn is_free(&self, quota: &Quota, history: &[Event], at: OffsetDateTime) -> bool {
        let Some(free) = &quota.free_within else { return false };
        let grant = self.grant.iter().find(|grant| grant.name == *free).unwrap();
        self.openings(grant, history).iter().any(|opening| self.time_fits(grant, Some(opening), history, at))
    }

    fn refused_as_used_up(
        &self,
        quota: &Quota,
        opening: Option<&Opening>,
        history: &[Event],
        now: OffsetDateTime,
    ) -> bool {
        let by_opening = matches!(&quota.per, Per::Word(word) if word == "opening");
        history.iter().any(|event| {
            let What::Refused { grant, reference: None, sent_at, cause: PlatformRefusal::QuotaReached { quota: said } } = &event.what
            else {
                return false;
            };
            // Where the platform names no grant, every count that an opening starts is used up.
            if *said != quota.name && !(by_opening && self.ends_every_opening(grant)) {
                return false;
            }
            match &quota.per {
                Per::Word(word) if word == "opening" => opening.is_some_and(|opening| opening.start <= *sent_at),
                Per::Word(_) => period(quota, *sent_at) == period(quota, now),
                Per::Rolling { rolling } => now < *sent_at + span(rolling),
                Per::Since { rolling_since_opening } => {
                    now < *sent_at + span(rolling_since_opening)
                        && self.reset(quota, history).is_none_or(|reset| reset <= *sent_at)
                }
            }
        })
    }

    fn reset(&self, quota: &Quota, history: &[Event]) -> Option<OffsetDateTime> {
        self.all_openings(history)
            .into_iter()
            .filter(|(kind, ..)| quota.reset_by.contains(kind))
            .map(|(_, at, _)| at)
            .max()
    }

    fn used(&self, quota: &Quota, opening: Option<&Opening>, history: &[Event], now: OffsetDateTime) -> u32 {
        let (account_at, account) = newest_account(history);
        let reported = account.quotas.get(&quota.name).map_or(0, |usage| match &quota.per {
            Per::Word(word) if word == "opening" => 0,
            // What was reported before the customer started the count anew is no longer used.
            Per::Since { .. } if self.reset(quota, history).is_some_and(|reset| reset > account_at) => 0,
            Per::Word(_) => {
                let of = usage.period.clone().unwrap_or_else(|| period(quota, account_at));
                if of == period(quota, now) { usage.used } else { 0 }
            }
            _ => usage.used - u32::from(usage.used > 0 && usage.frees_at.is_some_and(|frees| frees <= now)),
        });
        let own = sends(history).into_values().filter(|(at, grant, reference, _)| {
            let spends = self.grant.iter().any(|known| known.name == *grant && known.spends.contains(&quota.name));
            quota.scope == "identity"
                && spends
                && match &quota.per {
                    Per::Word(word) if word == "opening" => opening.is_some_and(|opening| {
                        *at >= opening.start
                            && (opening.reference.is_none() || opening.reference == *reference)
                            && !self.is_free(quota, history, *at)
                    }),
                    Per::Word(_) => period(quota, *at) == period(quota, now),
                    Per::Rolling { rolling } => now < *at + span(rolling),
                    Per::Since { rolling_since_opening } => {
                        now < *at + span(rolling_since_opening)
                            && self.reset(quota, history).is_none_or(|reset| *at >= reset)
                    }
                }
        });
        let unit = |cost: u32| if quota.counts.as_deref() == Some("distinct_recipients") { 1 } else { cost };
        reported + own.map(|(.., cost)| unit(cost)).sum::<u32>()
    }
}

type Sending = (OffsetDateTime, String, Option<String>, u32);

/// What was sent, each message once.
fn sends(history: &[Event]) -> BTreeMap<u128, Sending> {
    let sent = history.iter().filter_map(|event| match &event.what {
        What::Sent { id, grant, reference, cost } => Some((*id, (event.at, grant.clone(), reference.clone(), *cost))),
        _ => None,
    });
    sent.collect()
}

fn newest<T: Ord + Copy>(history: &[Event], read: impl Fn(&What) -> Option<T>) -> Option<(OffsetDateTime, T)> {
    history.iter().filter_map(|event| Some((event.at, read(&event.what)?))).max()
}

fn newest_account(history: &[Event]) -> (OffsetDateTime, Account) {
    let given = history.iter().filter_map(|event| match &event.what {
        What::Account { account } => Some((event.at, (**account).clone())),
        _ => None,
    });
    given.max().unwrap_or((OffsetDateTime::UNIX_EPOCH, Account::default()))
}

fn account(history: &[Event]) -> Account {
    newest_account(history).1
}

fn consented(history: &[Event]) -> bool {
    // Of two at the same instant, the withdrawal.
    let withdrawn = newest(history, |what| match what {
        What::Consent { given } => Some(!given),
        _ => None,
    });
    withdrawn.is_none_or(|(_, withdrawn)| !withdrawn)
}

fn opted_out(history: &[Event], scope: OptOutScope) -> bool {
    let of_all = newest(history, |what| match what {
        What::OptOut { scope: OptOutScope::All } => Some(true),
        What::OptIn { scope: OptOutScope::All } => Some(false),
        _ => None,
    });
    let of_marketing = newest(history, |what| match what {
        What::OptOut { scope: OptOutScope::Marketing } => Some(true),
        What::OptIn { .. } => Some(false),
        _ => None,
    });
    let out = |register: Option<(OffsetDateTime, bool)>| register.is_some_and(|(_, out)| out);
    out(of_all) || (scope == OptOutScope::Marketing && out(of_marketing))
}

fn has_template(account: &Account, category: Category) -> bool {
    account.templates.as_ref().is_none_or(|templates| templates.contains(&category))
}

fn in_force(grant: &Grant, now: OffsetDateTime) -> bool {
    let instant = |at: &toml::value::Datetime| {
        OffsetDateTime::parse(&at.to_string(), &time::format_description::well_known::Rfc3339).unwrap()
    };
    grant.in_force.as_ref().is_none_or(|dates| {
        dates.from.as_ref().is_none_or(|from| instant(from) <= now)
            && dates.until.as_ref().is_none_or(|until| now < instant(until))
    })
}

/// `2026-11` or `2026-11-20`, by the calendar of the quota's zone.
fn period(quota: &Quota, at: OffsetDateTime) -> String {
    let local = at.to_offset(offset(quota.zone.as_deref().unwrap()));
    match &quota.per {
        Per::Word(word) if word == "month" => format!("{:04}-{:02}", local.year(), u8::from(local.month())),
        _ => format!("{:04}-{:02}-{:02}", local.year(), u8::from(local.month()), local.day()),
    }
}

fn offset(zone: &str) -> UtcOffset {
    if zone == "UTC" || zone == "Z" {
        return UtcOffset::UTC;
    }
    let (hours, minutes) = zone[1..].split_once(':').unwrap();
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    UtcOffset::from_hms(sign * hours.parse::<i8>().unwrap(), sign * minutes.parse::<i8>().unwrap(), 0).unwrap()
}

fn span(text: &str) -> Duration {
    let (digits, unit) = text.split_at(text.len() - 1);
    let number: i64 = digits.parse().unwrap();
    match unit {
        "s" => Duration::seconds(number),
        "m" => Duration::minutes(number),
        "h" => Duration::hours(number),
        "d" => Duration::days(number),
        _ => unreachable!(),
    }
}
