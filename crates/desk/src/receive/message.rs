//! Messages of customers, and what becomes of the conversation.

use serde_json::json;
use time::Duration;
use transom_channel::{Inbound, InboundMessage, Item};
use transom_domain::{
    Actor, AgentId, Assignment, Author, Body, Content, Conversation, ConversationId, Direction, EpisodeId, IdentityId,
    InboundOnClosed, Message, MessageId, MessageKind, Settings, Status, Transition,
};
use transom_storage::{Met, NewEvent, NewMessage, StoredConversation, Touch};

use super::item::Case;
use super::{answer, echo, late};
use crate::attachments::{self, Brought};
use crate::bots::{self, Heard};
use crate::changes::{self, Change};
use crate::moments::{missed, survey};
use crate::send::preview;
use crate::{DeskError, fallback};

/// Whether it can be filed together with others: what it does hangs on nothing but its person and its thread.
pub(super) fn is_plain(message: &InboundMessage) -> bool {
    message.answers.is_empty() && !message.automatic
}

/// The customer wrote, or somebody else in a conversation with one.
pub(super) async fn received(case: &Case<'_>, message: &InboundMessage) -> Result<(), DeskError> {
    let earlier = answer::earlier(case, message).await?;
    if let Some(earlier) = earlier
        && answer::is_by_another(case, earlier).await?
    {
        return answer::by_another(case, message, earlier).await;
    }
    let met = case.person().await?;
    let stored = answer::conversation(case, &met, message, earlier).await?;
    let mut situation = case.situation(&met).await?;
    case.open_windows(&mut situation);
    let new = filed(case, &stored, message, Writer::customer(earlier.map(|earlier| earlier.message))).await?;
    let person = situation.facts.snapshot().person;
    case.tx.file_inbound(&new, &touch(case, message), &person, &situation.columns(case.now), case.now).await?;
    take_effect(case, &stored, message, &new).await?;
    if let Some(earlier) = earlier.filter(|_| !message.automatic) {
        let answer = (new.message.id, stored.conversation.id);
        fallback::answered(case.desk, case.tx, earlier.message, answer, case.now).await?;
    }
    late::join(case, &message.provider_id).await
}

/// Tells of a customer's message, these bots too.
pub(super) fn told(case: &Case<'_>, stored: &StoredConversation, new: &NewMessage, bots: &[AgentId]) -> NewEvent {
    let mut data = json!({ "message": new.message.id, "preview": preview(&new.message.content) });
    if let (false, Some(data)) = (bots.is_empty(), data.as_object_mut()) {
        data.insert("bots".to_owned(), json!(bots));
    }
    changes::event(case.desk.ids(), stored, "message.received", data, case.now)
}

/// The bots that may serve a message: those of the account whose condition holds, while no people have the conversation. No
/// machine answers a machine.
pub(super) async fn serving(
    case: &Case<'_>,
    stored: &StoredConversation,
    message: &InboundMessage,
    new: &NewMessage,
) -> Result<Vec<AgentId>, DeskError> {
    if stored.conversation.status != Status::Closed || message.automatic {
        return Ok(Vec::new());
    }
    let known = case.ground.bots(case.tx, case.account.id).await?;
    bots::told_of(case.tx, &known, Heard { message: &new.message, contact: stored.contact, now: case.now }).await
}

/// Something came that we can't read: agents see that there was something, others find it in the events.
pub(super) async fn unsupported(case: &Case<'_>, what: &str, from_customer: bool) -> Result<(), DeskError> {
    match unreadable(case.inbound) {
        Some(message) if from_customer => received(case, &message).await,
        _ => case.emit("channel.unsupported", None, json!({ "account": case.account.id, "what": what })).await,
    }
}

/// The message that stands for something of a customer's that we can't read.
pub(super) fn unreadable(inbound: &Inbound) -> Option<InboundMessage> {
    match (&inbound.item, &inbound.person) {
        (Item::Unsupported { what, from_customer: true }, Some(_)) => Some(InboundMessage::new(
            inbound.event_key.clone(),
            Content { body: Body::Unsupported { what: what.clone() }, reply_to: None },
        )),
        _ => None,
    }
}

/// A message of the business: our own coming back, or one written in the platform's own app. Opens no window.
pub(super) async fn echoed(
    case: &Case<'_>,
    message: &InboundMessage,
    correlation: Option<&str>,
) -> Result<(), DeskError> {
    // With the person locked: an answer that names it may be stored just now.
    let identity = echo::known(case).await?;
    let is_ours = is_known(case, message).await?;
    let part = match echo::named(case, correlation).await? {
        None if !is_ours && correlation.is_none() => echo::unanswered(case, identity, message).await?,
        named => named,
    };
    if is_ours || part.is_some() {
        return echo::settles(case, message, part).await;
    }
    let earlier = answer::earlier(case, message).await?;
    let met = case.person().await?;
    let stored = answer::conversation(case, &met, message, earlier).await?;
    case.tx.mark_in_flight(case.account.id).await?;
    if is_known(case, message).await? {
        return echo::settles(case, message, None).await;
    }
    let new = filed(case, &stored, message, Writer::of(Author::Echo, earlier.map(|earlier| earlier.message))).await?;
    let id = new.message.id;
    let touch = Touch { direction: Direction::Outbound, ..touch(case, message) };
    case.tx.file_message(&new, &touch, case.now).await?;
    changes::emit(case.tx, case.desk.ids(), &stored, "message.echoed", json!({ "message": id }), case.now).await?;
    late::join(case, &message.provider_id).await
}

