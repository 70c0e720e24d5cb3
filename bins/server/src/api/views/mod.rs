//! What the API shows and takes, noun by noun: plain data, no rule.

pub(super) mod account;
pub(super) mod audit;
pub(super) mod broadcast;
pub(super) mod contact;
pub(super) mod content;
pub(super) mod conversation;
pub(super) mod custom_field;
pub(super) mod event;
pub(super) mod file;
pub(super) mod job;
pub(super) mod merge;
pub(super) mod message;
pub(super) mod outbound;
pub(super) mod people;
pub(super) mod preview;
pub(super) mod quarantine;
pub(super) mod rehearsal;
pub(super) mod report;
pub(super) mod settings;
pub(super) mod table;
pub(super) mod template;
pub(super) mod webhook;
pub(super) mod window;
