//! All paths of the service, and what every request goes through.

use std::any::Any;
use std::sync::Arc;

use poem::http::{HeaderName, HeaderValue, StatusCode, header};
use poem::middleware::{AddData, CatchPanic};
use poem::{Endpoint, EndpointExt, IntoEndpoint, IntoResponse, Request, Response, Result, Route, RouteMethod, get};

use super::problem::Problem;
use super::signed_in::SignedIn;
use super::{body, docs, errors, file, head, health, metrics, parameters, trace, unsubscribe, webhook};
use crate::api;
use crate::api::idempotency::Fingerprint;
use crate::state::State;

/// The whole service as one endpoint.
pub(crate) fn routes(state: Arc<State>) -> impl Endpoint<Output = Response> + 'static {
    let api = api::service(&state).into_endpoint().around(guarded).boxed();
    let mut routes = Route::new()
        .nest("/v1", api)
        .at("/webhooks/:public_id", RouteMethod::new().get(webhooks(&state)).post(webhooks(&state)))
        .at("/attachments/:public_id", get(files(&state)))
        .at("/attachments/:public_id/:name", get(files(&state)))
        .at("/unsubscribe/:public_id", RouteMethod::new().get(unsubscribing(&state)).post(unsubscribing(&state)))
        .at("/health/live", get(poem::endpoint::make_sync(|_| health::live())))
        .at("/health/ready", get(with_state(&state, |state, _| async move { Ok(health::ready(&state).await) })))
        .at("/metrics", get(with_state(&state, |state, _| async move { Ok(metrics_page(&state).await) })))
        .at("/openapi.json", get(poem::endpoint::make_sync(|_| docs::json())));
    for (path, endpoint) in crate::registry::hosted(state.hosting()) {
        routes = routes.nest(path, endpoint);
    }
    if state.config.docs {
        routes = routes.at("/docs", get(poem::endpoint::make_sync(|_| docs::page())));
    }
    let max_head = state.config.limits.head();
    routes
        .with(AddData::new(state))
        .around(move |next, request| async move {
            if let Err(problem) = head::check(&request, max_head) {
                return Ok(problem.to_response());
            }
            let response = next.call(request).await;
            Ok::<_, poem::Error>(response.unwrap_or_else(refused))
        })
        .around(plainly)
        .with(CatchPanic::new().with_handler(panicked))
        .map_to_response()
        .around(|next, request| async move { trace::traced(next.as_ref(), request, State::request_id()).await })
}

fn webhooks(state: &Arc<State>) -> impl Endpoint<Output = Response> + 'static {
    with_state(state, |state, request| async move { Ok(webhook::call(&state, request).await?) })
}

fn files(state: &Arc<State>) -> impl Endpoint<Output = Response> + 'static {
    with_state(state, |state, request| async move { Ok(file::by_link(&state, &request).await?) })
}

fn unsubscribing(state: &Arc<State>) -> impl Endpoint<Output = Response> + 'static {
    with_state(state, |state, request| async move { Ok(unsubscribe::call(&state, request).await?) })
}

fn with_state<F, Fut>(state: &Arc<State>, handle: F) -> impl Endpoint<Output = Response> + 'static
where
    F: Fn(Arc<State>, Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Response>> + Send + 'static,
{
    let state = state.clone();
    poem::endpoint::make(move |request| handle(state.clone(), request))
}

/// Answers in problems, and keeps in the audit log whom it refused.
async fn guarded<E>(next: Arc<E>, mut request: Request) -> Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let (signed_in, method) = (SignedIn::default(), request.method().clone());
    request.set_data(signed_in.clone());
    let state = request.data::<Arc<State>>().cloned();
    match checked(next, request).await {
        Err(error) => {
            if let Some(state) = state.filter(|_| !error.is_from_response()) {
                signed_in.refused(&state, &method, &error).await;
            }
            Ok(refused(error))
        }
        answer => answer,
    }
}

/// Checks the query, and reads the body within its limits, before the API looks at them.
async fn checked<E>(next: Arc<E>, mut request: Request) -> Result<Response>
where
    E: Endpoint<Output = Response>,
{
    parameters::check(&request)?;
    if body::has_body(request.method()) {
        let Some(state) = request.data::<Arc<State>>().cloned() else {
            return Err(Problem::internal(&"a request without the service's state").into());
        };
        if file::is_upload(&request) {
            return file::upload(next, &state, request).await;
        }
        let limits = &state.config.limits;
        let announced = body::announced(&request);
        let bytes = body::read(request.take_body(), announced, limits.api_body, limits.body_time()).await?;
        if errors::is_too_deep(&bytes) {
            return Err(errors::too_deep().into());
        }
        let fingerprint = Fingerprint::of(request.method(), request.original_uri().path(), &bytes);
        request.set_data(fingerprint);
        request.set_body(bytes);
    }
    next.call(request).await
}

/// An error as an answer, with the pattern of its path kept for the log.
fn refused(error: poem::Error) -> Response {
    if error.is_from_response() || error.status().as_u16() < 400 {
        return error.into_response();
    }
    let mut response = errors::as_problem(&error).to_response();
    if let Some(pattern) = error.data::<poem::PathPattern>() {
        response.set_data(pattern.clone());
    }
    response
}

/// What we answer is what it says it is, and stays out of shared caches.
async fn plainly<E: Endpoint<Output = Response>>(next: Arc<E>, request: Request) -> Result<Response> {
    let path = request.original_uri().path().to_owned();
    let mut response = next.call(request).await?;
    let is_wrong_method = response.status() == StatusCode::METHOD_NOT_ALLOWED;
    let allowed = is_wrong_method.then(|| api::methods_of(&path)).flatten().and_then(|methods| methods.parse().ok());
    let headers = response.headers_mut();
    // RFC 9110, section 15.5.6.
    headers.extend(allowed.map(|methods: HeaderValue| (header::ALLOW, methods)));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn metrics_page(state: &State) -> Response {
    let page = metrics::page(&state.desk).await;
    Response::builder().content_type("text/plain; version=0.0.4; charset=utf-8").body(page)
}

/// A panic is a fault of ours, and its words are not for callers. The panic hook has logged it.
fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    let mut response = Problem::new("internal", "something went wrong here").into_response();
    response.set_status(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
