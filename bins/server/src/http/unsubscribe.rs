//! No more mail, by one click (RFC 8058): looking changes nothing, since scanners follow links; only a post does.

use poem::http::{Method, StatusCode, header};
use poem::{Request, Response};
use transom_desk::{DeskError, unsubscribe};

use super::body;
use super::problem::Problem;
use crate::state::State;

/// More is not needed to say so, in whichever form.
const FORM: usize = 4 * 1024;
/// What the form holds, from a mail program and from the page.
const FIELD: &str = "List-Unsubscribe";
const VALUE: &str = "One-Click";

/// Shows the page with its button, or does what it says.
pub(super) async fn call(state: &State, mut request: Request) -> Result<Response, Problem> {
    let public_id = request.raw_path_param("public_id").unwrap_or_default().to_owned();
    let query = request.original_uri().query().unwrap_or_default();
    let signature = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "signature");
    let signature = signature.map(|(_, value)| value.into_owned()).unwrap_or_default();
    if *request.method() != Method::POST {
        unsubscribe::opened(&state.desk, &public_id, &signature).map_err(refused)?;
        return Ok(page(&format!(
            "<p>Do you want no more mail from us that you did not ask for? What you write is still answered.</p>\
             <form method=\"post\"><input type=\"hidden\" name=\"{FIELD}\" value=\"{VALUE}\">\
             <button>Unsubscribe</button></form>"
        )));
    }
    let (announced, time) = (body::announced(&request), state.config.limits.body_time());
    let form = body::read(request.take_body(), announced, FORM, time).await?;
    let form = String::from_utf8_lossy(&form);
    if !form.contains(FIELD) || !form.contains(VALUE) {
        return Err(Problem::new("body_malformed", format!("the form says `{FIELD}={VALUE}`")));
    }
    unsubscribe::by_link(&state.desk, &public_id, &signature).await.map_err(refused)?;
    Ok(page("<p>You get no more mail from us that you did not ask for.</p>"))
}

fn refused(error: DeskError) -> Problem {
    match error {
        DeskError::Storage(error) => error.into(),
        _ => Problem::new("not_found", "there is no such address, or it is of somebody who is not known any more"),
    }
}

/// A page of ours, without scripts: nothing from outside stands in it.
fn page(words: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"robots\" content=\"noindex\"><title>Unsubscribe</title><main><h1>Unsubscribe</h1>{words}</main></html>"
    );
    Response::builder()
        .status(StatusCode::OK)
        .content_type("text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, "default-src 'none'; form-action 'self'; frame-ancestors 'none'")
        .body(page)
}
