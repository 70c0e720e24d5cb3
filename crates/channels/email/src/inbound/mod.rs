//! From mail to items.
use transom_channel::{Answer, Inbound, ParseError, RawInbound, VerifyError, WebhookCall};

use crate::config::{Config, InboundParse};

pub(crate) fn verify(_parse: Option<&InboundParse>, _call: &WebhookCall<'_>) -> Result<Answer, VerifyError> {
    Err(VerifyError::NoSecret)
}

pub(crate) fn parse(_config: &Config, _raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
    Err(ParseError::new("not a mail"))
}
