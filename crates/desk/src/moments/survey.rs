//! The survey: asked after a person closed a conversation, answered by a number.
//!
//! Closing only notes that there is one to ask: so it is asked once, whatever crashes, and closing many waits for no channel. Neither
//! question nor answer reopens. What the customer writes is the answer if it is a number of the scale, in time, and nobody of
//! ours wrote since the question; anything else is a message like any other.

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use transom_domain::{Actor, Body, Content, Settings, Status};
use transom_storage::{NewMessage, StoredConversation, SurveyAnswer, SurveyQuestion, Tx, WaitingSurvey};

use super::{BATCH, Look, actor, hand};
use crate::DeskError;
use crate::changes::{self, Change};
use crate::receive::Case;
use crate::schedule::reason;
use crate::send::{Draft, Job, Target, overtaken};

/// Under whose name surveys stand.
const NAME: &str = "survey";
const ASKED: &str = "survey.asked";
/// Says in the history why none was asked.
const SKIPPED: &str = "survey.skipped";
const ANSWERED: &str = "survey.answered";
/// After this long nobody wants to be asked any more, as after a long stop of the service.
const WORTH_ASKING: Duration = Duration::DAY;
/// What could not be asked for a fault of ours is tried again after this long.
const AFTER_A_FAULT: Duration = Duration::seconds(30);
/// The best score of the widest scale.
const WIDEST: u8 = 10;

/// A person closes a conversation: if the workspace wants that, its customer is to be asked.
pub(crate) async fn begin(
    tx: &Tx,
    stored: &StoredConversation,
    by: &Actor,
    settings: &Settings,
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    if settings.survey_on_close && settings.survey_question.is_some() && by.is_person() {
        let conversation = &stored.conversation;
        tx.insert_survey((conversation.episode, conversation.id), by.agent(), now).await?;
    }
    Ok(())
}

/// Asks whoever is to be asked; how many were.
pub(super) async fn ask(look: &Look<'_>) -> Result<u32, DeskError> {
    let mut asked = 0;
    for survey in look.reader().surveys_waiting(look.now, BATCH).await? {
        match (Asking { look, survey }).decide().await {
            Ok(is_asked) => asked += u32::from(is_asked),
            Err(error) => {
                let conversation = survey.conversation;
                tracing::warn!(%error, %conversation, "a survey could not be asked; trying again");
                let again = look.now.saturating_add(AFTER_A_FAULT);
                look.desk
                    .storage()
                    .transact(look.scope, move |tx| {
                        Box::pin(async move { Ok::<_, DeskError>(tx.defer_survey(survey.episode, again).await?) })
                    })
                    .await?;
            }
        }
    }
    Ok(asked)
}

struct Asking<'a> {
    look: &'a Look<'a>,
    survey: WaitingSurvey,
}

impl Asking<'_> {
    /// Whether it was asked.
    async fn decide(&self) -> Result<bool, DeskError> {
        let Look { settings, now, .. } = *self.look;
        if self.survey.created_at < now.saturating_sub(WORTH_ASKING) {
            return self.skip(json!({ "reason": "expired" })).await;
        }
        let Some(question) = settings.survey_question.clone().filter(|_| settings.survey_on_close) else {
            return self.skip(json!({ "reason": "surveys_off" })).await;
        };
        match self.send(question).await {
            Ok(()) => Ok(true),
            Err(error) if error.code() == overtaken().code() => Ok(false),
            Err(error) => match reason(&error) {
                Some(reason) => self.skip(reason).await,
                None => Err(error),
            },
        }
    }

    async fn send(&self, question: String) -> Result<(), DeskError> {
        let Look { desk, scope, settings, now } = *self.look;
        let WaitingSurvey { episode, conversation, .. } = self.survey;
        let draft = Draft { text: Some(question.clone()), ..Draft::default() };
        let job = Job::of(desk, scope, hand(NAME), Target::Conversation(conversation), draft, None).await?;
        let (desk_in, scale) = (desk.clone(), settings.survey_scale);
        let until = now.saturating_add(Duration::days(settings.survey_answer_days.into()));
        desk.storage()
            .transact(scope, move |tx| {
                let (desk, job, question) = (desk_in.clone(), job.clone(), question.clone());
                Box::pin(async move {
                    let sent = job.run(tx).await?;
                    // The answer to a comment, or the only reply to an event, is not used up for a survey.
                    if sent.permit.reference.is_some() {
                        return Err(DeskError::conflict("no_free_text", "an automation may send no free text now"));
                    }
                    let missing = DeskError::NotFound { what: "conversation" };
                    let stored = tx.conversation(sent.conversation).await?.ok_or(missing)?;
                    if stored.conversation.status != Status::Closed || stored.conversation.episode != episode {
                        return Err(DeskError::conflict("reopened", "the conversation was opened again"));
                    }
                    let message = sent.message;
                    let asked = SurveyQuestion { question, scale, message, asked_at: now, until };
                    if !tx.ask_survey(episode, &asked).await? {
                        return Err(overtaken());
                    }
                    let data = json!({ "episode": episode, "message": message, "scale": scale });
                    changes::emit(tx, desk.ids(), &stored, ASKED, data, now).await
                })
            })
            .await
    }

    async fn skip(&self, reason: Value) -> Result<bool, DeskError> {
        let (desk, now, survey) = (self.look.desk.clone(), self.look.now, self.survey);
        self.look
            .desk
            .storage()
            .transact(self.look.scope, move |tx| {
                let (desk, reason) = (desk.clone(), reason.clone());
                Box::pin(async move {
                    if !tx.skip_survey(survey.episode, &reason).await? {
                        return Ok(());
                    }
                    let Some(stored) = tx.conversation(survey.conversation).await? else { return Ok(()) };
                    let data = json!({ "episode": survey.episode, "detail": reason });
                    let by = actor(NAME);
                    let change = Change::new(&by, SKIPPED, now);
                    changes::line(tx, desk.ids(), &stored, SKIPPED, data, &change).await
                })
            })
            .await?;
        Ok(false)
    }
}

