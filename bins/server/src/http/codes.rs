//! Every stable error code, in one table: problems read it, docs/errors.md is written from it.

use poem::http::StatusCode;

/// A stable error code.
#[derive(Debug, Clone, Copy)]
pub struct Code {
    /// The code.
    pub code: &'static str,
    /// The HTTP status that it comes with.
    pub status: u16,
    /// It in a few words.
    pub title: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

macro_rules! codes {
    ($($status:literal $code:ident $title:literal $remedy:literal;)*) => {
        /// All of them, by status.
        pub const CODES: &[Code] = &[
            $(Code { code: stringify!($code), status: $status, title: $title, remedy: $remedy },)*
        ];
    };
}

codes! {
    400 body_malformed "The body can't be read" "`field` and `detail` say where it differs from the document at `/openapi.json`.";
    400 parameter_invalid "A parameter or header can't be read" "`field` names it, `detail` says what is expected.";
    400 cursor_invalid "The cursor is not one of ours" "Start again without a cursor; keep filters and sort as they were while paging.";
    400 search_invalid "The search can't be read" "`detail` says at which character, and what may stand there; docs/searching.md has the fields.";
    401 unauthenticated "No valid token" "Send `Authorization: Bearer trn_…`; the token may be expired or revoked.";
    401 webhook_untrusted "The call can't be trusted" "The platform's signature is missing or wrong: compare the secrets on both sides.";
    403 forbidden "The role does not allow it" "Ask somebody with the role that docs/api.md names.";
    404 not_found "There is no such thing" "The id is unknown in this workspace, or the path is wrong.";
    405 method_not_allowed "The path has no such method" "docs/api.md lists the methods of each path.";
    408 body_too_slow "The body took too long" "Send the whole body within the time that `limits.body_seconds` gives.";
    409 not_permitted "Nothing permits this message now" "`decision.refusals` says grant by grant why, and what would change it.";
    409 template_required "Only a template may be sent now" "Send one of the approved templates: `GET /v1/channels/{id}/templates`.";
    409 bot_paused "Bots answer in closed conversations only" "Close the conversation, or let a person answer.";
    409 bot_unbound "The bot does not serve this channel" "An administrator binds it: `PUT /v1/agents/{id}/bindings`.";
    409 typing_not_shown "The channel can't show that somebody types" "Nothing to do: write when you are ready.";
    409 answers_only "They want no mail that they did not ask for" "Answer a letter that they wrote, in its conversation.";
    409 active_conversation "Another conversation of this contact is active" "Answer in the one that `house` names, or close it.";
    409 tag_required "A message that opens a thread needs a tag" "Give one of `GET /v1/tags` as `conversation_tags`.";
    409 account_disabled "The channel is switched off" "An administrator sets `enabled` on the channel.";
    409 field_archived "The custom field is in the archive" "Bring it back with PATCH /v1/custom-fields/{id}, or use another one.";
    409 merge_same "The two are one contact already" "Nothing to do.";
    409 merge_blocked "Only one of the two contacts is blocked" "Block or unblock one first, so that both are the same.";
    409 merge_undone "The merge was taken back before" "Nothing to do.";
    409 merge_not_last "A later merge builds on it" "Take back the one that `detail` names first.";
    409 opted_out_by_customer "The customer opted out over the channel itself" "Only they can take that back, there.";
    409 address_taken "Another contact has the address on that channel" "`GET /v1/contacts/{id}/merge-suggestions`: merge the two, or correct the address.";
    409 label_busy "The label is being renamed or taken away" "Ask again in a moment.";
    409 quota_used "A quota is used up" "Wait for its next period; `GET …/window` says when that is.";
    409 attachment_not_stored "The file is not here" "`GET /v1/attachments/{id}` says whether it is still being fetched, or why it can't be had.";
    409 no_file_store "The service keeps no files" "Give a public address of the file instead.";
    409 cannot_start "Only the customer can start on this channel" "Choose another channel: `GET /v1/contacts/{id}/reachability`.";
    409 no_address "The contact has no address for this channel" "Add it to the contact first.";
    409 no_email_address "The contact has no email address" "Add it to the contact first.";
    409 template_not_approved "The template is not approved" "Choose an approved one, or sync the templates.";
    409 no_templates "The channel has no templates" "Send free text where the window allows it.";
    409 reply_to_unsent "The quoted message has no id on the platform yet" "Send without quoting, or wait until it is sent.";
    409 no_free_text "An automation may send no free text now" "It is why a reminder or a survey was left out: nothing to do.";
    409 reopened "The conversation was opened again" "It is why a survey was left out: nothing to do.";
    409 conversation_closed "The conversation is closed" "Open it first.";
    409 status_unchanged "It has that status already" "Nothing to do.";
    409 nothing_to_settle "No part of the message is in such a state" "Read the message again: somebody was faster, or evidence came in.";
    409 quiet_hours "It is night where the customer is" "Broadcasts and automation wait for its end by themselves; a person may write at any hour.";
    409 broadcast_state "The broadcast's state does not allow this" "`detail` says which one it is, and what may be done in it.";
    409 not_scheduled "The message waits for no time" "Read the message again: it left, was withdrawn, or was changed meanwhile.";
    409 author_inactive "The message's author works here no more" "Write it in your own name.";
    409 call_gone "The call is no longer kept" "Calls are kept for 14 days, and those of an erased contact not at all: there is nothing to apply.";
    409 quarantine_replayed "It was applied after all" "Nothing to do.";
    409 quarantine_replaying "It is being replayed" "Look at it again in a moment.";
    409 undo_impossible "The job can't be taken back" "`detail` says why.";
    409 contact_erased "Somebody of that name was erased" "Nobody brings them back but they themselves, by writing.";
    409 contact_ambiguous "The line names several contacts" "Correct the line, or merge the contacts.";
    409 undo_over "It is too late to take the job back" "Ask for the change that you want.";
    409 job_undone "The job is taken back already" "`detail` names the job that does it, or did.";
    409 job_finished "The job came to its end before" "`detail` says what can still be done.";
    409 job_goes_on "The job can't be stopped" "Wait for its end.";
    409 idempotency_key_running "The first request with this key is still running" "Ask again after `retry_after` seconds.";
    409 token_shown_once "The token was shown to the first request with this key" "Revoke the token that `detail` names, and make another one with a new key.";
    409 secret_shown_once "The secret was shown to the first request with this key" "Rotate the secret to get another one.";
    409 secret_unreadable "The secret can't be used" "Rotate it.";
    409 duplicate "It exists already" "Use the one that is there, or another name.";
    409 missing_reference "Something it refers to is gone, or it is still in use" "Read again what it refers to; remove what uses it first.";
    409 connection_in_use "Channels run over the connection" "Remove its channels first, or say `with_channels=true`.";
    409 channel_removed "The channel was removed" "Write over another channel: `GET /v1/contacts/{id}/reachability`.";
    409 no_profiles "No channel of the contact tells profiles" "Nothing to do: names come with what the customer writes.";
    409 team_in_use "Something is given to this team" "`detail` says what: give it to somebody else first.";
    409 too_many_rules "The workspace has as many rules as it may" "Delete one first.";
    409 own_rights "Nobody takes their own rights away" "Another administrator has to do it.";
    409 facts_unreadable "What is known of the person does not fit the policy" "The policy was replaced by one of another shape: tell an administrator.";
    409 policy_missing "The account's policy is not there" "Put the policy file back, or choose another policy for the channel.";
    412 version_mismatch "Somebody changed it meanwhile" "Read it again and send its new `ETag` as `If-Match`.";
    413 body_too_large "The body is too large" "`detail` gives the limit.";
    415 media_type_unsupported "The body is of the wrong type" "`detail` says which one is expected.";
    422 audience_ambiguous "None or several ways to name the audience" "Give exactly one of `contacts`, `label`, `filter`.";
    422 template_not_promotional "The template must not promote anything" "Set `promotional` to false, or choose a template of the category marketing.";
    422 words_missing "Words are missing" "`detail` names the setting that has them.";
    422 span_invalid "The span of time makes no sense" "Give `from` before `to`, at most a year apart.";
    422 rules_incomplete "Not every rule is named once" "List them with `GET /v1/assignment-rules`.";
    422 target_incomplete "The target lacks something, or has too much" "`detail` says what goes together.";
    422 not_a_bot "It is a person" "Only bots are bound to channels.";
    422 binding_invalid "The bot can't be bound so" "`detail` says what is wrong.";
    422 time_zone_unknown "There is no such time zone" "Give a name of the IANA database, such as Europe/Berlin.";
    422 agent_unfit "Nothing can be given to this agent" "Choose a person who is active.";
    422 send_at_invalid "The time is over, or too far away" "Give a time to come, at most a year away.";
    422 url_invalid "The address can't be read" "Give an https address.";
    422 url_refused "The address may not be called" "`detail` says why: only http and https on the open internet, on allowed ports.";
    422 kind_invalid "No such kind of event" "`detail` says what there is: kinds such as `message.state`, or `message.*`; docs/events.md lists them.";
    422 message_empty "The message is empty" "Give a text, a file or a template.";
    422 text_too_long "A text is too long" "`detail` gives its length, the limit and the unit in which the platform counts.";
    422 not_supported_by_channel "The channel can't carry it" "`capabilities` of `GET …/window` says what it can.";
    422 media_type_not_accepted "The channel takes no such file" "`detail` lists the types that it takes.";
    422 media_too_large "The file is too large for the channel" "`detail` gives the limit.";
    422 file_too_large "The file is larger than this service keeps" "`detail` gives the limit; an operator sets `attachments.max_bytes`.";
    422 file_empty "The file is empty" "Upload one that has bytes.";
    422 attachment_ambiguous "Neither or both of `id` and `url`" "Give the `id` of an uploaded file, or a public `url`.";
    422 policy_invalid "The policy can't be used" "`detail` gives line and reason, as `transom policy check` does.";
    422 policy_unknown "No policy of that name is in force" "`GET /v1/policies` lists them.";
    422 too_many "Too many of something" "`detail` gives the limit.";
    422 content_malformed "The platform would refuse a value" "`detail` says which and why.";
    422 content_ambiguous "More than one sort of content" "Give one of text with attachments, template, choices, location, contacts.";
    422 template_unknown "The channel has no such template" "`GET /v1/channels/{id}/templates` lists them.";
    422 template_parameters "The parameters do not fit the template" "`detail` says what is missing or too much.";
    422 unknown_template_category "The template has a category that no policy knows" "Sync the templates; replace the policy if the platform has a new category.";
    422 reply_to_unknown "The quoted message is not of this conversation" "Quote a message of the same conversation.";
    422 no_letters "The channel carries no letters" "Leave out what only a letter has: `subject`, `from`, `cc`, `bcc`, `html`.";
    422 subject_required "A letter that begins a thread needs a subject" "Give a `subject`; an answer keeps the thread's.";
    422 subject_too_long "The subject is too long" "At most 255 characters.";
    422 sender_unknown "The channel can't write from that address" "`GET /v1/channels/{id}/senders` lists its senders; leave `from` out for the usual one.";
    422 reader_invalid "A reader is no address" "Give one bare address an entry, such as `ann@example.com`.";
    422 too_many_readers "The letter has too many readers" "At most 100 with the customer, `cc` and `bcc` together.";
    422 text_missing "HTML without its text" "Give the same words as `text`: some readers see no HTML.";
    422 tag_unknown "The workspace has no such tag" "`GET /v1/tags` lists them; an administrator adds new ones.";
    422 saved_reply_fields_missing "Fields of the saved reply have no value" "Fill them in on the contact, or edit the text.";
    422 placeholder_unknown "Nothing fills a place of the saved reply" "`detail` names it, and those that there are: correct it, or add the custom field first.";
    422 close_note_required "Closing needs a category and a note" "Give both; the setting `close_note_required` asks for them.";
    422 snooze_into_past "The end of the snooze has passed" "Give an instant in the future.";
    422 assignee_missing "The tab `assigned` needs somebody" "Give an `assignee` with an `agent`, a `team` or both.";
    422 until_missing "A snooze needs an end" "Give `until`.";
    422 contact_empty "The contact has no name and no address" "Give a name, a phone number or an email address.";
    422 phone_invalid "Not an international phone number" "Write it with + and the country code.";
    422 email_invalid "Not an email address" "Write it as name@domain.";
    422 consent_source "How it is known is missing" "Say it in `source`, such as `phone call`; `platform` is for what came over the channel.";
    422 field_value_invalid "The custom field takes another value" "`detail` names the field and what it takes.";
    422 field_unknown "There is no such custom field" "`GET /v1/custom-fields` lists them.";
    422 field_reserved "Every contact has such a field" "Set it on the contact itself, or choose another name.";
    422 field_options "The options do not fit the type" "A `choice` has 1 to 200 options, every other type none.";
    422 name_missing "A name is needed" "Give one.";
    422 fallback_unknown "What is not read shall go over a channel that can't carry it" "Name an email channel of this workspace: `GET /v1/channels` lists them.";
    422 settings_invalid "A setting is missing, unknown or wrong" "`detail` names it; `GET /v1/platforms` lists what each platform needs.";
    422 other_account "The settings are those of another account" "Connect it as a channel of its own: conversations stay with the account that they are of.";
    422 other_platform "The connection is of another platform" "Leave `connection` out, or name one of the same platform.";
    422 unknown_platform "There is no such platform" "`detail` lists those that there are.";
    422 unknown_policy "There is no such policy" "`GET /v1/policies` lists them.";
    422 unknown_feature "The policy has no such feature" "`detail` lists those that it has.";
    422 unknown_quota "The policy has no such quota" "`detail` lists those that it has.";
    422 unknown_kind "The policy has no such kind of event" "`detail` lists those that it has.";
    422 unknown_grant "The policy has no such grant" "`GET /v1/policies/{name}` lists them.";
    422 malformed "The question can't be read" "`detail` says where it differs from the document at `/openapi.json`.";
    422 invalid_value "A value makes no sense" "`detail` says what is expected.";
    422 idempotency_key_missing "The request takes an Idempotency-Key" "Send a new one with each request, and the same one when you repeat it.";
    422 recipient_ambiguous "None or several ways to name the person" "Give exactly one of `contact`, `phone`, `email`, `external_id`, `platform_id`.";
    422 selection_ambiguous "None or several ways to say which" "Give exactly one of `ids` and `filter`.";
    422 action_ambiguous "None or several things to do" "Give exactly one of `status`, `assignee` and `tags`.";
    422 import_invalid "The file can't be read as contacts" "`detail` says which line or column.";
    422 labels_invalid "Too many or too long labels" "`detail` gives the limits.";
    422 idempotency_key_reused "The key was used with another body" "Use a new key for a new request.";
    422 window_closed "The platform holds the window shut" "Wait for the customer.";
    422 quota_reached "The platform says that a quota is used up" "Wait for its next period.";
    422 cooling_down "The platform wants a pause" "Wait.";
    422 blocked "The platform says that one side blocks the other" "Use another channel.";
    422 opted_out "The platform says that the customer opted out" "Use another channel.";
    422 unreachable "The platform can't reach the customer" "Use another channel.";
    422 content_refused "The platform refuses the content" "Change it.";
    422 template_refused "The platform refuses the template" "Sync the templates.";
    422 auth_failed "The credentials do not work" "Give new ones with PATCH /v1/channels/{id}.";
    422 account_stopped "The platform has stopped the account" "See the platform's own console.";
    422 invalid_request "The platform calls the request wrong" "`detail` says what it said; the credentials may be of another account.";
    429 too_many_requests "Too many requests" "Ask again after `retry_after` seconds.";
    429 too_many_streams "Too many event streams" "Close one of the open streams of this agent.";
    431 head_too_large "The address and the headers are too large" "`detail` gives the limit: send fewer ids at once, or fewer headers; an operator sets `limits.headers`.";
    500 internal "Something went wrong here" "The log of the service says what, under the request's id (`X-Request-Id`).";
    500 no_person "A conversation without a person" "A fault of ours: report it.";
    500 storage_fatal "The database's disk is broken" "The service stops; an operator has to look.";
    500 panicked "Something went wrong here" "The log of the service says what.";
    500 unreadable_row "A stored value can't be read" "The log of the service says which; an older version may have read it.";
    500 vault "A secret can't be opened" "The master key may be another one: `transom keys status`.";
    500 schema "The database's schema is of another version" "Run `transom migrate`.";
    500 storage_config "The database is configured wrongly" "See docs/settings.md.";
    500 database "The database refused a statement" "The log of the service says which.";
    502 rate_limited "The platform wants fewer requests" "Ask again after `retry_after` seconds.";
    502 temporary "The platform is in trouble" "Ask again later.";
    502 not_connected "The platform can't be reached" "Ask again later.";
    502 outcome_unknown "The platform gave no clear answer" "Ask again later.";
    503 storage_unavailable "The database, or the store of files, can't be reached" "Nothing was stored: ask again.";
    503 storage_conflict "Others kept changing the same rows" "Nothing was stored: ask again.";
    503 storage_timeout "The database took too long" "Nothing was stored: ask again.";
    503 storage_full "The disk is full" "Nothing was stored: ask again once there is room.";
    503 commit_unknown "It may have been stored" "Ask again with the same Idempotency-Key, or read it back.";
    503 not_ready "The service is starting or stopping" "Ask again, or ask another replica.";
}

/// The entry of a code.
pub fn find(code: &str) -> Option<&'static Code> {
    CODES.iter().find(|known| known.code == code)
}

