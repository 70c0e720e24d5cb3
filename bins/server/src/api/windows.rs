//! What may be sent: questions to the rules, and the rules themselves.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use transom_desk::rehearse::Rehearsal;
use transom_desk::{Action, authorise, queries};
use transom_windows::{Policy, Question, QuestionErrorCode};

use super::Tag;
use super::auth::Signed;
use super::body::Body;
use super::contract::{As, DecisionBody, QuestionBody};
use super::views::account::PolicyView;
use super::views::rehearsal::{RehearsalView, RehearseBody};
use crate::http::problem::{Listing, Making, Problem, Reading, Refused};
use crate::state::State;

pub(crate) struct WindowsApi(pub(super) Arc<State>);

/// All policies.
#[derive(Debug, Object)]
struct PolicyList {
    /// The policies, by name.
    items: Vec<PolicyView>,
}

#[OpenApi(tag = "Tag::Windows")]
impl WindowsApi {
    /// May this be sent?
    ///
    /// Decides by the facts in the body alone: nothing is looked up and nothing is stored. The same as `transom decide`.
    #[oai(path = "/windows/evaluate", method = "post", operation_id = "evaluate")]
    #[expect(clippy::unused_async, reason = "operations are async")]
    async fn evaluate(
        &self,
        signed: Signed,
        body: Body<As<QuestionBody>>,
    ) -> Result<Json<As<DecisionBody>>, Refused<Making>> {
        let question = Question::from_json(&body.0.value.to_string()).map_err(|error| wrong(&error))?;
        let decision = queries::evaluate(&self.0.desk, signed.caller(), &question)?.map_err(|error| wrong(&error))?;
        Ok(Json(As::of(&decision)))
    }

    /// List the policies in force
    #[oai(path = "/policies", method = "get", operation_id = "listPolicies")]
    #[expect(clippy::unused_async, reason = "operations are async")]
    async fn policies(&self, signed: Signed) -> Result<Json<PolicyList>, Refused<Listing>> {
        let policies = queries::policies(&self.0.desk, signed.caller())?;
        Ok(Json(PolicyList { items: policies.map(Into::into).collect() }))
    }

    /// Read a policy
    ///
    /// With the file itself.
    #[oai(path = "/policies/:name", method = "get", operation_id = "getPolicy")]
    #[expect(clippy::unused_async, reason = "operations are async")]
    async fn policy(&self, signed: Signed, name: Path<String>) -> Result<Json<PolicyView>, Refused<Reading>> {
        let policy = queries::policy(&self.0.desk, signed.caller(), &name.0)?;
        Ok(Json(PolicyView::from(policy).with_text(policy)))
    }

    /// Rehearse a policy
    ///
    /// In which conversations would it answer otherwise, now, than the one in force? Nothing is changed. Up to 20,000 conversations
    /// are looked at; `transom policy rehearse` looks at all.
    #[oai(path = "/policies/rehearse", method = "post", operation_id = "rehearsePolicy")]
    async fn rehearse(&self, signed: Signed, body: Body<RehearseBody>) -> Result<Json<RehearsalView>, Refused<Making>> {
        const MOST: u64 = 20_000;
        let (desk, caller) = (&self.0.desk, signed.caller());
        authorise(caller, Action::RehearsePolicies)?;
        let RehearseBody { policy, instead_of, examples } = body.0;
        let policy = Policy::parse("policy", &policy);
        let policy = policy.map_err(|error| Problem::new("policy_invalid", error.to_string()).at("policy"))?;
        let mut rehearsal = Rehearsal::begin(desk, caller, policy, instead_of.as_deref()).await?;
        let mut view = RehearsalView::default();
        while let Some(page) = rehearsal.next().await? {
            view.add(page, examples);
            if view.looked >= MOST {
                return Ok(Json(view));
            }
        }
        view.complete = true;
        Ok(Json(view))
    }
}

/// A question that has no answer: of another form than the document's, or about what no policy knows.
fn wrong(error: &transom_windows::QuestionError) -> Problem {
    match error.code {
        QuestionErrorCode::Malformed => Problem::new("body_malformed", error.message.clone()),
        code => Problem::new(code.as_str(), error.message.clone()).at(error.field.clone()),
    }
}