/// Whether a message could be an answer: it is a number, and nothing else.
pub(crate) fn may_answer(new: &NewMessage) -> bool {
    score(&new.message.content).is_some()
}

/// Takes a customer's message for the answer to the survey of its conversation, if it is one.
pub(crate) async fn answered(
    case: &Case<'_>,
    stored: &StoredConversation,
    new: &NewMessage,
) -> Result<bool, DeskError> {
    let Some(score) = score(&new.message.content) else { return Ok(false) };
    let (tx, conversation, at) = (case.tx, stored.conversation.id, new.message.at);
    let Some(survey) = tx.last_survey(conversation).await? else { return Ok(false) };
    let Some(question) = survey.question else { return Ok(false) };
    // Platforms tell whole seconds.
    let asked_at = question.asked_at.replace_nanosecond(0).unwrap_or(question.asked_at);
    let is_in_time = asked_at <= at && at < question.until;
    if score > question.scale || !is_in_time || tx.answered_between(conversation, (question.asked_at, at)).await? {
        return Ok(false);
    }
    let before = survey.answer.map(|(score, _)| score);
    let answer = SurveyAnswer { episode: survey.episode, conversation, message: new.message.id, score, at };
    let now_counts = tx.answer_survey(&answer, case.now).await?;
    if stored.waiting_since.is_none() {
        tx.nobody_waits(conversation).await?;
    }
    if before != Some(now_counts) {
        let data = json!({
            "episode": survey.episode, "message": new.message.id, "score": now_counts, "scale": question.scale,
            "before": before,
        });
        let change = Change::new(&Actor::Customer, ANSWERED, case.now).by_message(new.message.id);
        changes::line(tx, case.desk.ids(), stored, ANSWERED, data, &change).await?;
    }
    Ok(true)
}

/// The number that a message consists of.
fn score(content: &Content) -> Option<u8> {
    let text = match &content.body {
        Body::Text { text, attachments } if attachments.is_empty() => text.as_str(),
        // What follows is most often the letter that is answered.
        Body::Mail(mail) => mail.text.trim_start().lines().next()?,
        _ => return None,
    };
    if text.trim() == "\u{1f51f}" {
        return Some(WIDEST);
    }
    // A keycap is a digit with two marks behind it.
    let plain = |c: &char| !matches!(c, '\u{fe0f}' | '\u{20e3}');
    let text: String = text.trim().trim_end_matches(['.', '!', '。', '！']).chars().filter(plain).collect();
    let digits = text.trim();
    if digits.is_empty() || digits.chars().count() > 2 {
        return None;
    }
    let number = digits.chars().try_fold(0_u32, |number, c| Some(number * 10 + digit(c)?))?;
    u8::try_from(number).ok().filter(|number| (1..=WIDEST).contains(number))
}

/// A digit of the scripts that people type numbers in.
fn digit(c: char) -> Option<u32> {
    /// Where the zero of each stands: Arabic, Persian, Devanagari, Bengali, Thai, full width.
    const ZEROS: [char; 6] = ['\u{660}', '\u{6f0}', '\u{966}', '\u{9e6}', '\u{e50}', '\u{ff10}'];
    let of = |zero: &char| u32::from(c).checked_sub(u32::from(*zero)).filter(|digit| *digit < 10);
    c.to_digit(10).or_else(|| ZEROS.iter().find_map(of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("5", Some(5))]
    #[case(" 10 ", Some(10))]
    #[case("4.", Some(4))]
    #[case("３", Some(3))]
    #[case("٥", Some(5))]
    #[case("๒", Some(2))]
    #[case("3\u{fe0f}\u{20e3}", Some(3))]
    #[case("\u{1f51f}", Some(10))]
    #[case("0", None)]
    #[case("11", None)]
    #[case("-3", None)]
    #[case("3,5", None)]
    #[case("5 stars", None)]
    #[case("five", None)]
    #[case("", None)]
    fn a_number_and_nothing_else_is_a_score(#[case] text: &str, #[case] expected: Option<u8>) {
        assert_eq!(score(&Content::text(text)), expected, "{text:?}");
    }
}
