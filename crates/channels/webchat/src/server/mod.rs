//! The routes under `/widget/v1`: what visitors' browsers and apps call.
//!
//! Nothing here touches a database: mailboxes come from the site's ports, everything else from the [`Host`].

mod access;
mod acts;
mod conversation;
mod hub;
mod pages;
mod picture;
mod rates;
mod receipts;
mod refusal;
mod session;
mod socket;
mod stream;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use poem::http::StatusCode;
use poem::{Endpoint, EndpointExt, IntoResponse, Request, Response, Result, Route, RouteMethod, endpoint};
use transom_channel::Host;

use crate::error::Code;
use access::Widget;
use hub::Hub;
use refusal::{Refused, refused};

/// The path under which the service mounts the routes.
pub const PATH: &str = "/widget/v1";

/// The largest JSON body, in bytes: a frame.
const MAX_BODY: usize = crate::protocol::MAX_FRAME;

/// How long a body may take.
const BODY: Duration = Duration::from_mins(1);

/// The routes.
pub fn routes(host: Arc<dyn Host>) -> impl Endpoint<Output = Response> + 'static {
    let hub = Arc::new(Hub::new(host));
    let post = |run: Handler| RouteMethod::new().post(on(&hub, run)).options(on(&hub, preflight));
    let get = |run: Handler| RouteMethod::new().get(on(&hub, run)).options(on(&hub, preflight));
    Route::new()
        .at("/config", get(|_, widget, _| Box::pin(std::future::ready(Ok(pages::config(&widget))))))
        .at("/session", post(|hub, widget, request| Box::pin(session::begin(hub, widget, request))))
        .at("/logout", post(|hub, widget, request| Box::pin(session::end(hub, widget, request))))
        .at(
            "/ws",
            RouteMethod::new().get(on(&hub, |hub, widget, request| Box::pin(socket::open(hub, widget, request)))),
        )
        .at("/messages", post(|hub, widget, request| Box::pin(conversation::take(hub, widget, request))))
        .at("/history", get(|hub, widget, request| Box::pin(conversation::history(hub, widget, request))))
        .at("/ticket", post(|hub, widget, request| Box::pin(stream::ticket(hub, widget, request))))
        .at("/events", get(|hub, widget, request| Box::pin(stream::open(hub, widget, request))))
        .at("/uploads", post(|hub, widget, request| Box::pin(upload::take(hub, widget, request))))
        .at("/frame", RouteMethod::new().get(framed(&hub)))
        .at("/frame.js", RouteMethod::new().get(endpoint::make_sync(|request| pages::frame_script(&request))))
        .at("/widget.js", RouteMethod::new().get(endpoint::make_sync(|request| pages::script(&request))))
        .at("/widget.css", RouteMethod::new().get(endpoint::make_sync(|request| pages::style(&request))))
        .map_to_response()
}

type Answered = futures_util::future::BoxFuture<'static, Result<Response, Refused>>;
type Handler = fn(Arc<Hub>, Arc<Widget>, Request) -> Answered;

/// A route that only the widget's own sites and apps reach; its answers tell the browser so.
fn on(hub: &Arc<Hub>, run: Handler) -> impl Endpoint<Output = Response> + 'static {
    let hub = Arc::clone(hub);
    endpoint::make(move |request: Request| {
        let hub = Arc::clone(&hub);
        async move {
            let origin = access::origin(&request);
            let widget = match access::widget(&hub, &request).await {
                Ok(widget) => Arc::new(widget),
                // No site is named to whoever is not listed.
                Err(error) => return Ok(refused(&error)),
            };
            let mut response = match run(hub, widget, request).await {
                Ok(response) => response,
                Err(error) => refused(&error),
            };
            access::allow(&mut response, origin.as_deref());
            Ok::<_, poem::Error>(response)
        }
    })
}

/// The page that frames show: any page may ask for it, and the browser shows it on the widget's sites only.
fn framed(hub: &Arc<Hub>) -> impl Endpoint<Output = Response> + 'static {
    let hub = Arc::clone(hub);
    endpoint::make(move |request: Request| {
        let hub = Arc::clone(&hub);
        async move {
            Ok::<_, poem::Error>(match access::named(&hub, &request).await {
                Ok(widget) => pages::frame(&hub, &widget),
                Err(error) => refused(&error),
            })
        }
    })
}

fn preflight(_: Arc<Hub>, _: Arc<Widget>, _: Request) -> Answered {
    Box::pin(async {
        let mut response = StatusCode::NO_CONTENT.into_response();
        access::describe(response.headers_mut());
        Ok(response)
    })
}

/// Reads a JSON body within its limit.
async fn body<T: serde::de::DeserializeOwned>(request: &mut Request) -> Result<T, Refused> {
    let bytes = in_time(request.take_body().into_bytes_limit(MAX_BODY)).await?;
    let bytes = bytes.map_err(|_| Refused::new(Code::TooLarge, "the body is over 64 KiB, or broke off"))?;
    read(&bytes)
}

/// What a body brings, unless it takes too long.
async fn in_time<T>(reading: impl Future<Output = T>) -> Result<T, Refused> {
    tokio::time::timeout(BODY, reading).await.map_err(|_| Refused::bad("the body took too long"))
}

/// Reads JSON of a visitor; what is wrong with it is told without its words.
fn read<T: serde::de::DeserializeOwned>(text: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(text).map_err(|error| {
        let place = format!("no frame of this protocol, at line {} column {}", error.line(), error.column());
        Refused::new(Code::BadRequest, place)
    })
}

fn json(status: StatusCode, value: &impl serde::Serialize) -> Response {
    let text = serde_json::to_string(value).unwrap_or_default();
    Response::builder().status(status).content_type("application/json").body(text)
}
