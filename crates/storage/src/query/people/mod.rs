//! People and what is said: contacts, identities, conversations, messages, templates.
