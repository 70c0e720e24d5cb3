//! The desk's side of platforms that the service hosts itself: what their routes may ask of it, and no more.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use transom_channel::{Acquaintance, Exchanged, Exchanger, Host, HostError, KeptFile, NewFile, Site};
use transom_domain::{
    Address, AttachmentId, Author, ChannelAccount, ChannelAccountId, Direction, Identity, MessageId, MessageKind,
};
use transom_storage::{NewAttachment, Reader, StorageError, StoredMessage, WorkspaceScope};
use url::Url;

use crate::attachments::{Files, mime_of, plain_name, sniff_mime};
use crate::receive::{self, WebhookRefused};
use crate::registry::stored_settings;
use crate::{Desk, DeskError, signature, typing};

/// How long a site is known before its settings are looked at again.
const FRESH_FOR: Duration = Duration::seconds(5);

/// The desk as hosted platforms see it.
pub struct Hosting {
    desk: Desk,
    base_url: Url,
    stop: CancellationToken,
    sites: Mutex<HashMap<(String, Option<String>), Known>>,
}

#[derive(Clone)]
struct Known {
    site: Site,
    scope: WorkspaceScope,
    account: ChannelAccountId,
    platform: &'static str,
    looked_at: OffsetDateTime,
}

impl Hosting {
    /// A service that is reached at `base_url`, until `stop`.
    pub fn new(desk: Desk, base_url: Url, stop: CancellationToken) -> Self {
        Self { desk, base_url, stop, sites: Mutex::default() }
    }

    async fn find(&self, platform: &str, key: &str, account: Option<&str>) -> Result<Option<Known>, DeskError> {
        let (desk, now) = (&self.desk, self.desk.now());
        let place = (key.to_owned(), account.map(str::to_owned));
        if let Some(known) = self.known(&place).filter(|known| is_fresh(known.looked_at, now)) {
            return Ok((known.platform == platform).then_some(known));
        }
        let Some((scope, connection)) = desk.channels().address(desk.storage(), key).await? else { return Ok(None) };
        let Some(platform) = desk.registry().get(platform) else { return Ok(None) };
        let reader = desk.reader(&scope);
        let usable = |found: &ChannelAccount| {
            found.platform == platform.name()
                && found.enabled
                && found.suspended.is_none()
                && found.removed_at.is_none()
        };
        let mut accounts: Vec<ChannelAccount> =
            reader.accounts_of(connection).await?.into_iter().filter(usable).collect();
        if let Some(account) = account {
            accounts.retain(|found| found.external_key == account);
        }
        // Of several, the one that is meant has to be named.
        let [found] = accounts.as_slice() else {
            self.sites().remove(&place);
            return Ok(None);
        };
        let site = Site {
            key: key.to_owned(),
            account: found.external_key.clone(),
            name: found.name.clone(),
            settings: stored_settings(&reader, connection, Some(found)).await?,
            ports: desk.channels().ports_of(&scope, connection),
        };
        let known = Known { site, scope, account: found.id, platform: platform.name(), looked_at: now };
        self.sites().insert(place, known.clone());
        Ok(Some(known))
    }

    fn sites(&self) -> std::sync::MutexGuard<'_, HashMap<(String, Option<String>), Known>> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, place: &(String, Option<String>)) -> Option<Known> {
        self.sites().get(place).cloned()
    }

    /// Where a site's rows are. It was found here before, so it is known, however old that is.
    fn place(&self, site: &Site) -> Result<(WorkspaceScope, ChannelAccountId), HostError> {
        let of_site = |known: &&Known| known.site.key == site.key && known.site.account == site.account;
        let found = self.sites().values().find(of_site).map(|known| (known.scope.clone(), known.account));
        found.ok_or_else(|| HostError::Refused("there is no such site".to_owned()))
    }

    async fn person(
        &self,
        reader: &Reader,
        account: ChannelAccountId,
        addresses: &[Address],
    ) -> Result<Option<Identity>, StorageError> {
        for Address { kind, value } in addresses {
            if let Some(identity) = reader.identity_by_address(account, kind, value).await? {
                return Ok(Some(identity));
            }
        }
        Ok(None)
    }

    fn files(&self) -> Result<&Files, HostError> {
        self.desk.files().ok_or_else(|| HostError::Refused("this service keeps no files".to_owned()))
    }
}

