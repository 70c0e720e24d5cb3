//! A Page at work: the only code here that talks to the network.

use async_trait::async_trait;
use transom_channel::{
    AccountInfo, Answer, Capabilities, Channel, Inbound, MediaBytes, MediaError, MediaSourceOf, OutboundPart,
    ParseError, PlannedPart, PlatformReport, Ports, Profiles, RawInbound, Receipt, SendError, TemplateCatalog,
    Unsendable, VerifyError, WebhookCall,
};
use transom_domain::{Attachment, Body, Content, Identity, Profile, TemplateDefinition};
use transom_meta::messaging::{self, About, Files, NodeToken, Recipient, Right, Sent};
use transom_meta::{Graph, GraphFailure, Refusal, envelope};
use transom_windows::Sender;

use crate::capabilities::{self, PSID};
use crate::config::Config;
use crate::wire::{PageNode, PersonNode, Thread};
use crate::{error, inbound, outbound, template};

/// What is asked about a person; language, time zone and gender need permissions of their own (messenger.md 5).
const PERSON_FIELDS: &str = "name,first_name,last_name,profile_pic";
/// What is asked about a template.
const TEMPLATE_FIELDS: &str = "id,name,language,status,category,components";
/// No Page has so many templates, at 100 a page of the list.
const MOST_PAGES: usize = 100;
/// A token that ended, for any reason.
const TOKEN_ENDED: i64 = 190;

/// One Page. `Debug` shows no secret.
#[derive(Debug)]
pub(crate) struct Client {
    config: Config,
    capabilities: Capabilities,
    /// With the connection's token.
    graph: Graph,
    token: NodeToken,
    files: Files,
    ports: Ports,
}

impl Client {
    pub(crate) fn new(config: Config, ports: &Ports) -> Self {
        let graph = Graph::new(ports, &config.base, config.app.version, config.app.access_token.clone());
        Self {
            capabilities: capabilities::capabilities(config.reactions),
            token: NodeToken::new(graph.clone()),
            graph,
            files: Files::uploaded(ports.clone(), &[]),
            ports: ports.clone(),
            config,
        }
    }

    /// The client that speaks for the Page.
    async fn own(&self) -> Result<Graph, SendError> {
        self.token.graph(&self.config.page_id).await.map_err(unread)
    }

    /// An upload takes time, and a permit ends: what became too late does not leave, and is decided anew.
    fn check_permit(&self, part: &OutboundPart) -> Result<(), SendError> {
        match part.permit().send_before() {
            Some(end) if self.ports.clock.now() >= end => Err(SendError::Temporary {
                report: PlatformReport {
                    message: "the permit ended while the message was made ready".to_owned(),
                    ..PlatformReport::default()
                },
            }),
            _ => Ok(()),
        }
    }

    fn check_part(&self, content: &Content) -> Result<(), Unsendable> {
        messaging::check_part(content, &outbound::plan(content, &self.capabilities)?)
    }

    /// Another app has the thread: a person's message takes it over, so that the next attempt goes through. A bot does not
    /// take threads from anybody.
    async fn take_thread(&self, graph: &Graph, page: &str, right: Right<'_>) {
        let Recipient::Id(_) = right.recipient() else { return };
        let asked: Result<serde_json::Value, GraphFailure> =
            graph.post(&format!("{page}/take_thread_control"), &Thread { recipient: right.recipient() }).await;
        if asked.is_err() {
            tracing::warn!("another app has the thread and keeps it");
        }
    }
}

fn unread(failure: GraphFailure) -> SendError {
    failure.of_read(|refusal| error::classify(refusal, About::default()))
}

#[async_trait]
impl Channel for Client {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn plan(&self, content: &Content) -> Result<Vec<PlannedPart>, Unsendable> {
        outbound::plan(content, &self.capabilities)
    }