async fn is_known(case: &Case<'_>, message: &InboundMessage) -> Result<bool, DeskError> {
    Ok(case.tx.message_by_provider_id(case.account.id, &message.provider_id).await?.is_some())
}

/// A conversation that begins now: closed, like one that was closed long ago.
pub(super) fn fresh(case: &Case<'_>, identity: IdentityId, thread: &str) -> Conversation {
    Conversation {
        id: ConversationId::new(case.desk.ids()),
        identity,
        thread: thread.to_owned(),
        status: Status::Closed,
        assignment: Assignment::NONE,
        episode: EpisodeId::new(case.desk.ids()),
        episodes: 0,
        status_since: case.now,
    }
}

/// The conversation of a person, made if there is none; locked.
pub(super) async fn thread(case: &Case<'_>, met: &Met, thread: &str) -> Result<StoredConversation, DeskError> {
    let known = if met.new_identity { None } else { case.tx.lock_conversation_of(met.identity.id, thread).await? };
    match known {
        Some(stored) => Ok(stored),
        None => {
            let fresh = fresh(case, met.identity.id, thread);
            Ok(case.tx.lock_or_insert_conversation(&fresh, met.contact, case.account.id, case.now).await?)
        }
    }
}

/// Who wrote a message, and to which earlier one.
pub(super) struct Writer {
    author: Author,
    answers: Option<MessageId>,
}

impl Writer {
    pub(super) fn of(author: Author, answers: Option<MessageId>) -> Self {
        Self { author, answers }
    }

    pub(super) fn customer(answers: Option<MessageId>) -> Self {
        Self::of(Author::Actor(Actor::Customer), answers)
    }
}

pub(super) async fn filed(
    case: &Case<'_>,
    stored: &StoredConversation,
    message: &InboundMessage,
    Writer { author, answers }: Writer,
) -> Result<NewMessage, DeskError> {
    let direction = if author == Author::Echo { Direction::Outbound } else { Direction::Inbound };
    let quoted = match &message.content.reply_to {
        None => None,
        Some(provider_id) => case.tx.message_by_provider_id(case.account.id, provider_id).await?,
    };
    // Letters are named by whoever writes them: of two with one name the second is kept without.
    let is_taken = case.channel.capabilities().threads
        && case.tx.message_by_provider_id(case.account.id, &message.provider_id).await?.is_some();
    let id = MessageId::new(case.desk.ids());
    let mut extra = json!({ "group": message.group });
    if let (true, Some(extra)) = (message.automatic, extra.as_object_mut()) {
        extra.insert("automatic".to_owned(), true.into());
    }
    Ok(NewMessage {
        message: Message {
            id,
            conversation: stored.conversation.id,
            kind: MessageKind::Reply,
            direction,
            author,
            content: kept(case, id, message).await?,
            state: None,
            at: case.at,
        },
        account: case.account.id,
        identity: stored.conversation.identity,
        provider_id: (!is_taken).then(|| message.provider_id.clone()),
        reply_to: quoted.map(|(id, _)| id).or(answers),
        payload: message.payload.clone(),
        permit: None,
        extra,
    })
}

/// The content with its files as ours: those that it brought along are stored, what the platform keeps is fetched later.
async fn kept(case: &Case<'_>, id: MessageId, message: &InboundMessage) -> Result<Content, DeskError> {
    let (of, mut content) = ((id, case.account.id), message.content.clone());
    let Some(files) = case.desk.files() else { return Ok(content) };
    let brought = Brought { files: &message.enclosed, max_bytes: files.max_bytes };
    brought.keep(case.tx, case.desk.ids(), of, &mut content, case.now).await?;
    if case.channel.media().is_none() {
        return Ok(content);
    }
    Ok(attachments::adopt(case.tx, case.desk.ids(), of, &content, case.now).await?)
}

/// What a message that came in does to its conversation. A machine's makes nobody wait for an answer.
pub(super) fn touch(case: &Case<'_>, message: &InboundMessage) -> Touch {
    let direction = if message.automatic { Direction::Internal } else { Direction::Inbound };
    Touch { at: case.at, direction, by_person: false, preview: preview(&message.content) }
}

