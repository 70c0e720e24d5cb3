//! Everything about HTTP that is not the API itself: the accept loop, limits, problems, webhooks, health, metrics.

pub(crate) mod accept;
mod bare;
pub(crate) mod body;
pub mod codes;
mod docs;
mod errors;
pub(crate) mod file;
mod head;
mod health;
pub(crate) mod metrics;
mod parameters;
pub mod problem;
mod rate;
mod routes;
pub mod schema;
pub(crate) mod signed_in;
mod trace;
mod unsubscribe;
mod webhook;

pub(crate) use rate::Rates;
pub(crate) use routes::routes;
