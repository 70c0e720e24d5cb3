//! Files that came in the same call as their message: the bytes are stored before the transaction, the rows in it.

use std::collections::BTreeMap;

use bytes::Bytes;
use time::OffsetDateTime;
use transom_channel::{Inbound, Item, MediaBytes};
use transom_domain::{AttachmentId, ChannelAccountId, Content, Ids, MediaSource, MessageId};
use transom_storage::{Blob, ReceivedFile, StorageError, Tx};

use super::{plain_name, received_files, sniff};

/// What a message brought along.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Brought<'m> {
    pub(crate) files: &'m [MediaBytes],
    /// The largest that is kept.
    pub(crate) max_bytes: u64,
}

impl<'m> Brought<'m> {
    /// What an item's message brought along.
    pub(crate) fn by(inbound: &'m Inbound, max_bytes: u64) -> Self {
        let files = match &inbound.item {
            Item::Message(message) | Item::Echo { message, .. } => message.enclosed.as_slice(),
            _ => &[],
        };
        Self { files, max_bytes }
    }

    /// The bytes that are to be kept.
    pub(crate) fn bytes(self) -> impl Iterator<Item = &'m Bytes> {
        let max_bytes = self.max_bytes;
        self.files.iter().filter(move |file| refusal(file, max_bytes).is_none()).map(|file| &file.bytes)
    }

    /// Makes the files of the content ours. Their [bytes](Self::bytes) are in the blob store.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn keep(
        self,
        tx: &Tx,
        ids: &dyn Ids,
        (message, account): (MessageId, ChannelAccountId),
        content: &mut Content,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let mut known: BTreeMap<u32, AttachmentId> = BTreeMap::new();
        for file in received_files(content) {
            let MediaSource::Enclosed { index } = file.source else { continue };
            let got = usize::try_from(index).ok().and_then(|index| self.files.get(index));
            let name = file.file_name.as_deref().or(got.and_then(|got| got.file_name.as_deref()));
            file.file_name = name.and_then(plain_name);
            if let Some(got) = got {
                file.mime = Some(sniff::mime(&got.bytes, Some(&got.mime)));
                file.size = Some(got.bytes.len() as u64);
            }
            let id = match known.get(&index) {
                Some(id) => *id,
                None => {
                    let new = ReceivedFile {
                        id: AttachmentId::new(ids),
                        message,
                        index,
                        account,
                        blob: match got {
                            None => Err("not_found"),
                            Some(got) => match refusal(got, self.max_bytes) {
                                Some(reason) => Err(reason),
                                None => Ok(Blob::of(&got.bytes)),
                            },
                        },
                        mime: file.mime.clone(),
                        file_name: file.file_name.clone(),
                    };
                    tx.insert_received_file(&new, now).await?;
                    known.insert(index, new.id);
                    new.id
                }
            };
            file.source = MediaSource::Stored { id };
        }
        Ok(())
    }
}

/// Why a file is not kept, in a stable word; as for what is fetched.
fn refusal(file: &MediaBytes, max_bytes: u64) -> Option<&'static str> {
    match file.bytes.len() as u64 {
        0 => Some("empty"),
        size if size > max_bytes => Some("too_large"),
        _ => None,
    }
}
