//! Metrics in the Prometheus text format.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use transom_desk::Desk;
use transom_desk::queries::{self, Load};

/// How often recorded times are sorted into their buckets, so that they do not pile up between scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Upper ends of the buckets for times, in seconds.
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The one recorder of this process: tests start several services in one.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Installs the recorder at the first call.
pub(crate) fn recorder() -> Option<&'static PrometheusHandle> {
    RECORDER
        .get_or_init(|| {
            let builder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
                .ok()?;
            let recorder = builder.build_recorder();
            let handle = recorder.handle();
            // A program that links this crate may have a recorder of its own: then /metrics has nothing to show.
            metrics::set_global_recorder(recorder).ok().map(|()| handle)
        })
        .as_ref()
}

/// Keeps the recorder small until `stop`.
pub(crate) async fn upkeep(stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Some(recorder) = recorder() {
            recorder.run_upkeep();
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(UPKEEP_EVERY) => {}
        }
    }
}

/// How long counting what waits may take; the numbers of the last scrape stand for longer ones.
const COUNTING: Duration = Duration::from_secs(2);

/// The page, with what waits counted now.
pub(crate) async fn page(desk: &Desk) -> String {
    match tokio::time::timeout(COUNTING, queries::load(desk)).await {
        Ok(Ok(load)) => tell(&load, desk.now()),
        Ok(Err(error)) => tracing::warn!(%error, "what waits could not be counted"),
        Err(_) => tracing::warn!("counting what waits took too long"),
    }
    recorder().map(PrometheusHandle::render).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating, and nobody has 2^52 of anything")]
fn tell(load: &Load, now: OffsetDateTime) {
    let age = |since: Option<OffsetDateTime>| since.map_or(0.0, |since| (now - since).as_seconds_f64().max(0.0));
    for (name, value) in [
        ("transom_inbound_unapplied_age_seconds", age(load.oldest_unapplied_at)),
        ("transom_outbox_oldest_due_age_seconds", age(load.oldest_due_at)),
        ("transom_outbox_due", load.due as f64),
        ("transom_outbox_in_hand", load.in_hand as f64),
        ("transom_messages_unknown", load.unknown as f64),
        ("transom_quarantine_items", load.quarantined as f64),
        ("transom_receipts_parked", load.parked_receipts as f64),
    ] {
        metrics::gauge!(name).set(value);
    }
}
