//! A batch of items together: of customers' messages, one statement a table; everything else one by one, also messages that name
//! the ones they answer.
//!
//! Nothing here is in a savepoint: what fails undoes the whole, and the batch is taken again item by item.

use std::borrow::Cow;
use std::collections::BTreeSet;

use time::OffsetDateTime;
use transom_channel::{Inbound, InboundMessage, Item};
use transom_domain::{Actor, Address, ChannelAccountId, ConnectionId, ContactId, Conversation, EpisodeId, IdentityId};
use transom_storage::{
    EpisodeStart, Meeting, Met, NewConversation, NewEvent, NewMessage, PersonSeed, StoredConversation, Touched, Tx,
    WindowColumns,
};
use transom_windows::Person;

use super::ground::Ground;
use super::item::{self, Case, Fate, Trouble};
use super::message::{self, Writer};
use super::{erased, late};
use crate::DeskError;
use crate::changes::{self, Change};

/// What became of an item, or why it can't be used.
pub(super) type Outcome = Result<Fate, Trouble>;

/// A customer's message that is new, in its place.
struct Arrival<'c> {
    /// Its place in the batch.
    place: usize,
    case: Case<'c>,
    message: Cow<'c, InboundMessage>,
}

/// Applies items in their order; receipts may be overtaken by messages, which they have nothing to do with.
///
/// # Errors
/// Whatever fails: nothing may be kept then.
pub(super) async fn apply(
    ground: &Ground,
    tx: &Tx,
    items: &[(ConnectionId, Inbound)],
    into_trouble: impl Fn(DeskError) -> Result<Trouble, DeskError>,
) -> Result<Vec<Outcome>, DeskError> {
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(items.len());
    let mut cases = Vec::with_capacity(items.len());
    for (place, (connection, inbound)) in items.iter().enumerate() {
        let placed = match Case::places(ground, tx, *connection, inbound).await {
            // Whose message it is must be known before its key is taken.
            Ok(of_item) if is_message(inbound) => {
                of_item.iter().try_for_each(|case| case.seed().map(drop)).map(|()| of_item)
            }
            placed => placed,
        };
        match placed {
            Ok(of_item) => {
                outcomes.push(Ok(Fate::Repeated));
                cases.extend(of_item.into_iter().map(|case| (place, case)));
            }
            Err(error) => outcomes.push(Err(into_trouble(error)?)),
        }
    }
    let erased = erased::since(tx, &cases.iter().map(|(_, case)| case).collect::<Vec<_>>()).await?;
    let mut is_erased = erased.into_iter();
    cases.retain(|(place, _)| {
        let erased = is_erased.next().unwrap_or_default();
        if let (true, Some(outcome)) = (erased, outcomes.get_mut(*place)) {
            *outcome = Ok(Fate::Erased);
        }
        !erased
    });
    let keys: Vec<_> = cases.iter().map(|(_, case)| case.key()).collect();
    let new = tx.first_sights(&keys, ground.now).await?;

    let (mut arrivals, mut receipts) = (Vec::new(), Vec::new());
    for ((place, case), new) in cases.into_iter().zip(new) {
        if !new {
            item::repeated();
            continue;
        }
        if let Some(outcome) = outcomes.get_mut(place) {
            *outcome = Ok(Fate::Taken);
        }
        if let Some(message) = message_of(case.inbound).filter(|message| message::is_plain(message)) {
            arrivals.push(Arrival { place, case, message });
            continue;
        }
        if matches!(case.inbound.item, Item::Receipt { .. }) {
            receipts.push(case);
            continue;
        }
        settle(ground, tx, &mut arrivals, &mut receipts).await?;
        item::take(&case).await?;
        ground.moved();
    }
    settle(ground, tx, &mut arrivals, &mut receipts).await?;
    Ok(outcomes)
}

fn is_message(inbound: &Inbound) -> bool {
    matches!(inbound.item, Item::Message(_))
}

