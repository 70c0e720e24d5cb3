//! An account at work: the only code here that talks to the network.

use async_trait::async_trait;
use transom_channel::{
    AccountInfo, Answer, Capabilities, Channel, Inbound, MediaBytes, MediaError, MediaSourceOf, OutboundPart,
    ParseError, PlannedPart, PlatformReport, Ports, Profiles, RawInbound, Receipt, SendError, Unsendable, VerifyError,
    WebhookCall,
};
use transom_domain::{Attachment, Body, Content, Identity, Profile};
use transom_meta::messaging::{self, About, Files, NodeToken, Recipient, Right, Sent};
use transom_meta::{Graph, GraphFailure, Refusal, envelope};
use transom_windows::Sender;

use crate::capabilities::{self, IGSID};
use crate::config::{Config, Login};
use crate::token::OwnToken;
use crate::wire::{AccountNode, PersonNode, Thread};
use crate::{error, inbound, outbound};

/// What is asked about a person.
const PERSON_FIELDS: &str = "name,username,profile_pic";
/// A token that ended, for any reason.
const TOKEN_ENDED: i64 = 190;

/// One professional account. `Debug` shows no secret.
#[derive(Debug)]
pub(crate) struct Client {
    config: Config,
    capabilities: Capabilities,
    /// With the connection's token.
    graph: Graph,
    voice: Voice,
    files: Files,
    ports: Ports,
}

/// Whose token speaks.
#[derive(Debug)]
enum Voice {
    /// That of the Page that the account is linked to.
    Page(NodeToken),
    /// The account's own, which is renewed.
    Own(Box<OwnToken>),
}

impl Client {
    pub(crate) fn new(config: Config, ports: &Ports) -> Self {
        let graph = Graph::new(ports, &config.base, config.app.version, config.app.access_token.clone());
        let (voice, fields): (_, &[(&str, &str)]) = match config.login {
            // The Page's uploads are for either platform, and must say for which (instagram.md 6).
            Login::Facebook => (Voice::Page(NodeToken::new(graph.clone())), &[("platform", "instagram")]),
            Login::Instagram => {
                let own = OwnToken::new(graph.clone(), config.app.access_token.clone(), ports.clone());
                (Voice::Own(Box::new(own)), &[])
            }
        };
        Self {
            capabilities: capabilities::capabilities(config.quotes, config.metadata),
            graph,
            voice,
            files: Files::by_url(ports.clone(), fields),
            ports: ports.clone(),
            config,
        }
    }

    /// The client that speaks for the account.
    async fn own(&self) -> Result<Graph, SendError> {
        match &self.voice {
            Voice::Page(token) => token.graph(&self.config.account.node).await.map_err(unread),
            Voice::Own(token) => token.graph().await,
        }
    }

    /// The token in use has ended: look for another. Whether one may be found; the account's own only a person can replace.
    fn forget_token(&self, used: &Graph) -> bool {
        match &self.voice {
            Voice::Page(token) => token.refused(used),
            Voice::Own(token) => {
                token.reject();
                false
            }
        }
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

    /// What a refusal teaches about our own means, before it is classified.
    async fn learn(
        &self,
        refusal: &Refusal,
        graph: &Graph,
        part: &OutboundPart,
        right: Right<'_>,
        files: &[Attachment],
    ) {
        self.files.doubt(files, refusal);
        // Another app has the thread: a person's message takes it over, so that the next attempt goes through. A bot does not
        // take threads from anybody.
        let is_persons = part.permit().sender() == Sender::Human && part.attempt() <= 1;
        let is_known = matches!(right.recipient(), Recipient::Id(_));
        if is_known && is_persons && messaging::is_thread_control(refusal) {
            let path = format!("{}/take_thread_control", self.config.account.node);
            let asked: Result<serde_json::Value, GraphFailure> =
                graph.post(&path, &Thread { recipient: right.recipient() }).await;
            if asked.is_err() {
                tracing::warn!("another app has the thread and keeps it");
            }
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
        let account = &self.config.account;
        self.check_part(part.content()).map_err(|error| error::unsendable(&error))?;
        let right = Right::of(part, IGSID).map_err(|error| error::unsendable(&error))?;
        let about = About { attempt: part.attempt(), private_reply: right.is_private_reply() };
        let files: &[Attachment] = match &part.content().body {
            Body::Text { attachments, .. } => attachments,
            _ => &[],
        };
        let graph = self.own().await?;
        let table = |refusal: &Refusal| error::classify(refusal, about);
        let references =
            self.files.references(&graph, &account.node, (files, part.accepted()), &self.capabilities, table).await?;
        let request = outbound::request(part, right, references, self.config.metadata)
            .map_err(|error| error::unsendable(&error))?;
        self.check_permit(part)?;
        let is_action = request.is_action();
        match graph.post::<Sent>(&format!("{}/messages", account.node), &request).await {
            Ok(sent) => {
                if let Voice::Page(token) = &self.voice {
                    token.accepted();
                }
                messaging::receipt(sent, is_action, IGSID)
            }
            Err(failure) => {
                if let GraphFailure::Refused(refusal) = &failure {
                    self.learn(refusal, &graph, part, right, files).await;
                    if refusal.error.code == TOKEN_ENDED && self.forget_token(&graph) {
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
        inbound::parse(raw, &self.config.account.id)
    }

    fn profiles(&self) -> Option<&dyn Profiles> {
        Some(self)
    }

    fn media(&self) -> Option<&dyn MediaSourceOf> {
        Some(self)
    }

    async fn check(&self) -> Result<AccountInfo, SendError> {
        let account = &self.config.account;
        let (path, fields) = match self.config.login {
            Login::Facebook => (account.id.as_str(), "id,username"),
            // `id` is the app's own word for the account here; webhooks say `user_id` (instagram.md 5).
            Login::Instagram => ("me", "user_id,username"),
        };
        let graph = self.own().await?;
        let node: AccountNode = graph.get(path, &[("fields", fields)]).await.map_err(|failure| {
            if matches!(&failure, GraphFailure::Refused(refusal) if refusal.error.code == TOKEN_ENDED) {
                self.forget_token(&graph);
            }
            unread(failure)
        })?;
        let id = node.user_id.or(node.id).as_ref().and_then(envelope::text);
        Ok(AccountInfo {
            name: node.username,
            external_key: Some(id.unwrap_or_else(|| account.id.clone())),
            limits: Vec::new(),
            at: Some(self.ports.clock.now()),
        })
    }
}

#[async_trait]
impl Profiles for Client {
    /// Refused where the person gave no consent: a mere comment is none (instagram.md 5).
    async fn fetch(&self, identity: &Identity) -> Result<Profile, SendError> {
        let igsid = identity.address(IGSID).filter(|id| is_id(id)).ok_or_else(|| {
            let report = PlatformReport {
                message: "there is no Instagram-scoped id to ask about".to_owned(),
                ..PlatformReport::default()
            };
            SendError::Unreachable { report }
        })?;
        let graph = self.own().await?;
        let node: PersonNode = graph.get(igsid, &[("fields", PERSON_FIELDS)]).await.map_err(unread)?;
        Ok(Profile {
            name: node.name.filter(|name| !name.is_empty()),
            username: node.username.map(|name| name.trim_start_matches('@').to_owned()),
            picture_url: node.profile_pic,
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
