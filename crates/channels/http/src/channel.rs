//! A connected account.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use time::OffsetDateTime;
use transom_channel::{
    AccountInfo, Answer, Capabilities, Channel, Inbound, MediaBytes, MediaError, MediaPort, MediaSourceOf,
    OutboundPart, ParseError, PlannedPart, PlatformReport, Ports, RawInbound, Receipt, SendError, TemplateCatalog,
    Unsendable, VerifyError, WebhookCall,
};
use transom_domain::template::HeaderParameter;
use transom_domain::{Attachment, Body, Clock, Content, MediaSource, TemplateDefinition, TemplateMessage};
use transom_windows::Basis;

use crate::capabilities::capabilities;
use crate::client::Peer;
use crate::config::Config;
use crate::signing::Key;
use crate::wire::{self, Header, Media, Permit, Request, Send, Template};
use crate::{inbound, outbound, signing};

#[derive(Debug)]
pub(crate) struct Http {
    account: String,
    capabilities: Capabilities,
    peer: Peer,
    hearing: Hearing,
    media: Arc<dyn MediaPort>,
    clock: Arc<dyn Clock>,
}

/// What calls are checked with.
struct Hearing(Vec<Key>);

impl std::fmt::Debug for Hearing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

impl Http {
    pub(crate) fn new(config: Config, ports: &Ports) -> Self {
        Self {
            capabilities: capabilities(&config),
            peer: Peer::new(ports, config.endpoint, config.signing),
            hearing: Hearing(config.hearing),
            account: config.account,
            media: Arc::clone(&ports.media),
            clock: Arc::clone(&ports.clock),
        }
    }

    async fn content(&self, content: &Content, accepted: OffsetDateTime) -> Result<wire::Content, SendError> {
        Ok(match &content.body {
            Body::Text { text, attachments } => match attachments.as_slice() {
                [] => wire::Content::Text { text: text.clone() },
                [file] => wire::Content::Media(self.file(file, text, accepted).await?),
                _ => return Err(invalid("not a part of a plan")),
            },
            Body::Template(template) => wire::Content::Template(Box::new(self.template(template, accepted).await?)),
            Body::Choices(choices) => wire::Content::Choices(choices.clone()),
            Body::Location(place) => wire::Content::Location(place.clone()),
            Body::Contacts { contacts } => wire::Content::Contacts { contacts: contacts.clone() },
            Body::Reaction(reaction) => wire::Content::Reaction(reaction.clone()),
            Body::Mail(_) | Body::Unsupported { .. } => return Err(invalid("not a part of a plan")),
        })
    }

    async fn file(&self, file: &Attachment, caption: &str, accepted: OffsetDateTime) -> Result<Media, SendError> {
        let url = match &file.source {
            MediaSource::Url { url } => url.clone(),
            MediaSource::Stored { id } => {
                let address = self.media.public_url(*id, accepted).await.map_err(of_media)?;
                address
                    .map(String::from)
                    .ok_or_else(|| refused("files go by their public address, and this service gives its files none"))?
            }
            MediaSource::Platform { .. } | MediaSource::Enclosed { .. } => return Err(invalid("not a file of ours")),
        };
        let caption = Some(caption.to_owned()).filter(|caption| !caption.is_empty());
        let (mime, file_name) = (file.mime.clone(), file.file_name.clone());
        Ok(Media { kind: file.kind, url, mime, file_name, size: file.size, caption })
    }

    async fn template(&self, template: &TemplateMessage, accepted: OffsetDateTime) -> Result<Template, SendError> {
        let header = match &template.parameters.header {
            None => None,
            Some(HeaderParameter::Text(values)) => Some(Header::Text(values.clone())),
            Some(HeaderParameter::Media(file)) => Some(Header::Media(self.file(file, "", accepted).await?)),
            Some(HeaderParameter::Location(place)) => Some(Header::Location(place.clone())),
        };
        Ok(Template {
            name: template.name.clone(),
            language: template.language.clone(),
            category: template.category.clone(),
            header,
            body: template.parameters.body.clone(),
            buttons: template.parameters.buttons.clone(),
            rendered: template.rendered.clone(),
        })
    }
}

