//! Carries webhooks to their receivers, and fetches what messages link to.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use url::Url;

use crate::deliveries::{DeliveryState, Head, Try};
use crate::platforms::Wire;
use crate::sandbox::Shared;

/// The largest file fetched by a link.
const MAX_FETCHED: usize = 100 * 1024 * 1024;

#[expect(
    clippy::disallowed_methods,
    reason = "the tuned client lives in a crate that the sandbox must not know: it plays the other side"
)]
pub(crate) fn client(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    // The client panics without a process-wide provider; a second installation is refused, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .timeout(timeout)
        .user_agent("transom-sandbox")
        .build()
}

/// Delivers one account's webhooks, one after the other, for as long as the account exists.
pub(crate) async fn deliver(shared: Arc<Shared>, account: String) {
    loop {
        let Some((bell, next)) = next(&shared, &account) else { return };
        match next {
            Next::Rest => bell.notified().await,
            Next::Wait(pause) => {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = bell.notified() => {}
                }
            }
            Next::Go(parcel) => {
                let outcome = post(&shared.http, &parcel).await;
                settle(&shared, &account, &parcel, outcome);
            }
        }
    }
}

/// A webhook call, ready to go.
struct Parcel {
    id: u64,
    url: String,
    headers: Vec<(&'static str, String)>,
    content_type: &'static str,
    body: String,
    badly_signed: bool,
}

enum Next {
    Rest,
    Wait(Duration),
    Go(Parcel),
}

/// What to do next; `None` once the account is gone.
fn next(shared: &Shared, account_id: &str) -> Option<(Arc<tokio::sync::Notify>, Next)> {
    let mut world = shared.world();
    // The account is taken out for a moment, since signing reads the rest of the world.
    let mut account = world.accounts.remove(account_id)?;
    let bell = Arc::clone(&account.queue.bell);
    let next = match (account.queue.head(), account.webhook_url.clone()) {
        (Head::Nothing, _) | (_, None) => Next::Rest,
        (Head::In(pause), Some(_)) => Next::Wait(pause),
        (Head::Now(id), Some(url)) => match world
            .deliveries
            .get(id)
            .map(|one| (one.body.get().to_owned(), one.tries.len()))
        {
            None => {
                account.queue.done(id);
                Next::Wait(Duration::ZERO)
            }
            Some((body, tries)) => {
                let badly_signed = account.queue.badly_sign_next > 0;
                account.queue.badly_sign_next = account.queue.badly_sign_next.saturating_sub(1);
                let personality = shared.personality(account.platform);
                let wire = personality.map_or_else(
                    || Wire::json(&body),
                    |platform| {
                        let wire = platform.wire(&body, tries);
                        platform.seal(&mut world, &account, wire, &url, badly_signed)
                    },
                );
                let url = wire.url.clone().unwrap_or(url);
                let headers = personality
                    .map(|platform| platform.sign_call(&mut world, &account, &wire, &url, badly_signed))
                    .unwrap_or_default();
                Next::Go(Parcel { id, url, headers, content_type: wire.content_type, body: wire.body, badly_signed })
            }
        },
    };
    world.accounts.insert(account_id.to_owned(), account);
    Some((bell, next))
}

/// The longest answer to a webhook that is looked at: what is larger means nothing to anybody.
const MAX_ANSWER: usize = 64 * 1024;

async fn post(http: &reqwest::Client, parcel: &Parcel) -> Result<(u16, Vec<u8>), String> {
    let mut request = http.post(&parcel.url).header("content-type", parcel.content_type).body(parcel.body.clone());
    for (name, value) in &parcel.headers {
        request = request.header(*name, value);
    }
    let mut answer = request.send().await.map_err(|error| root(&error))?;
    let (status, mut body) = (answer.status().as_u16(), Vec::new());
    while let Some(chunk) = answer.chunk().await.map_err(|error| root(&error))? {
        if body.len() + chunk.len() <= MAX_ANSWER {
            body.extend_from_slice(&chunk);
        }
    }
    Ok((status, body))
}

fn settle(shared: &Shared, account: &str, parcel: &Parcel, outcome: Result<(u16, Vec<u8>), String>) {
    let mut world = shared.world();
    let at = world.now();
    let redelivery = shared.config.redelivery;
    let taken = matches!(outcome, Ok((200..=299, _)));
    if let (Ok((_, answer)), true) = (&outcome, taken) {
        let event = world.deliveries.get(parcel.id).map(|delivery| delivery.event.clone()).unwrap_or_default();
        let platform = world.accounts.get(account).and_then(|account| shared.personality(account.platform));
        if let Some(platform) = platform {
            platform.answered(&mut world, account, &event, &parcel.body, answer);
        }
    }
    let Some(account) = world.accounts.get_mut(account) else { return };
    let gave_up = !taken && account.queue.put_off(&redelivery) >= redelivery.tries;
    if taken || gave_up {
        account.queue.done(parcel.id);
    }
    if parcel.badly_signed && !taken {
        account.queue.ring();
    }
    if let Some(delivery) = world.deliveries.get_mut(parcel.id) {
        let (status, error) = match outcome {
            Ok((status, _)) => (Some(status), None),
            Err(error) => (None, Some(error)),
        };
        delivery.tries.push(Try { at, status, error, badly_signed: parcel.badly_signed });
        if taken {
            delivery.state = DeliveryState::Delivered;
        } else if gave_up {
            delivery.state = DeliveryState::GaveUp;
        }
    }
}

/// A plain GET of a webhook URL: the status and the text of the answer.
pub(crate) async fn get(shared: &Shared, url: &str, query: &[(&str, &str)]) -> Result<(u16, String), String> {
    let answer = shared.http.get(url).query(query).send().await.map_err(|error| root(&error))?;
    let status = answer.status().as_u16();
    Ok((status, answer.text().await.map_err(|error| root(&error))?))
}

/// Fetches what a message links to: from loopback over HTTP, else from what was published to the sandbox.
///
/// The sandbox never leaves its machine.
pub(crate) async fn fetch(shared: &Shared, link: &str) -> Result<(String, Bytes), String> {
    if let Some(published) = shared.world().files.published(link) {
        return Ok(published);
    }
    let url = Url::parse(link).map_err(|error| error.to_string())?;
    let loopback = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if !loopback {
        return Err("the sandbox fetches from loopback only, and nothing is published under this URL".to_owned());
    }
    let mut answer = shared.http.get(url).send().await.map_err(|error| root(&error))?;
    if !answer.status().is_success() {
        return Err(format!("answered {}", answer.status()));
    }
    let mime = answer.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mime = mime.split(';').next().unwrap_or_default().trim().to_owned();
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| root(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_FETCHED {
            return Err("larger than 100 MiB".to_owned());
        }
    }
    Ok((mime, bytes.into()))
}

/// The innermost cause, in short.
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
