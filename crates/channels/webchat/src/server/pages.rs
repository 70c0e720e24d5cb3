//! What browsers load: the widget's script and style, a page with the widget alone, the widget's settings.

use poem::http::{HeaderName, HeaderValue, StatusCode, header};
use poem::{IntoResponse, Request, Response};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::access::Widget;
use super::hub::Hub;
use crate::capabilities::{FILES, MAX_FILE, TEXT, types};

const SCRIPT: &str = include_str!("../../widget/widget.js");
const STYLE: &str = include_str!("../../widget/widget.css");
const FRAME: &str = include_str!("../../widget/frame.html");
const FRAME_SCRIPT: &str = include_str!("../../widget/frame.js");

/// `GET config`: what the widget shows before anybody writes.
pub(super) fn config(widget: &Widget) -> Response {
    let Widget { site, config, .. } = widget;
    let mut shown = json!({
        "widget_id": config.widget,
        "title": config.title.as_ref().unwrap_or(&site.name),
        "online": config.online,
        "require_verification": config.require_verification,
        "email": config.fallback.is_some(),
        "uploads": { "allowed": config.uploads, "max_bytes": MAX_FILE, "types": types(), "max_files": FILES },
        "max_text": TEXT.max(),
    });
    let optional =
        [("color", &config.color), ("greeting", &config.greeting), ("expected_reply", &config.expected_reply)];
    if let Some(shown) = shown.as_object_mut() {
        let given = optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into())));
        shown.extend(given);
    }
    super::json(StatusCode::OK, &shown)
}

/// `GET widget.js`.
pub(super) fn script(request: &Request) -> Response {
    asset(request, "text/javascript; charset=utf-8", SCRIPT)
}

/// `GET widget.css`.
pub(super) fn style(request: &Request) -> Response {
    asset(request, "text/css; charset=utf-8", STYLE)
}

/// `GET frame.js`: starts the widget on the page of `frame`.
pub(super) fn frame_script(request: &Request) -> Response {
    asset(request, "text/javascript; charset=utf-8", FRAME_SCRIPT)
}

/// A file that any site may load, and keeps until it changes.
fn asset(request: &Request, content_type: &'static str, text: &'static str) -> Response {
    let tag = format!("\"{}\"", hex::encode(Sha256::digest(text).get(..16).unwrap_or_default()));
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).unwrap_or_default();
    let mut response = match known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Response::builder().content_type(content_type).body(text),
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    // A script of ours on a page of theirs: that is what it is for.
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin"));
    response
}

/// `GET frame`: a page with the widget alone. Only the widget's sites may put it into a frame, and nothing on it comes from
/// elsewhere.
pub(super) fn frame(hub: &Hub, widget: &Widget) -> Response {
    let sites: Vec<String> = widget.config.origins.iter().map(crate::config::Origin::as_source).collect();
    let own = hub.host.base_url();
    let socket = match own.scheme() {
        "https" => "wss",
        _ => "ws",
    };
    let host = own.origin().ascii_serialization();
    let host = host.split_once("://").map_or(host.as_str(), |(_, host)| host);
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self'; \
         connect-src 'self' {socket}://{host}; base-uri 'none'; form-action 'none'; frame-ancestors 'self' {}",
        sites.join(" ")
    );
    let mut response = Response::builder().content_type("text/html; charset=utf-8").body(FRAME);
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