/// What a customer's message that was filed does to a conversation, and that it is told. An answer to a survey changes no status
/// and is for no bot.
pub(super) async fn take_effect(
    case: &Case<'_>,
    stored: &StoredConversation,
    message: &InboundMessage,
    new: &NewMessage,
) -> Result<(), DeskError> {
    let mut bots = serving(case, stored, message, new).await?;
    if !message.automatic {
        missed::reopened(case.tx, stored, case.at).await?;
        let is_for_bots = !survey::answered(case, stored, new).await?
            && wake_or_reopen(case, stored, new.message.id, !bots.is_empty()).await?;
        bots.retain(|_| is_for_bots);
    }
    Ok(case.tx.emit(&told(case, stored, new, &bots)).await?)
}

/// Whether there is more to it than that it is filed and told.
pub(super) fn has_effect(stored: &StoredConversation, new: &NewMessage) -> bool {
    stored.conversation.status != Status::Open || stored.missed_at.is_some() || survey::may_answer(new)
}

/// open stays, snoozed opens, closed follows the settings; an answer to a person's message always opens. Whether it stays
/// as it was.
async fn wake_or_reopen(
    case: &Case<'_>,
    stored: &StoredConversation,
    message: MessageId,
    bot_serves: bool,
) -> Result<bool, DeskError> {
    let mut after = stored.conversation.clone();
    let episode = EpisodeId::new(case.desk.ids());
    let (transition, cause, answered) = match stored.conversation.status {
        Status::Open => return Ok(true),
        Status::Snoozed { .. } => (after.reopen(episode, case.now), "inbound", None),
        Status::Closed => opening(case, stored, &mut after, episode, bot_serves).await?,
    };
    let Some(transition) = transition else { return Ok(true) };
    let change = Change::new(&Actor::Customer, cause, case.now).by_message(answered.unwrap_or(message));
    changes::record(case.tx, case.desk.ids(), stored, &after, &transition, &change).await?;
    Ok(false)
}

/// The same for somebody else in the thread: open stays, snoozed opens, closed follows the settings. It is nobody's answer
/// in the sense of R-523.
pub(super) async fn wake_for_another(
    case: &Case<'_>,
    stored: &StoredConversation,
    message: MessageId,
) -> Result<(), DeskError> {
    let opens = match stored.conversation.status {
        Status::Open => false,
        Status::Snoozed { .. } => true,
        Status::Closed => opens_anew(&*case.ground.settings(case.tx).await?, stored.conversation.episodes > 0, false),
    };
    let mut after = stored.conversation.clone();
    let Some(transition) = opens.then(|| after.reopen(EpisodeId::new(case.desk.ids()), case.now)).flatten() else {
        return Ok(());
    };
    let change = Change::new(&Actor::Platform, "inbound", case.now).by_message(message);
    changes::record(case.tx, case.desk.ids(), stored, &after, &transition, &change).await
}

async fn opening(
    case: &Case<'_>,
    stored: &StoredConversation,
    after: &mut Conversation,
    episode: EpisodeId,
    bot_serves: bool,
) -> Result<(Option<Transition>, &'static str, Option<MessageId>), DeskError> {
    if let Some((answered, agent, at)) = case.tx.last_outbound_by_person(stored.conversation.id).await? {
        // the customer answers somebody; that somebody gets the answer.
        let settings = case.ground.settings(case.tx).await?;
        let recent = case.at < at.saturating_add(Duration::days(i64::from(settings.answer_opens_days)));
        if recent {
            return Ok((after.opened_by_sender(agent, episode, case.now), "answer", Some(answered)));
        }
    }
    let settings = case.ground.settings(case.tx).await?;
    let opens = opens_anew(&settings, stored.conversation.episodes > 0, bot_serves);
    Ok((opens.then(|| after.reopen(episode, case.now)).flatten(), "inbound", None))
}

/// What the settings say about a message into a new or closed conversation.
pub(super) fn opens_anew(settings: &Settings, known: bool, bot_serves: bool) -> bool {
    let as_new = settings.new_conversation_status.starts_open(bot_serves);
    match settings.inbound_on_closed {
        InboundOnClosed::Open if known => true,
        InboundOnClosed::Open | InboundOnClosed::AsNew => as_new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use transom_domain::NewConversationStatus as New;

    #[rstest]
    #[case(New::Auto, InboundOnClosed::AsNew, false, false, true)]
    #[case(New::Auto, InboundOnClosed::AsNew, false, true, false)]
    #[case(New::Auto, InboundOnClosed::Open, true, true, true)]
    #[case(New::Closed, InboundOnClosed::AsNew, true, false, false)]
    #[case(New::Closed, InboundOnClosed::Open, true, false, true)]
    #[case(New::Closed, InboundOnClosed::Open, false, false, false)]
    #[case(New::Open, InboundOnClosed::AsNew, true, true, true)]
    fn settings_say_whether_a_message_opens(
        #[case] new: New,
        #[case] on_closed: InboundOnClosed,
        #[case] known: bool,
        #[case] bot_serves: bool,
        #[case] opens: bool,
    ) {
        let settings = Settings { new_conversation_status: new, inbound_on_closed: on_closed, ..Settings::default() };
        assert_eq!(opens_anew(&settings, known, bot_serves), opens);
    }
}
