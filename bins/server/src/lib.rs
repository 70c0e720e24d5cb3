//! The Transom service: API, webhooks, dispatcher, demo
