//! Who may call: the widget's own sites and apps (webchat.md 8).

use std::net::IpAddr;

use poem::http::{HeaderMap, HeaderName, HeaderValue, header};
use poem::{Addr, Request, Response};
use transom_channel::Site;

use super::hub::Hub;
use super::rates::What;
use super::refusal::Refused;
use crate::config::{Config, is_app_key};
use crate::error::Code;

const APP_KEY: HeaderName = HeaderName::from_static("x-app-key");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A widget that is called.
#[derive(Debug)]
pub(super) struct Widget {
    pub(super) site: Site,
    pub(super) config: Config,
    /// From where.
    pub(super) address: String,
}

/// The widget that a call names, if it comes from a site or app of the widget's.
pub(super) async fn widget(hub: &Hub, request: &Request) -> Result<Widget, Refused> {
    let widget = named(hub, request).await?;
    match is_allowed(hub, &widget.config, request) {
        true => Ok(widget),
        false => Err(not_allowed()),
    }
}

/// The widget that a call names. An unknown one sounds like one of somebody else.
pub(super) async fn named(hub: &Hub, request: &Request) -> Result<Widget, Refused> {
    let address = peer(request);
    let named = parameter(request, "widget").unwrap_or_default();
    let (key, account) = named.split_once('.').map_or((named.as_str(), None), |(key, account)| (key, Some(account)));
    let site = hub.host.site(crate::NAME, key, account).await?.ok_or_else(not_allowed)?;
    hub.take(What::Widget, &site.key, 1.0)?;
    let config = Config::read(&site.settings).map_err(|error| {
        tracing::warn!(account = site.account, %error, "a widget's settings can't be used");
        not_allowed()
    })?;
    Ok(Widget { site, config, address })
}

fn is_allowed(hub: &Hub, config: &Config, request: &Request) -> bool {
    match origin(request) {
        Some(origin) => {
            origin == hub.host.base_url().origin().ascii_serialization()
                || config.origins.iter().any(|site| site.is(&origin))
        }
        None => {
            let key = request.headers().get(APP_KEY).and_then(|key| key.to_str().ok());
            let is_app = key.is_some_and(|key| is_app_key(config, key));
            // A browser says so of a page of ours, and lets no page of others say it.
            is_app || request.headers().get(FETCH_SITE).is_some_and(|site| site == "same-origin")
        }
    }
}

fn not_allowed() -> Refused {
    Refused::new(
        Code::OriginNotAllowed,
        "there is no such widget for this origin: list the site among the widget's origins",
    )
}

/// What the browser says of the page that calls.
pub(super) fn origin(request: &Request) -> Option<String> {
    let mut all = request.headers().get_all(header::ORIGIN).iter();
    let first = all.next()?;
    // Two are none of a browser's.
    let only = if all.next().is_some() { "" } else { first.to_str().unwrap_or_default() };
    Some(only.to_owned())
}

/// Tells the browser that the page may read the answer. Only called for an origin that is listed.
pub(super) fn allow(response: &mut Response, origin: Option<&str>) {
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin.and_then(|origin| HeaderValue::from_str(origin).ok()) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
}

/// What a page may ask for.
pub(super) fn describe(headers: &mut HeaderMap) {
    let allowed = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, last-event-id, x-app-key"),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    headers.extend(allowed.map(|(name, value)| (name, HeaderValue::from_static(value))));
}

/// A parameter of the query.
pub(super) fn parameter(request: &Request, name: &str) -> Option<String> {
    let query = request.original_uri().query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The visitor's token.
pub(super) fn token(request: &Request) -> Option<&str> {
    let header = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    header.strip_prefix("Bearer ").map(str::trim).filter(|token| !token.is_empty())
}

/// Where a call comes from: an IPv6 network counts as one, since a home has all of its addresses.
fn peer(request: &Request) -> String {
    match request.remote_addr().0 {
        Addr::SocketAddr(address) => match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
                Some(ip) => ip.to_string(),
                None => format!("{:x}", ip.to_bits() >> 64),
            },
        },
        ref other => other.to_string(),
    }
}
