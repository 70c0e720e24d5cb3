//! A number at work: the only code here that talks to the network.

use async_trait::async_trait;
use transom_channel::{
    AccountInfo, Answer, Capabilities, Channel, Inbound, MediaSourceOf, OutboundPart, ParseError, PlannedPart,
    PlatformReport, Ports, RawInbound, Receipt, SendError, TemplateCatalog, Unsendable, VerifyError, WebhookCall,
};
use transom_domain::{Content, TemplateDefinition};
use transom_meta::Graph;

use crate::config::{Config, Number};
use crate::error::{self, About, MESSAGING_LIMIT};
use crate::inbound::Tier;
use crate::media::Files;
use crate::wire::{PhoneNode, Sent};
use crate::{capabilities, inbound, outbound};

/// What is asked about a number.
const PHONE_FIELDS: &str = "id,display_phone_number,verified_name,whatsapp_business_manager_messaging_limit";
/// What is asked about a template.
const TEMPLATE_FIELDS: &str = "id,name,language,status,category,components,parameter_format";
/// A verified portfolio has up to 6,000 templates (whatsapp.md 1.2); at 100 a page this leaves room.
const MOST_PAGES: usize = 100;

/// One business phone number. `Debug` shows no secret.
#[derive(Debug)]
pub(crate) struct Client {
    config: Config,
    capabilities: Capabilities,
    graph: Graph,
    files: Files,
    ports: Ports,
}

impl Client {
    pub(crate) fn new(config: Config, ports: &Ports) -> Self {
        let graph = Graph::new(ports, &config.base, config.app.version, config.app.access_token.clone());
        let files = Files::new(graph.clone(), config.number.clone(), ports.clone());
        Self { config, capabilities: capabilities::capabilities(), graph, files, ports: ports.clone() }
    }

    fn number(&self) -> Result<&Number, SendError> {
        self.config.number.as_ref().ok_or_else(|| SendError::AccountStopped {
            report: PlatformReport {
                message: "no number is connected: set phone_number_id and waba_id".to_owned(),
                ..PlatformReport::default()
            },
        })
    }

    /// An upload takes time, and a permit ends: what became too late does not leave, and is decided anew.
    fn check_permit(&self, part: &OutboundPart) -> Result<(), SendError> {
        match part.permit().send_before() {
            Some(end) if self.ports.clock.now() >= end => Err(SendError::Temporary {
                report: PlatformReport {
                    message: "the permit ended while the file was uploaded".to_owned(),
                    ..PlatformReport::default()
                },
            }),
            _ => Ok(()),
        }
    }

    /// A part must be one that plan made: whole, and within the limits.
    fn check_part(content: &Content) -> Result<(), Unsendable> {
        match outbound::plan(content)?.as_slice() {
            [part] if part.content == *content => Ok(()),
            parts => Err(Unsendable::TooMany { what: "requests for one part", count: parts.len(), max: 1 }),
        }
    }
}

