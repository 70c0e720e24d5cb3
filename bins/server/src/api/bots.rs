//! Bots: what they are bound to, and handing over to people.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Time, Weekday};
use transom_desk::bots::{self, HandedOver, Handover};
use transom_desk::{Action, authorise};
use transom_domain::{AgentId, Assignment, BotBinding, BotCondition, HourSpan, Hours, TeamId};
use uuid::Uuid;

use super::Tag;
use super::auth::Signed;
use super::body::Body;
use super::idempotency::{Idempotent, answered};
use super::version::Made;
use crate::http::problem::{Making, Problem, Reading, Refused};
use crate::state::State;

const CLOCK: &[BorrowedFormatItem<'static>] = format_description!("[hour]:[minute]");

pub(crate) struct BotsApi(pub(super) Arc<State>);

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "Weekday")]
enum DayWord {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

macro_rules! days {
    ($($day:ident)*) => {
        impl From<DayWord> for Weekday {
            fn from(word: DayWord) -> Self {
                match word { $(DayWord::$day => Weekday::$day,)* }
            }
        }

        impl From<Weekday> for DayWord {
            fn from(day: Weekday) -> Self {
                match day { $(Weekday::$day => DayWord::$day,)* }
            }
        }
    };
}

days!(Monday Tuesday Wednesday Thursday Friday Saturday Sunday);

/// The same hours on some days of the week.
#[derive(Debug, Object)]
#[oai(rename = "HourSpan", deny_unknown_fields)]
struct SpanBody {
    /// The days on which it begins.
    #[oai(validator(min_items = 1, max_items = 7))]
    days: Vec<DayWord>,
    /// When it begins, as `09:00`.
    #[oai(validator(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    from: String,
    /// When it is over, as `17:00`. Not after `from`, it is over on the next day.
    #[oai(validator(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    to: String,
}

/// Hours of the week, by the clock of a time zone.
#[derive(Debug, Object)]
#[oai(rename = "Hours", deny_unknown_fields)]
struct HoursBody {
    /// The zone, by its name in the IANA database, such as `Europe/Berlin`.
    #[oai(validator(min_length = 1, max_length = 64))]
    time_zone: String,
    /// When; any will do.
    #[oai(validator(min_items = 1, max_items = 28))]
    spans: Vec<SpanBody>,
}

/// Which messages a bot is told of: all fields must hold, an empty one says nothing, of several values any will do.
#[derive(Debug, Default, Object)]
#[oai(rename = "BotCondition", deny_unknown_fields, skip_serializing_if_is_none)]
struct BotConditionBody {
    /// Only the first that the contact ever wrote, on whatever channel.
    #[oai(default)]
    first_message: bool,
    /// In which one of these stands as words of their own, whatever their case.
    #[oai(default, validator(max_items = 100))]
    keywords: Vec<String>,
    /// Of a contact who has one of these labels.
    #[oai(default, validator(max_items = 100))]
    labels: Vec<String>,
    /// In these hours; at any time if left out.
    hours: Option<HoursBody>,
}

/// A bot on a channel.
#[derive(Debug, Object)]
#[oai(rename = "BotBinding", deny_unknown_fields)]
struct BindingBody {
    /// The channel.
    channel: Uuid,
    /// Whether it serves there.
    #[oai(default = "yes")]
    enabled: bool,
    /// Which messages it is told of; all of them unless said.
    #[oai(default)]
    condition: BotConditionBody,
}

/// Everything that a bot is bound to.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct BotBindings {
    /// Each channel once.
    #[oai(validator(max_items = 1_000))]
    bindings: Vec<BindingBody>,
}

/// Why people shall have it, and who.
#[derive(Debug, Object)]
#[oai(rename = "NewHandover", deny_unknown_fields)]
struct HandoverBody {
    /// Why: a note for the team.
    #[oai(validator(min_length = 1, max_length = 20_000))]
    note: String,
    /// To this person.
    agent: Option<Uuid>,
    /// To this team.
    team: Option<Uuid>,
}

/// A conversation that was handed over: it is open.
#[derive(Debug, Object)]
#[oai(rename = "Handover", skip_serializing_if_is_none)]
struct HandoverView {
    /// The conversation.
    conversation: Uuid,
    /// The note that says why.
    note: Uuid,
    /// The person who has it, so far.
    agent: Option<Uuid>,
    /// The team that has it, so far.
    team: Option<Uuid>,
}