    async fn send(&self, part: &OutboundPart) -> Result<Receipt, SendError> {
        let page = self.config.page_id.as_str();
        self.check_part(part.content()).map_err(|error| error::unsendable(&error))?;
        let right = Right::of(part, PSID).map_err(|error| error::unsendable(&error))?;
        let about = About { attempt: part.attempt(), private_reply: right.is_private_reply() };
        let files: &[Attachment] = match &part.content().body {
            Body::Text { attachments, .. } => attachments,
            _ => &[],
        };
        let graph = self.own().await?;
        let table = |refusal: &Refusal| error::classify(refusal, about);
        let references =
            self.files.references(&graph, page, (files, part.accepted()), &self.capabilities, table).await?;
        let request = outbound::request(part, right, references).map_err(|error| error::unsendable(&error))?;
        self.check_permit(part)?;
        let is_action = request.is_action();
        match graph.post::<Sent>(&format!("{page}/messages"), &request).await {
            Ok(sent) => {
                self.token.accepted();
                messaging::receipt(sent, is_action, PSID)
            }
            Err(failure) => {
                if let GraphFailure::Refused(refusal) = &failure {
                    self.files.doubt(files, refusal);
                    let is_persons = part.permit().sender() == Sender::Human;
                    if is_persons && about.is_first() && messaging::is_thread_control(refusal) {
                        self.take_thread(&graph, page, right).await;
                    }
                    if refusal.error.code == TOKEN_ENDED && self.token.refused(&graph) {
                        return Err(messaging::again_with_another_token(failure.of_send(table)));
                    }
                }
                Err(failure.of_send(table))
            }
        }
    }

    fn verify(&self, call: &WebhookCall<'_>) -> Result<Answer, VerifyError> {
        self.config.app.hub.verify(call)
    }

    fn parse(&self, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
        inbound::parse(raw, &self.config.page_id)
    }

    fn templates(&self) -> Option<&dyn TemplateCatalog> {
        Some(self)
    }

    fn profiles(&self) -> Option<&dyn Profiles> {
        Some(self)
    }

    fn media(&self) -> Option<&dyn MediaSourceOf> {
        Some(self)
    }

    async fn check(&self) -> Result<AccountInfo, SendError> {
        let page = self.config.page_id.as_str();
        let node: PageNode = self.own().await?.get(page, &[("fields", "id,name")]).await.map_err(unread)?;
        let id = node.id.as_ref().and_then(envelope::text);
        Ok(AccountInfo {
            name: node.name,
            external_key: Some(id.unwrap_or_else(|| page.to_owned())),
            limits: Vec::new(),
            at: Some(self.ports.clock.now()),
        })
    }
}

#[async_trait]
impl TemplateCatalog for Client {
    async fn list(&self) -> Result<Vec<TemplateDefinition>, SendError> {
        let page = self.config.page_id.as_str();
        let path = format!("{page}/message_templates");
        let query = [("fields", TEMPLATE_FIELDS), ("limit", "100")];
        let entries = self.own().await?.list(&path, &query, MOST_PAGES).await.map_err(unread)?;
        let listed = entries.len();
        let definitions: Vec<_> = entries.iter().filter_map(template::definition).collect();
        if definitions.len() < listed {
            tracing::warn!(left_out = listed - definitions.len(), "templates without an id, a name or a language");
        }
        Ok(definitions)
    }
}

#[async_trait]
impl Profiles for Client {
    /// Empty where the person gave no consent: not after a mere comment, advertisement click or Checkbox (messenger.md 5).
    async fn fetch(&self, identity: &Identity) -> Result<Profile, SendError> {
        let psid = identity.address(PSID).filter(|id| is_id(id)).ok_or_else(|| {
            let report = PlatformReport {
                message: "there is no page-scoped id to ask about".to_owned(),
                ..PlatformReport::default()
            };
            SendError::Unreachable { report }
        })?;
        let graph = self.own().await?;
        let node: PersonNode = graph.get(psid, &[("fields", PERSON_FIELDS)]).await.map_err(unread)?;
        Ok(Profile {
            name: node.name,
            first_name: node.first_name,
            last_name: node.last_name,
            picture_url: node.profile_pic,
            language: node.locale.map(|locale| locale.replace('_', "-")),
            ..Profile::default()
        })
    }
}

/// Ids are digits; whatever they become, they stay one segment of a path.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[async_trait]
impl MediaSourceOf for Client {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<MediaBytes, MediaError> {
        Files::download(&self.graph, attachment, max_bytes).await
    }
}