/// The message that an item brings into the conversation, if the customer sent one.
fn message_of(inbound: &Inbound) -> Option<Cow<'_, InboundMessage>> {
    match &inbound.item {
        Item::Message(message) => Some(Cow::Borrowed(message)),
        _ => message::unreadable(inbound).map(Cow::Owned),
    }
}

async fn settle<'c>(
    ground: &Ground,
    tx: &Tx,
    arrivals: &mut Vec<Arrival<'c>>,
    receipts: &mut Vec<Case<'c>>,
) -> Result<(), DeskError> {
    let mut waiting = std::mem::take(arrivals);
    while !waiting.is_empty() {
        let (wave, mut later) = first_of_everybody(waiting);
        later.extend(file(ground, tx, wave).await?);
        later.sort_by_key(|arrival| arrival.place);
        waiting = later;
    }
    for case in receipts.drain(..) {
        item::take(&case).await?;
        ground.moved();
    }
    Ok(())
}

/// Parts off the first message of every person, as far as their addresses tell them apart.
fn first_of_everybody(arrivals: Vec<Arrival<'_>>) -> (Vec<Arrival<'_>>, Vec<Arrival<'_>>) {
    let mut seen: BTreeSet<(ChannelAccountId, Address)> = BTreeSet::new();
    arrivals.into_iter().partition(|arrival| {
        let mut is_first = true;
        // Every address is noted, also of those who come later: nobody's second message may overtake their first.
        for address in arrival.case.inbound.person.iter().flat_map(|person| &person.addresses) {
            is_first &= seen.insert((arrival.case.account.id, address.clone()));
        }
        is_first
    })
}

/// What a wave of messages writes, gathered table by table.
#[derive(Default)]
struct Sheet {
    people: Vec<(PersonSeed, Person)>,
    facts: Vec<(IdentityId, Person)>,
    conversations: Vec<NewConversation>,
    episodes: Vec<(Conversation, EpisodeStart)>,
    touched: Vec<Touched>,
    messages: Vec<(NewMessage, ContactId)>,
    events: Vec<NewEvent>,
    /// People who begin another thread: their other threads share the window.
    threads: Vec<(IdentityId, WindowColumns)>,
}

/// Files messages of as many people; gives back those that turned out to be somebody's second.
async fn file<'c>(ground: &Ground, tx: &Tx, wave: Vec<Arrival<'c>>) -> Result<Vec<Arrival<'c>>, DeskError> {
    let seeds: Vec<PersonSeed> = wave.iter().map(|arrival| arrival.case.seed()).collect::<Result<_, _>>()?;
    let meetings = tx.meet_many(&seeds, ground.now).await?;
    let (mut met_once, mut second, mut unclear, mut clear) = (BTreeSet::new(), Vec::new(), Vec::new(), Vec::new());
    for ((arrival, seed), meeting) in wave.into_iter().zip(seeds).zip(meetings) {
        match meeting {
            Meeting::Known(met) if met_once.insert(met.identity.id) => clear.push((arrival, *met, None)),
            // Known by two addresses, and each of two messages names another.
            Meeting::Known(_) => second.push(arrival),
            Meeting::Nobody => clear.push((arrival, seed.met(), Some(seed))),
            Meeting::Unclear => unclear.push(arrival),
        }
    }
    let threads: Vec<(IdentityId, &str)> = clear
        .iter()
        .filter(|(_, met, _)| !met.new_identity)
        .map(|(arrival, met, _)| (met.identity.id, arrival.message.thread.as_str()))
        .collect();
    let mut known = tx.lock_conversations_of(&threads).await?;

    let mut sheet = Sheet::default();
    let mut stirred = Vec::new();
    for (arrival, met, seed) in &clear {
        let Arrival { case, message, .. } = arrival;
        let mut situation = case.situation(met).await?;
        case.open_windows(&mut situation);
        let (person, window) = (situation.facts.snapshot().person, situation.columns(ground.now));
        match seed {
            Some(seed) => {
                sheet.events.push(case.created(met));
                sheet.people.push((seed.clone(), person));
            }
            None => sheet.facts.push((met.identity.id, person)),
        }
        match known.remove(&(met.identity.id, message.thread.clone())) {
            Some(stored) => stirred.extend(sheet.go_on(arrival, stored, window).await?),
            None => sheet.begin(ground, arrival, met, window).await?,
        }
    }
    sheet.write(tx, ground.now).await?;
    for (case, message, stored, new) in stirred {
        message::take_effect(case, &stored, message, &new).await?;
    }
    let filed: Vec<_> =
        clear.iter().map(|(arrival, ..)| (arrival.case.account.id, arrival.message.provider_id.as_str())).collect();
    late::join_all(&ground.desk, tx, &filed, ground.now).await?;
    for arrival in unclear {
        message::received(&arrival.case, &arrival.message).await?;
    }
    Ok(second)
}

