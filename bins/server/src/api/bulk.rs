//! Many conversations in one go: changed, exported.

use std::sync::Arc;

use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use transom_desk::bulk::{self, BulkAction, BulkRequest, Selection};
use transom_desk::export::{self, Format, Wanted};
use transom_desk::import::{self, ImportRequest, Source};
use transom_desk::{Action, authorise, search};
use transom_domain::Assignment;
use transom_storage::ContactQuery;
use uuid::Uuid;

use super::auth::Signed;
use super::body::Body;
use super::conversations::new_status;
use super::idempotency::{Idempotent, answered};
use super::version::Accepted;
use super::views::conversation::{NewAssigneeBody, NewStatusBody};
use super::views::job::{BulkPreviewView, JobView};
use super::views::table::TableBody;
use super::{Tag, in_q};
use crate::http::problem::{Making, Problem, Refused};
use crate::state::State;

pub(crate) struct BulkApi(pub(super) Arc<State>);

/// Which conversations to change, and how. Give `ids` or `filter`, and one of `status`, `assignee` and `tags`.
#[derive(Debug, Object)]
#[oai(rename = "BulkChange", deny_unknown_fields)]
struct BulkBody {
    /// These conversations.
    #[oai(validator(min_items = 1, max_items = 10_000))]
    ids: Option<Vec<Uuid>>,
    /// All conversations that this finds, up to 1,000,000: a search such as `status:closed tag:billing "jane d"` (docs/searching.md).
    #[oai(validator(min_length = 1, max_length = 200))]
    filter: Option<String>,
    /// Open, snooze or close them, or put them into a tab.
    status: Option<NewStatusBody>,
    /// Give them to somebody; to nobody with `{}`.
    assignee: Option<NewAssigneeBody>,
    /// Put tags on them, and take tags from them.
    tags: Option<TagsBody>,
    /// Only say what would happen.
    #[oai(default)]
    dry_run: bool,
}

/// Tags to put and to take.
#[derive(Debug, Object)]
#[oai(rename = "TagChange", deny_unknown_fields)]
struct TagsBody {
    /// Those to put.
    #[oai(default, validator(max_items = 20))]
    add: Vec<String>,
    /// Those to take.
    #[oai(default, validator(max_items = 20))]
    remove: Vec<String>,
}

/// A file of contacts. Give `csv` or `attachment`.
#[derive(Debug, Object)]
#[oai(rename = "ContactImport", deny_unknown_fields)]
struct ImportBody {
    /// The lines themselves.
    csv: Option<String>,
    /// An uploaded file of lines: `POST /v1/attachments`.
    attachment: Option<Uuid>,
    /// Labels for everybody in the file, besides those of their line.
    #[oai(default, validator(max_items = 20))]
    labels: Vec<String>,
    /// Only say what would happen to each line.
    #[oai(default)]
    dry_run: bool,
}

/// What became of a request for many conversations.
#[derive(Debug, ApiResponse)]
enum BulkAnswer {
    /// For a dry run: what would happen.
    #[oai(status = 200)]
    Preview(Json<BulkPreviewView>),
    /// The job. Up to 200 ids are done at once: then it is `done` and has its `results`.
    #[oai(status = 202)]
    Started(
        Json<JobView>,
        /// `true` when this is the answer to an earlier request with the same `Idempotency-Key`.
        #[oai(header = "Idempotency-Replayed")]
        Option<String>,
    ),
}

/// The format of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "ExportFormat")]
enum FormatWord {
    /// Comma-separated values, with a line of names. Text that a spreadsheet would take for a formula begins with `'`.
    #[default]
    Csv,
    /// One JSON object a line.
    Jsonl,
}

impl FormatWord {
    const fn with(self, bom: bool) -> Format {
        match self {
            FormatWord::Csv => Format::Csv { bom },
            FormatWord::Jsonl => Format::Jsonl,
        }
    }
}

/// What else to export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "ExportInclude")]
enum IncludeWord {
    /// Each message, as a line of its own.
    Messages,
}

