//! One call reaches a person.

use std::sync::Arc;

use poem_openapi::OpenApi;
use transom_desk::{Target, send};

use super::Tag;
use super::auth::Signed;
use super::body::Body;
use super::idempotency::{Idempotent, answered};
use super::messages::reply_only;
use super::version::Accepted;
use super::views::outbound::{NewOutboundBody, OutboundView, Recipient};
use crate::http::problem::{Making, Refused};
use crate::state::State;

pub(crate) struct OutboundApi(pub(super) Arc<State>);

#[OpenApi(tag = "Tag::Messages")]
impl OutboundApi {
    /// Reach a person
    ///
    /// Finds the contact or makes it, opens the conversation on the channel, and sends: in one step, or not at all. A message
    /// that nothing permits leaves nothing behind, no contact either. Of several contacts with one phone number or email
    /// address it takes the one that the channel knows, else one that is blocked, else the oldest.
    #[oai(
        path = "/outbound",
        method = "post",
        operation_id = "reachPerson",
        request_header(
            name = "Idempotency-Key",
            ty = "String",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn reach(
        &self,
        signed: Signed,
        key: Idempotent,
        body: Body<NewOutboundBody>,
    ) -> Result<Accepted<OutboundView>, Refused<Making>> {
        let (desk, caller) = (&self.0.desk, signed.caller());
        let once = key.required()?.once(caller, 202, |sent| OutboundView::from(sent));
        let NewOutboundBody { channel, to, contact, message } = body.0;
        let account = channel.into();
        let target = match Recipient::of(to, contact)? {
            Recipient::Contact(contact) => Target::Contact { contact: contact.into(), account },
            Recipient::Person(person) => Target::Person { person, account },
        };
        let draft = reply_only(message)?.into_draft()?;
        let sent = send(desk, caller, target, draft, once).await;
        let (view, replayed) = answered(sent, |sent| OutboundView::from(sent))?;
        Ok(Accepted::Accepted(view, replayed))
    }
}
