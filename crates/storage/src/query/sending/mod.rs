//! What is on its way out: outbox, attempts, receipts, quota ledger.