#[OpenApi]
impl BulkApi {
    /// Change many conversations
    ///
    /// Each gets what the single call would do: status, assignee or tags. With `dry_run` it only says what would happen.
    #[oai(
        path = "/conversations/bulk",
        method = "post",
        operation_id = "bulkConversations",
        tag = "Tag::Conversations",
        request_header(
            name = "Idempotency-Key",
            ty = "String",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn bulk(&self, signed: Signed, key: Idempotent, body: Body<BulkBody>) -> Result<BulkAnswer, Refused<Making>> {
        let (desk, caller, key) = (&self.0.desk, signed.caller(), key.required()?);
        let dry_run = body.0.dry_run;
        authorise(signed.caller(), Action::ChangeMany)?;
        let request = request(body.0)?;
        if dry_run {
            let preview = bulk::preview(desk, caller, request).await?;
            return Ok(BulkAnswer::Preview(Json((&preview).into())));
        }
        let once = key.once(caller, 202, |started| JobView::from(started));
        let started = bulk::start(desk, caller, request, once).await;
        let (view, replayed) = answered(started, |started| JobView::from(started))?;
        Ok(BulkAnswer::Started(view, replayed))
    }

    /// Export conversations
    ///
    /// All of them, or those of `ids` or `filter`, as a download of any size. By id, so that each comes once whatever happens to it
    /// meanwhile. With `include=messages` each message is a line of its own, behind the columns of its conversation.
    #[oai(
        path = "/conversations/export",
        method = "get",
        operation_id = "exportConversations",
        tag = "Tag::Conversations"
    )]
    async fn conversations(
        &self,
        signed: Signed,
        /// As what.
        #[oai(default)]
        format: Query<FormatWord>,
        /// Only these.
        #[oai(validator(max_items = 500))]
        ids: Query<Vec<Uuid>>,
        /// Only those that this finds, as in `POST /conversations/bulk`.
        #[oai(validator(min_length = 1, max_length = 200))]
        filter: Query<Option<String>>,
        /// What else.
        #[oai(validator(max_items = 5))]
        include: Query<Vec<IncludeWord>>,
        /// Begins CSV with a byte order mark, which some spreadsheets want.
        #[oai(default)]
        bom: Query<bool>,
    ) -> Result<TableBody, Refused<Exporting>> {
        let selection = match (ids.0, filter.0) {
            (ids, None) if ids.is_empty() => None,
            (ids, Some(filter)) if ids.is_empty() => Some(Selection::Filter(filter)),
            (ids, None) => Some(Selection::Ids(ids.into_iter().map(Into::into).collect())),
            (_, Some(_)) => return Err(ambiguous("filter", "give `ids` or `filter`, and not both").into()),
        };
        let format = format.0.with(bom.0);
        let wanted = Wanted { selection, messages: include.0.contains(&IncludeWord::Messages), format };
        let lines = export::conversations(&self.0.desk, signed.caller(), wanted).await?;
        Ok(TableBody::new("conversations", format, lines))
    }

    /// Import contacts
    ///
    /// From CSV with a line of names: `display_name`, `first_name`, `last_name`, `phone`, `email`, `external_id`, `language`, `time_zone`, `labels`
    /// (several with commas), `custom.` and the name of a custom field. Somebody is found by phone number, email address or external id; what a line leaves out stays. What
    /// comes of each line is in the results of the job, also for a dry run. At most 10,000 lines.
    #[oai(
        path = "/contacts/import",
        method = "post",
        operation_id = "importContacts",
        tag = "Tag::Contacts",
        request_header(
            name = "Idempotency-Key",
            ty = "String",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn import(
        &self,
        signed: Signed,
        key: Idempotent,
        body: Body<ImportBody>,
    ) -> Result<Accepted<JobView>, Refused<Making>> {
        let (caller, key) = (signed.caller(), key.required()?);
        authorise(caller, Action::ImportContacts)?;
        let ImportBody { csv, attachment, labels, dry_run } = body.0;
        let source = match (csv, attachment) {
            (Some(text), None) => Source::Text(text),
            (None, Some(id)) => Source::Attachment(id.into()),
            _ => return Err(ambiguous("csv", "give `csv` or `attachment`, and not both").into()),
        };
        let once = key.once(caller, 202, |started| JobView::from(started));
        let request = ImportRequest { source, labels, dry_run };
        let started = import::start(&self.0.desk, caller, request, once).await;
        let (view, replayed) = answered(started, |started| JobView::from(started))?;
        Ok(Accepted::Accepted(view, replayed))
    }

    /// Export contacts
    ///
    /// Those that the list would show, as a download of any size.
    #[oai(path = "/contacts/export", method = "get", operation_id = "exportContacts", tag = "Tag::Contacts")]
    async fn contacts(
        &self,
        signed: Signed,
        /// As what.
        #[oai(default)]
        format: Query<FormatWord>,
        /// What to look for, as in the list: words, or fields such as `label:vip` (docs/searching.md).
        #[oai(validator(max_length = 200))]
        q: Query<Option<String>>,
        /// Only those with this label.
        #[oai(validator(max_length = 200))]
        label: Query<Option<String>>,
        /// Only those that are, or are not, blocked.
        blocked: Query<Option<bool>>,
        /// Begins CSV with a byte order mark, which some spreadsheets want.
        #[oai(default)]
        bom: Query<bool>,
    ) -> Result<TableBody, Refused<Exporting>> {
        let text = q.0.unwrap_or_default();
        let found = search::contact_query(&self.0.desk, signed.caller(), &text).await.map_err(in_q)?;
        let query = ContactQuery { label: label.0, blocked: blocked.0, ..found };
        let format = format.0.with(bom.0);
        let lines = export::contacts(&self.0.desk, signed.caller(), query, format).await?;
        Ok(TableBody::new("contacts", format, lines))
    }
}

/// For what reads by a filter.
#[derive(Debug)]
enum Exporting {}

impl crate::http::problem::Refusals for Exporting {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 422, 429, 431, 500, 503];
}

fn ambiguous(field: &str, detail: &str) -> Problem {
    Problem::new("selection_ambiguous", detail).at(field)
}

fn request(body: BulkBody) -> Result<BulkRequest, Problem> {
    let selection = match (body.ids, body.filter) {
        (Some(ids), None) => Selection::Ids(ids.into_iter().map(Into::into).collect()),
        (None, Some(filter)) => Selection::Filter(filter),
        _ => return Err(ambiguous("ids", "give `ids` or `filter`, and not both")),
    };
    let action = match (body.status, body.assignee, body.tags) {
        (Some(status), None, None) => BulkAction::Status(new_status(status)?),
        (None, Some(to), None) => {
            BulkAction::Assign(Assignment { agent: to.agent.map(Into::into), team: to.team.map(Into::into) })
        }
        (None, None, Some(tags)) => BulkAction::Tags { add: tags.add, remove: tags.remove },
        _ => return Err(Problem::new("action_ambiguous", "give one of `status`, `assignee` and `tags`").at("status")),
    };
    Ok(BulkRequest { selection, action })
}