#[async_trait]
impl Channel for Http {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn plan(&self, content: &Content) -> Result<Vec<PlannedPart>, Unsendable> {
        outbound::plan(content, &self.capabilities)
    }

    async fn send(&self, part: &OutboundPart) -> Result<Receipt, SendError> {
        let planned = self.plan(part.content()).map_err(|refused| invalid(refused.code()))?;
        let [one] = planned.as_slice() else { return Err(invalid("more than one request")) };
        let taken = |kind: &str| self.capabilities.addresses.iter().any(|rule| rule.kind == kind);
        let addresses = part.to().addresses.iter().filter(|address| taken(&address.kind));
        // The preferred one of a kind stands first.
        let to = addresses.rev().map(|address| (address.kind.as_str(), address.value.as_str())).collect();
        let permit = part.permit();
        let request = Send {
            account: &self.account,
            id: part.correlation(),
            to,
            permit: Permit {
                grant: permit.record().grant,
                basis: permit.basis().as_str(),
                tag: if let Basis::Tagged { tag } = permit.basis() { Some(&**tag) } else { None },
                reference: permit.reference(),
            },
            sender_name: part.sender_name(),
            reply_to: one.content.reply_to.as_deref(),
            content: self.content(&one.content, part.accepted()).await?,
        };
        if request.to.is_empty() {
            return Err(invalid("no address of this person is known"));
        }
        let answer = self.peer.send(&part.correlation(), &Request::Send(Box::new(request))).await?;
        let learned = Vec::new();
        Ok(Receipt {
            provider_id: answer.id,
            learned,
            billing: answer.billing,
            held: answer.held,
            ..Receipt::default()
        })
    }

    fn verify(&self, call: &WebhookCall<'_>) -> Result<Answer, VerifyError> {
        if call.method != Method::POST {
            return Err(VerifyError::Unexpected("events come by POST"));
        }
        signing::verify(&self.hearing.0, call)?;
        Ok(Answer::accepted())
    }

    fn parse(&self, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
        inbound::parse(&self.account, raw)
    }

    fn templates(&self) -> Option<&dyn TemplateCatalog> {
        Some(self)
    }

    fn media(&self) -> Option<&dyn MediaSourceOf> {
        Some(self)
    }

    async fn check(&self) -> Result<AccountInfo, SendError> {
        let account: wire::Account = self.peer.read(&Request::Check { account: &self.account }).await?;
        Ok(AccountInfo {
            name: account.name,
            external_key: Some(account.account),
            limits: account.limits.into_iter().collect(),
            at: Some(self.clock.now()),
        })
    }
}

#[async_trait]
impl TemplateCatalog for Http {
    async fn list(&self) -> Result<Vec<TemplateDefinition>, SendError> {
        let list: wire::Templates = self.peer.read(&Request::Templates { account: &self.account }).await?;
        Ok(list.templates)
    }
}

#[async_trait]
impl MediaSourceOf for Http {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<MediaBytes, MediaError> {
        let MediaSource::Platform { url: Some(url), .. } = &attachment.source else {
            return Err(MediaError::NotFound);
        };
        let answer = self.peer.download(url, max_bytes).await?;
        let stated = answer.header("content-type").map(|mime| mime.split(';').next().unwrap_or_default().trim());
        let stated = stated.filter(|mime| mime.contains('/')).map(str::to_ascii_lowercase);
        let mime = attachment.mime.clone().or(stated).unwrap_or_else(|| "application/octet-stream".to_owned());
        Ok(MediaBytes { bytes: answer.body, mime, file_name: attachment.file_name.clone() })
    }
}

fn of_media(error: MediaError) -> SendError {
    match error {
        // Nothing was sent: it may be there again later.
        MediaError::Unavailable(_) => SendError::Temporary { report: own_report("the file can't be read now") },
        other => refused(&other.to_string()),
    }
}

fn refused(why: &str) -> SendError {
    SendError::ContentRefused { report: own_report(why) }
}

fn invalid(why: &str) -> SendError {
    SendError::Invalid { report: own_report(why) }
}

fn own_report(why: &str) -> PlatformReport {
    PlatformReport { status: None, code: None, message: why.to_owned() }
}
