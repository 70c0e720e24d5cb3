//! What was uploaded already, so that a retry and a broadcast upload a file once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use time::{Duration, OffsetDateTime};
use transom_domain::{Attachment, AttachmentId, MediaKind, MediaSource};

/// How many uploads are remembered.
const MOST_REMEMBERED: usize = 1_000;

/// A stored file, as what it goes out.
pub type UploadKey = (AttachmentId, MediaKind);

/// The platform's ids of what was uploaded.
#[derive(Debug)]
pub struct Uploads {
    life: Duration,
    known: Mutex<BTreeMap<UploadKey, (String, OffsetDateTime)>>,
}

impl Uploads {
    /// For a platform that keeps uploads this long; a day less is safe.
    pub fn kept_for(life: Duration) -> Self {
        Self { life: life - Duration::DAY, known: Mutex::default() }
    }

    /// The id of an earlier upload, if it is still good.
    pub fn get(&self, file: UploadKey, now: OffsetDateTime) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&file).filter(|(_, until)| now < *until).map(|(id, _)| id.clone())
    }

    /// Remembers an upload.
    pub fn keep(&self, file: UploadKey, id: String, now: OffsetDateTime) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (_, until)| now < *until);
        while known.len() >= MOST_REMEMBERED {
            // The oldest file first: ids grow with time.
            known.pop_first();
        }
        known.insert(file, (id, now.saturating_add(self.life)));
    }

    /// Forgets an upload that the platform may have lost.
    pub fn forget(&self, file: &Attachment) {
        if let Attachment { kind, source: MediaSource::Stored { id }, .. } = file {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&(*id, *kind));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn uploads_are_forgotten_in_time() {
        let (uploads, now) = (Uploads::kept_for(Duration::days(30)), datetime!(2026-11-21 10:00 UTC));
        let id = |n: u64| (AttachmentId::from(uuid::Uuid::from_u64_pair(0, n)), MediaKind::Image);
        uploads.keep(id(1), "one".into(), now);
        assert_eq!(uploads.get(id(1), now + Duration::days(28)).as_deref(), Some("one"));
        assert_eq!(uploads.get(id(1), now + Duration::days(29)), None);
        for n in 2..=1_001 {
            uploads.keep(id(n), n.to_string(), now);
        }
        assert_eq!((uploads.get(id(1), now), uploads.get(id(2), now).as_deref()), (None, Some("2")));
    }
}