/// The status that a code comes with.
pub(super) fn status_of(code: &str) -> u16 {
    find(code).map_or(500, |known| known.status)
}

/// A code in a few words; the status' own words where the table lacks it.
pub(super) fn title_of(code: &str, status: StatusCode) -> &'static str {
    find(code).map_or_else(|| status.canonical_reason().unwrap_or("Error"), |known| known.title)
}

/// What a status means here, for the API document.
pub(super) const fn meaning_of(status: u16) -> &'static str {
    match status {
        400 => "The body, a parameter or the cursor can't be read; nothing was done.",
        401 => "No valid token.",
        403 => "The role does not allow it.",
        404 => "There is no such thing in this workspace.",
        408 => "The body took too long.",
        409 => "It can't be done in the present state.",
        412 => "`If-Match` names another version than the present one.",
        413 => "The body is too large.",
        415 => "The body is of the wrong type.",
        422 => "The request can be read and makes no sense.",
        429 => "Too many requests or streams.",
        431 => {
            "The address and the headers are too large. Far over the limit, the connection ends, at times before this is read."
        }
        500 => "A fault of the service; nothing was stored.",
        502 => "The platform did not answer as hoped.",
        503 => "Not now: `retryable` says whether to ask again.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_sorted_by_status() {
        for pair in CODES.windows(2) {
            assert!(pair[0].status <= pair[1].status, "{} stands after {}", pair[1].code, pair[0].code);
        }
        for (index, code) in CODES.iter().enumerate() {
            assert!(CODES.iter().skip(index + 1).all(|other| other.code != code.code), "{} is there twice", code.code);
        }
    }
}