impl fmt::Debug for Hosting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosting").field("base_url", &self.base_url.as_str()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Host for Hosting {
    async fn site(&self, platform: &str, key: &str, account: Option<&str>) -> Result<Option<Site>, HostError> {
        Ok(self.find(platform, key, account).await.map_err(of_desk)?.map(|known| known.site))
    }

    async fn report(&self, key: &str, headers: HeaderMap, body: Bytes) -> Result<(), HostError> {
        let mut url = self.base_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("webhooks").push(key);
        }
        match receive::accept(&self.desk, key, &Method::POST, &url, &headers, body).await {
            Ok(_) => Ok(()),
            Err(WebhookRefused::Failed(error)) => Err(of_desk(error)),
            Err(refused) => Err(HostError::Refused(refused.to_string())),
        }
    }

    async fn typing(&self, site: &Site, addresses: &[Address], on: bool) -> Result<(), HostError> {
        let (scope, account) = self.place(site)?;
        match self.person(&self.desk.reader(&scope), account, addresses).await.map_err(of_storage)? {
            Some(identity) => typing::heard(&self.desk, &scope, &identity, on).await.map_err(of_storage),
            None => Ok(()),
        }
    }

    async fn acquaintance(&self, site: &Site, addresses: &[Address]) -> Result<Option<Acquaintance>, HostError> {
        let (scope, account) = self.place(site)?;
        let reader = self.desk.reader(&scope);
        let Some(identity) = self.person(&reader, account, addresses).await.map_err(of_storage)? else {
            return Ok(None);
        };
        let contact = reader.contact(identity.contact).await.map_err(of_storage)?;
        let blocked = contact.is_some_and(|stored| stored.contact.blocked);
        let stored = reader.conversation_of(identity.id, "").await.map_err(of_storage)?;
        let conversation = stored.map(|stored| {
            (stored.conversation.status, stored.conversation.assignment != transom_domain::Assignment::NONE)
        });
        Ok(Some(Acquaintance { blocked, conversation }))
    }

    async fn history(
        &self,
        site: &Site,
        addresses: &[Address],
        before: Option<MessageId>,
        limit: u16,
    ) -> Result<Vec<Exchanged>, HostError> {
        let (scope, account) = self.place(site)?;
        let reader = self.desk.reader(&scope);
        let Some(identity) = self.person(&reader, account, addresses).await.map_err(of_storage)? else {
            return Ok(Vec::new());
        };
        let Some(conversation) = reader.conversation_of(identity.id, "").await.map_err(of_storage)? else {
            return Ok(Vec::new());
        };
        let before = match before {
            None => None,
            Some(id) => match reader.message(id).await.map_err(of_storage)? {
                Some(stored) if stored.message.conversation == conversation.conversation.id => {
                    Some((stored.message.at, id))
                }
                // Of somebody else, or of nobody: both sound the same.
                _ => return Err(HostError::Refused("there is no such message".to_owned())),
            },
        };
        let (mut found, mut from) = (Vec::new(), before);
        // Notes and what never left are skipped: a page of them has to be followed by the next.
        while found.len() < usize::from(limit) {
            let page =
                reader.messages(conversation.conversation.id, from, u32::from(limit)).await.map_err(of_storage)?;
            from = page.last().map(|stored| (stored.message.at, stored.message.id));
            let is_last = page.len() < usize::from(limit);
            for stored in page {
                // The parts of a message stay together: the next page begins with another message.
                if found.len() < usize::from(limit) {
                    found.extend(exchanged(stored));
                }
            }
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    async fn keep(&self, site: &Site, file: NewFile, accepted: &[&str]) -> Result<KeptFile, HostError> {
        let (scope, _) = self.place(site)?;
        let (files, size) = (self.files()?, file.bytes.len() as u64);
        if size > files.max_bytes {
            return Err(HostError::TooLarge { max: files.max_bytes });
        }
        let mime = sniff_mime(&file.bytes, file.mime.as_deref());
        if file.bytes.is_empty() || !accepted.contains(&mime.as_str()) {
            return Err(HostError::MediaType { mime });
        }
        let blob = files.blobs.put(&scope, file.bytes).await.map_err(|error| of_storage(error.into()))?;
        let new = NewAttachment {
            id: AttachmentId::new(self.desk.ids()),
            blob,
            mime: mime.clone(),
            file_name: file.file_name.as_deref().and_then(plain_name),
            uploaded_by: None,
        };
        let kept = KeptFile { id: new.id, mime, file_name: new.file_name.clone(), size };
        let now = self.desk.now();
        let stored = self.desk.storage().transact::<_, StorageError, _>(&scope, move |tx| {
            let new = new.clone();
            Box::pin(async move { tx.insert_attachment(&new, now).await })
        });
        stored.await.map_err(of_storage)?;
        Ok(kept)
    }

    async fn kept(&self, site: &Site, file: AttachmentId) -> Result<Option<KeptFile>, HostError> {
        let (scope, _) = self.place(site)?;
        let stored = self.desk.reader(&scope).attachment(file).await.map_err(of_storage)?;
        Ok(stored.and_then(|stored| {
            let size = stored.blob?.size;
            Some(KeptFile { id: stored.id, mime: mime_of(&stored), file_name: stored.file_name, size })
        }))
    }

    fn file_url(&self, site: &Site, file: AttachmentId) -> Option<Url> {
        let (scope, _) = self.place(site).ok()?;
        let public_id = self.desk.storage().public_file_id(&scope, file);
        Some(self.desk.files()?.links.url(&self.base_url, &public_id, self.desk.now()))
    }

    fn base_url(&self) -> &Url {
        &self.base_url
    }

    fn stopping(&self) -> BoxFuture<'static, ()> {
        self.stop.clone().cancelled_owned().boxed()
    }
}