/// A conversation of which more changes than what is filed, and the message that came in.
type Stirred<'a, 'c> = (&'a Case<'c>, &'a InboundMessage, StoredConversation, NewMessage);

impl Sheet {
    /// A message in a conversation that is there; gives it back if there is more to it.
    async fn go_on<'a, 'c>(
        &mut self,
        Arrival { case, message, .. }: &'a Arrival<'c>,
        stored: StoredConversation,
        window: WindowColumns,
    ) -> Result<Option<Stirred<'a, 'c>>, DeskError> {
        let new = message::filed(case, &stored, message, Writer::customer(None)).await?;
        self.touched.push(Touched {
            conversation: stored.conversation.id,
            identity: stored.conversation.identity,
            touch: message::touch(case, message),
            window,
        });
        self.messages.push((new.clone(), stored.contact));
        if message::has_effect(&stored, &new) {
            return Ok(Some((case, &**message, stored, new)));
        }
        self.events.push(message::told(case, &stored, &new, &[]));
        Ok(None)
    }

    /// A message that begins a conversation.
    async fn begin(
        &mut self,
        ground: &Ground,
        Arrival { case, message, .. }: &Arrival<'_>,
        met: &Met,
        window: WindowColumns,
    ) -> Result<(), DeskError> {
        let ids = ground.desk.ids();
        let mut conversation = message::fresh(case, met.identity.id, &message.thread);
        let stored = StoredConversation::begun(conversation.clone(), met.contact, case.account.id, ground.now);
        let new = message::filed(case, &stored, message, Writer::customer(None)).await?;
        let bots = message::serving(case, &stored, message, &new).await?;
        let opens = message::opens_anew(&*ground.settings(case.tx).await?, false, !bots.is_empty());
        let told = message::told(case, &stored, &new, if opens { &[] } else { &bots });
        let id = new.message.id;
        self.messages.push((new, met.contact));
        if opens && let Some(transition) = conversation.reopen(EpisodeId::new(ids), ground.now) {
            let change = Change::new(&Actor::Customer, "inbound", ground.now).by_message(id);
            let traces = changes::traces(ids, &stored, &transition, &change);
            self.episodes.extend(traces.begins.map(|start| (conversation.clone(), start)));
            self.events.extend(traces.events);
            self.messages.extend(traces.lines);
        }
        self.events.push(told);
        if !met.new_identity {
            self.threads.push((met.identity.id, window.clone()));
        }
        let touch = message::touch(case, message);
        let (contact, account) = (met.contact, case.account.id);
        self.conversations.push(NewConversation { conversation, contact, account, touch, window });
        Ok(())
    }

    async fn write(&self, tx: &Tx, now: OffsetDateTime) -> Result<(), DeskError> {
        tx.insert_people(&self.people, now).await?;
        tx.insert_conversations(&self.conversations, now).await?;
        tx.begin_episodes(&self.episodes, now).await?;
        tx.touch_conversations(&self.touched, now).await?;
        for (identity, window) in &self.threads {
            tx.save_window(*identity, window, now).await?;
        }
        tx.insert_messages(&self.messages, now).await?;
        tx.save_facts_of(&self.facts, now).await?;
        Ok(tx.emit_all(&self.events).await?)
    }
}