#[OpenApi]
impl BotsApi {
    /// What is a bot bound to?
    #[oai(path = "/agents/:id/bindings", method = "get", operation_id = "listBindings", tag = "Tag::Workspace")]
    async fn bindings(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<BotBindings>, Refused<Reading>> {
        let bindings = bots::bindings(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json(shown(bindings)?))
    }

    /// Bind a bot to channels
    ///
    /// To these and no others. It is told of the messages that its condition holds for, while their conversation is closed, and
    /// writes over these channels only.
    #[oai(path = "/agents/:id/bindings", method = "put", operation_id = "setBindings", tag = "Tag::Workspace")]
    async fn bind(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        body: Body<BotBindings>,
    ) -> Result<Json<BotBindings>, Refused<Making>> {
        authorise(signed.caller(), Action::ManageAgents)?;
        let bindings = body.0.bindings.into_iter().map(BotBinding::try_from).collect::<Result<Vec<_>, Problem>>()?;
        let bindings = bots::bind(&self.0.desk, signed.caller(), id.0.into(), bindings).await?;
        Ok(Json(shown(bindings)?))
    }

    /// Hand a conversation over to people
    ///
    /// It is open then, which pauses every bot, and a note says why. Given to nobody, the assignment rules decide. A bot hands over
    /// closed conversations on channels that it is bound to.
    #[oai(
        path = "/conversations/:id/handover",
        method = "post",
        operation_id = "handOver",
        tag = "Tag::Conversations",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn hand_over(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        key: Idempotent,
        body: Body<HandoverBody>,
    ) -> Result<Made<HandoverView>, Refused<Making>> {
        let (desk, caller) = (&self.0.desk, signed.caller());
        let HandoverBody { note, agent, team } = body.0;
        let to = Assignment { agent: agent.map(Into::into), team: team.map(Into::into) };
        let view = |handed: &HandedOver| HandoverView::from(handed);
        let once = key.once(caller, 201, view);
        let handed = bots::hand_over(desk, caller, id.0.into(), Handover { to, note }, once).await;
        let (view, replayed) = answered(handed, view)?;
        Ok(Made::Made(view, replayed))
    }
}

fn yes() -> bool {
    true
}

fn shown(bindings: Vec<BotBinding>) -> Result<BotBindings, Problem> {
    Ok(BotBindings { bindings: bindings.into_iter().map(BindingBody::try_from).collect::<Result<_, Problem>>()? })
}

impl TryFrom<BindingBody> for BotBinding {
    type Error = Problem;

    fn try_from(body: BindingBody) -> Result<Self, Problem> {
        let BotConditionBody { first_message, keywords, labels, hours } = body.condition;
        let hours = hours.map(Hours::try_from).transpose()?;
        let condition = BotCondition { first_message, keywords, labels, hours };
        Ok(Self { account: body.channel.into(), enabled: body.enabled, condition })
    }
}

impl TryFrom<HoursBody> for Hours {
    type Error = Problem;

    fn try_from(body: HoursBody) -> Result<Self, Problem> {
        let at = |text: &str| {
            let detail = "a time of day has the form `09:00`";
            Time::parse(text, CLOCK).map_err(|_| Problem::new("binding_invalid", detail).at("bindings"))
        };
        let span = |SpanBody { days, from, to }: SpanBody| -> Result<HourSpan, Problem> {
            let days = days.into_iter().map(Into::into).collect();
            Ok(HourSpan { days, from: at(&from)?, to: at(&to)? })
        };
        Ok(Self { time_zone: body.time_zone, spans: body.spans.into_iter().map(span).collect::<Result<_, Problem>>()? })
    }
}

impl TryFrom<BotBinding> for BindingBody {
    type Error = Problem;

    fn try_from(binding: BotBinding) -> Result<Self, Problem> {
        let BotCondition { first_message, keywords, labels, hours } = binding.condition;
        let hours = hours.map(HoursBody::try_from).transpose()?;
        let condition = BotConditionBody { first_message, keywords, labels, hours };
        Ok(Self { channel: binding.account.uuid(), enabled: binding.enabled, condition })
    }
}

impl TryFrom<Hours> for HoursBody {
    type Error = Problem;

    fn try_from(hours: Hours) -> Result<Self, Problem> {
        let at = |time: Time| time.format(CLOCK).map_err(|_| Problem::new("internal", "a time could not be written"));
        let span = |HourSpan { days, from, to }: HourSpan| -> Result<SpanBody, Problem> {
            let days = days.into_iter().map(Into::into).collect();
            Ok(SpanBody { days, from: at(from)?, to: at(to)? })
        };
        let spans = hours.spans.into_iter().map(span).collect::<Result<_, Problem>>()?;
        Ok(Self { time_zone: hours.time_zone, spans })
    }
}

impl From<&HandedOver> for HandoverView {
    fn from(handed: &HandedOver) -> Self {
        Self {
            conversation: handed.conversation.uuid(),
            note: handed.note.uuid(),
            agent: handed.assignment.agent.map(AgentId::uuid),
            team: handed.assignment.team.map(TeamId::uuid),
        }
    }
}
