//! Telegram bots as a Transom channel