/// A message as its parts went out; one that came in is one.
fn exchanged(stored: StoredMessage) -> Vec<Exchanged> {
    let StoredMessage { message, provider_id, parts, unsent_at, extra, .. } = stored;
    if message.kind != MessageKind::Reply || unsent_at.is_some() {
        return Vec::new();
    }
    let from = match (&message.direction, &message.author) {
        (Direction::Inbound, _) => Exchanger::Visitor,
        (_, Author::Actor(actor)) if actor.is_person() => Exchanger::Agent,
        _ => Exchanger::Bot,
    };
    let (id, at) = (message.id, message.at);
    let sender_name = signature::kept(&extra);
    let one = |provider_id, content| Exchanged {
        message: id,
        provider_id,
        from,
        sender_name: sender_name.clone(),
        content,
        at,
    };
    match message.direction {
        Direction::Internal => Vec::new(),
        Direction::Inbound => provider_id.map(|provider_id| one(provider_id, message.content)).into_iter().collect(),
        // The newest first, so the last part comes first. One that the platform never took has no name there.
        Direction::Outbound => {
            parts.into_iter().rev().filter_map(|part| Some(one(part.part.provider_id?, part.part.content))).collect()
        }
    }
}

fn is_fresh(looked_at: OffsetDateTime, now: OffsetDateTime) -> bool {
    (Duration::ZERO..FRESH_FOR).contains(&(now - looked_at))
}

fn of_desk(error: DeskError) -> HostError {
    match error {
        DeskError::Storage(error) => of_storage(error),
        other => HostError::Refused(other.to_string()),
    }
}

fn of_storage(error: StorageError) -> HostError {
    tracing::warn!(%error, "a hosted platform's request failed in the storage");
    HostError::Unavailable(error.code().to_owned())
}
