//! Files that were uploaded: an id lasts three days and may be used again (2.4), so that a file for many people is uploaded once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use time::{Duration, OffsetDateTime};
use transom_domain::AttachmentId;

/// "Valid 3 days" (2.4), less an hour: none ends on its way.
const LIFE: Duration = Duration::hours(71);
/// How many are remembered; the next upload makes room.
const ROOM: usize = 1_000;

/// The ids of uploaded files, while they last. Each replica has its own: an upload too many costs nothing else.
#[derive(Debug, Default)]
pub(crate) struct Uploads(Mutex<BTreeMap<AttachmentId, Upload>>);

#[derive(Debug, Clone)]
struct Upload {
    media_id: String,
    ends_at: OffsetDateTime,
}

impl Uploads {
    pub(crate) fn get(&self, file: AttachmentId, now: OffsetDateTime) -> Option<String> {
        let uploads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.get(&file).filter(|upload| now < upload.ends_at).map(|upload| upload.media_id.clone())
    }

    pub(crate) fn keep(&self, file: AttachmentId, media_id: String, now: OffsetDateTime) {
        let mut uploads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.retain(|_, upload| now < upload.ends_at);
        while uploads.len() >= ROOM {
            let next = uploads.iter().min_by_key(|(_, upload)| upload.ends_at).map(|(file, _)| *file);
            let Some(next) = next else { break };
            uploads.remove(&next);
        }
        uploads.insert(file, Upload { media_id, ends_at: now + LIFE });
    }

    /// WeChat does not know it any more.
    pub(crate) fn forget(&self, file: AttachmentId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;
    use transom_domain::UuidV7;

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

    #[test]
    fn ids_are_kept_while_they_last() {
        let (uploads, file) = (Uploads::default(), AttachmentId::new(&UuidV7));
        uploads.keep(file, "MEDIA_A".into(), NOW);
        assert_eq!(uploads.get(file, NOW + Duration::hours(70)).as_deref(), Some("MEDIA_A"));
        assert_eq!(uploads.get(file, NOW + Duration::hours(71)), None);
        uploads.forget(file);
        assert_eq!(uploads.get(file, NOW), None);
    }

    #[test]
    fn the_oldest_make_room() {
        let uploads = Uploads::default();
        let files: Vec<AttachmentId> = (0..=ROOM).map(|_| AttachmentId::new(&UuidV7)).collect();
        for (n, file) in (0_i64..).zip(&files) {
            uploads.keep(*file, n.to_string(), NOW + Duration::seconds(n));
        }
        let known = |file: &AttachmentId| uploads.get(*file, NOW).is_some();
        assert!(!known(&files[0]) && known(&files[1]) && known(&files[ROOM]));
    }
}