#[async_trait]
impl Channel for Client {
    /// The business account that holds the number: notices are about all of its numbers.
    fn group_key(&self) -> Option<String> {
        self.config.number.as_ref().map(|number| number.waba_id.clone())
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn plan(&self, content: &Content) -> Result<Vec<PlannedPart>, Unsendable> {
        outbound::plan(content)
    }

    async fn send(&self, part: &OutboundPart) -> Result<Receipt, SendError> {
        let number = self.number()?;
        Self::check_part(part.content()).map_err(|error| error::unsendable(&error))?;
        let to = outbound::addressee(part.to(), part.content()).map_err(|error| error::unsendable(&error))?;
        let file = outbound::file_of(part.content());
        let reference = match file {
            Some(file) => {
                let reference = self.files.reference(number, file).await?;
                self.check_permit(part)?;
                Some(reference)
            }
            None => None,
        };
        let request = outbound::request(part, to, reference).map_err(|error| error::unsendable(&error))?;
        let about =
            About { category: part.template().map(|template| template.category.as_str()), attempt: part.attempt() };
        let sent: Sent =
            self.graph.post(&format!("{}/messages", number.phone_number_id), &request).await.map_err(|failure| {
                failure.of_send(|refusal| {
                    self.files.doubt(file, refusal);
                    error::classify(refusal, about)
                })
            })?;
        receipt(sent)
    }

    fn verify(&self, call: &WebhookCall<'_>) -> Result<Answer, VerifyError> {
        self.config.app.hub.verify(call)
    }

    fn parse(&self, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
        inbound::parse(raw, self.config.number.as_ref())
    }

    fn templates(&self) -> Option<&dyn TemplateCatalog> {
        self.config.number.is_some().then_some(self)
    }

    fn media(&self) -> Option<&dyn MediaSourceOf> {
        Some(&self.files)
    }

    async fn check(&self) -> Result<AccountInfo, SendError> {
        let number = self.number()?;
        let node: PhoneNode = self
            .graph
            .get(&number.phone_number_id, &[("fields", PHONE_FIELDS)])
            .await
            .map_err(|failure| failure.of_read(|refusal| error::classify(refusal, About::default())))?;
        let tier = node.whatsapp_business_manager_messaging_limit.as_ref().and_then(Tier::read);
        Ok(AccountInfo {
            name: match (node.verified_name, node.display_phone_number) {
                (Some(name), Some(number)) => Some(format!("{name} ({number})")),
                (name, number) => name.or(number),
            },
            external_key: Some(node.id.unwrap_or_else(|| number.phone_number_id.clone())),
            limits: tier.map(|tier| (MESSAGING_LIMIT.to_owned(), tier.limit())).into_iter().collect(),
            at: Some(self.ports.clock.now()),
        })
    }
}

#[async_trait]
impl TemplateCatalog for Client {
    async fn list(&self) -> Result<Vec<TemplateDefinition>, SendError> {
        let path = format!("{}/message_templates", self.number()?.waba_id);
        let entries = self
            .graph
            .list(&path, &[("fields", TEMPLATE_FIELDS), ("limit", "100")], MOST_PAGES)
            .await
            .map_err(|failure| failure.of_read(|refusal| error::classify(refusal, About::default())))?;
        let listed = entries.len();
        let definitions: Vec<_> = entries.iter().filter_map(transom_meta::template::definition).collect();
        if definitions.len() < listed {
            tracing::warn!(left_out = listed - definitions.len(), "templates without an id, a name or a language");
        }
        Ok(definitions)
    }
}

/// What the platform answered when it accepted. Without an id nothing was said that could be relied on.
fn receipt(sent: Sent) -> Result<Receipt, SendError> {
    let Some(message) = sent.messages.into_iter().next().filter(|message| !message.id.is_empty()) else {
        return Err(SendError::OutcomeUnknown { detail: "an answer without a message id".to_owned() });
    };
    let learned = sent.contacts.first().map(|to| inbound::addresses(to.user_id.as_deref(), to.wa_id.as_deref()));
    Ok(Receipt {
        provider_id: Some(message.id),
        learned: learned.unwrap_or_default(),
        held: message.message_status.is_some_and(|status| !status.eq_ignore_ascii_case("accepted")),
        ..Receipt::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};
    use transom_domain::Address;

    fn read(answer: Value) -> Result<Receipt, SendError> {
        receipt(serde_json::from_value(answer).unwrap())
    }

    #[rstest]
    #[case(json!("accepted"), false)]
    #[case(json!("held_for_quality_assessment"), true)]
    #[case(json!("paused"), true)]
    #[case(Value::Null, false)]
    fn what_is_held_says_so(#[case] status: Value, #[case] held: bool) {
        let receipt = read(json!({"messages": [{"id": "wamid.1", "message_status": status}]})).unwrap();
        assert_eq!((receipt.provider_id.as_deref(), receipt.held), (Some("wamid.1"), held));
    }

    #[test]
    fn the_answer_teaches_addresses() {
        let contacts = json!([{"input": "+5511999990001", "wa_id": "551199990001", "user_id": "BR.8800000000000001"}]);
        let receipt = read(json!({"contacts": contacts, "messages": [{"id": "wamid.1"}]})).unwrap();
        assert_eq!(
            receipt.learned,
            [Address::new("bsuid", "BR.8800000000000001"), Address::new("phone", "+551199990001")]
        );
    }

    #[rstest]
    #[case(json!({"messages": []}))]
    #[case(json!({"messages": [{"id": ""}]}))]
    fn an_answer_without_an_id_is_no_receipt(#[case] answer: Value) {
        assert!(matches!(read(answer), Err(SendError::OutcomeUnknown { .. })));
    }
}
