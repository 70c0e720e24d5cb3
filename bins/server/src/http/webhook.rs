//! Calls of the platforms: raw bytes in, verified and journalled by the desk, answered in the platform's form.

use std::time::Instant;

use poem::http::{HeaderMap, StatusCode};
use poem::{Request, Response};
use transom_channel::Answer;
use transom_desk::receive::{self, Heard, WebhookRefused};

use super::body;
use super::problem::Problem;
use crate::state::State;

/// Takes one call in.
pub(super) async fn call(state: &State, mut request: Request) -> Result<Response, Problem> {
    let started = Instant::now();
    let limits = &state.config.limits;
    let announced = body::announced(&request);
    let public_id = request.raw_path_param("public_id").unwrap_or_default().to_owned();
    let max = match announced {
        Some(length) if length <= limits.webhook_body => limits.webhook_body,
        // Whole files make some platforms' calls larger than others'.
        _ => {
            let own = receive::largest_call(&state.desk, &public_id).await.map_err(Problem::from)?;
            own.and_then(|own| usize::try_from(own).ok())
                .map_or(limits.webhook_body, |own| own.max(limits.webhook_body))
        }
    };
    let bytes = body::read(request.take_body(), announced, max, limits.body_time()).await?;
    let mut url = state.webhook_url(&public_id);
    url.set_query(request.original_uri().query());

    let headers: &HeaderMap = request.headers();
    let heard = receive::accept(&state.desk, &public_id, request.method(), &url, headers, bytes).await;
    match heard {
        Ok(Heard { platform, answer }) => {
            count(platform, "accepted");
            metrics::histogram!("transom_webhook_accept_seconds").record(started.elapsed().as_secs_f64());
            Ok(answered(&answer))
        }
        Err(WebhookRefused::Unknown) => {
            count("none", "unknown");
            Err(Problem::new("not_found", "there is no such webhook address"))
        }
        Err(WebhookRefused::Untrusted { platform, error }) => {
            count(platform, "untrusted");
            tracing::info!(platform, %error, "a webhook call that can't be trusted");
            Err(Problem::new("webhook_untrusted", error.to_string()))
        }
        Err(WebhookRefused::Failed(error)) => {
            count("none", "failed");
            // The platform calls again: it must hear that this is ours to mend.
            let problem = Problem::from(error);
            let is_ours = problem.status_code().is_server_error();
            Err(if is_ours { problem } else { Problem::new("not_ready", "the call could not be stored").after(5) })
        }
    }
}

fn answered(answer: &Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    Response::builder().status(status).content_type(answer.content_type).body(answer.body.clone())
}

fn count(platform: &'static str, result: &'static str) {
    metrics::counter!("transom_webhook_accepted_total", "platform" => platform, "result" => result).increment(1);
}
