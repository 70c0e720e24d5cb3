//! Reports: what supervisors look back on.

use std::sync::Arc;

use poem::{FromRequest, IntoResponse, Request, RequestBody, Response};
use poem_openapi::param::Query;
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::{ApiResponse, Enum, OpenApi};
use time::OffsetDateTime;
use transom_desk::export::{self, Format};
use transom_desk::reports::{self, Grouping};

use super::auth::Signed;
use super::contacts::millis;
use super::conversations::utc;
use super::cursor::Place;
use super::views::report::MissedReport;
use super::views::table::TableBody;
use super::{PAGE, Tag};
use crate::http::problem::Refused;
use crate::state::State;

pub(crate) struct ReportsApi(pub(super) Arc<State>);

/// By what the counts of a report are divided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "ReportGroup")]
enum GroupWord {
    /// By team and channel.
    #[default]
    TeamAndChannel,
    /// By team.
    Team,
    /// By channel.
    Channel,
}

/// The format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "ReportFormat")]
enum FormatWord {
    /// Counts, and a page of the cases.
    Json,
    /// Every case, as comma-separated values with a line of names.
    Csv,
}

/// The caller's `Accept` wants CSV rather than JSON.
struct WantsCsv(bool);

impl<'r> FromRequest<'r> for WantsCsv {
    async fn from_request(request: &'r Request, _: &mut RequestBody) -> poem::Result<Self> {
        let accept = request.header("Accept").unwrap_or_default();
        let first = accept.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
        let mut known = first.filter(|kind| matches!(*kind, "text/csv" | "application/json" | "*/*"));
        Ok(Self(known.next() == Some("text/csv")))
    }
}

/// A report as it was asked for.
enum ReportAnswer {
    Page(Json<MissedReport>),
    Table(TableBody),
}

impl IntoResponse for ReportAnswer {
    fn into_response(self) -> Response {
        match self {
            ReportAnswer::Page(page) => page.into_response(),
            ReportAnswer::Table(table) => table.into_response(),
        }
    }
}

impl ApiResponse for ReportAnswer {
    fn meta() -> MetaResponses {
        let json = MetaMediaType {
            content_type: Json::<MissedReport>::CONTENT_TYPE,
            schema: Json::<MissedReport>::schema_ref(),
        };
        let csv = TableBody::meta().responses.into_iter().flat_map(|response| response.content);
        let csv = csv.filter(|media| media.content_type == "text/csv");
        MetaResponses {
            responses: vec![MetaResponse {
                description: "Counts and a page of the cases; as CSV every case, as they are read.",
                status: Some(200),
                status_range: None,
                content: std::iter::once(json).chain(csv).collect(),
                headers: Vec::new(),
            }],
        }
    }

    fn register(registry: &mut Registry) {
        <Json<MissedReport> as Payload>::register(registry);
    }
}

#[OpenApi(tag = "Tag::Reports")]
impl ReportsApi {
    /// Windows that were missed
    ///
    /// Windows that ended while the customer's last message had no answer of a person or bot: how many, by whom, what reopening them
    /// took, and each of them, the newest first. As CSV, by `format` or `Accept`, it is every case without the counts.
    #[oai(path = "/reports/missed-windows", method = "get", operation_id = "reportMissedWindows")]
    #[expect(clippy::too_many_arguments, reason = "one argument for each parameter of the document")]
    async fn missed_windows(
        &self,
        signed: Signed,
        wants_csv: WantsCsv,
        /// Windows that ended from then on; seven days before `to` if left out.
        from: Query<Option<OffsetDateTime>>,
        /// Windows that ended before; now if left out.
        to: Query<Option<OffsetDateTime>>,
        /// By what the counts are divided.
        #[oai(default)]
        group: Query<GroupWord>,
        /// As what; if left out, as `Accept` says.
        format: Query<Option<FormatWord>>,
        /// Where the last page ended.
        cursor: Query<Option<String>>,
        /// How many cases at most.
        #[oai(default = "page", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
    ) -> Result<ReportAnswer, Refused<Reporting>> {
        let (desk, caller) = (&self.0.desk, signed.caller());
        let list = self.0.list(signed.caller(), format!("missed windows {:?} {:?}", from.0, to.0), limit.0);
        let after = list.after_time(cursor.0)?;
        let span = reports::span(from.0.map(utc), to.0.map(utc), desk.now())?;
        if format.0.map_or(wants_csv.0, |format| format == FormatWord::Csv) {
            let format = Format::Csv { bom: false };
            let lines = export::missed_windows(desk, caller, span, format).await?;
            return Ok(ReportAnswer::Table(TableBody::new("missed-windows", format, lines)));
        }
        let grouping = match group.0 {
            GroupWord::TeamAndChannel => Grouping::Both,
            GroupWord::Team => Grouping::Team,
            GroupWord::Channel => Grouping::Channel,
        };
        let groups = reports::missed_groups(desk, caller, span, grouping).await?;
        let mut rows = reports::missed_windows(desk, caller, span, after, list.rows()).await?;
        let next_cursor =
            list.cut(&mut rows, |row| Place { key: millis(row.missed.ended_at), id: row.missed.message.uuid() });
        Ok(ReportAnswer::Page(Json(MissedReport::new(span, &groups, &rows, next_cursor))))
    }
}

/// For what reads by a span of time.
#[derive(Debug)]
enum Reporting {}

impl crate::http::problem::Refusals for Reporting {
    const STATUSES: &'static [u16] = &[400, 401, 403, 422, 429, 431, 500, 503];
}

fn page() -> u32 {
    PAGE
}
