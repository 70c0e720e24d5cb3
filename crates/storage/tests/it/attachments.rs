//! Files: rows and bytes, on both databases.

use bytes::Bytes;
use futures_util::TryStreamExt;
use time::Duration;
use transom_domain::*;
use transom_storage::test_support::NOON;
use transom_storage::*;

fn remote(source: &str) -> Attachment {
    Attachment {
        kind: MediaKind::Image,
        source: MediaSource::Platform { id: source.into(), url: None, sha256: None },
        mime: Some("image/jpeg".into()),
        file_name: None,
        size: None,
    }
}

async fn account(storage: &Storage, scope: &WorkspaceScope) -> ChannelAccountId {
    let connection = Connection { id: ConnectionId::new(&UuidV7), platform: "elsewhere".into(), name: "shop".into() };
    let account = ChannelAccount {
        id: ChannelAccountId::new(&UuidV7),
        connection: connection.id,
        platform: connection.platform.clone(),
        policy: "elsewhere".into(),
        name: "shop".into(),
        external_key: "1".into(),
        features: std::collections::BTreeSet::new(),
        limits: std::collections::BTreeMap::new(),
        quota_group: None,
        country: None,
        enabled: true,
        suspended: None,
        removed_at: None,
    };
    let id = account.id;
    storage
        .transact::<_, StorageError, _>(scope, move |tx| {
            let (connection, account) = (connection.clone(), account.clone());
            Box::pin(async move {
                tx.put_connection(&connection, &serde_json::json!({}), NOON).await?;
                tx.put_account(&account, NOON).await
            })
        })
        .await
        .unwrap();
    id
}

async fn expect(
    storage: &Storage,
    scope: &WorkspaceScope,
    of: (MessageId, ChannelAccountId),
    source: &'static str,
) -> AttachmentId {
    let id = AttachmentId::new(&UuidV7);
    storage
        .transact::<_, StorageError, _>(scope, move |tx| {
            Box::pin(async move { tx.expect_attachment(id, of, &remote(source), NOON).await })
        })
        .await
        .unwrap()
}

async fn claim(storage: &Storage, scope: &WorkspaceScope, file: &ToFetch, lease: Duration) -> bool {
    let (file, until) = (file.clone(), storage.database_now().await.unwrap() + lease);
    storage
        .transact::<_, StorageError, _>(scope, move |tx| {
            let file = file.clone();
            Box::pin(async move { tx.claim_fetch(&file, until).await })
        })
        .await
        .unwrap()
}

async fn settle(storage: &Storage, scope: &WorkspaceScope, file: &ToFetch, fetched: Fetched) -> bool {
    let file = file.clone();
    storage
        .transact::<_, StorageError, _>(scope, move |tx| {
            let (file, fetched) = (file.clone(), fetched.clone());
            Box::pin(async move { tx.settle_fetch(&file, &fetched, NOON).await })
        })
        .await
        .unwrap()
}

/// What is due, over all workspaces.
async fn due(storage: &Storage) -> Vec<(WorkspaceScope, ToFetch)> {
    let (scopes, now) = storage.scopes_with_files_to_fetch().await.unwrap();
    let mut found = Vec::new();
    for scope in scopes {
        for file in storage.reader(&scope).files_to_fetch(now, 10).await.unwrap() {
            found.push((scope.clone(), file));
        }
    }
    found
}

fn arrived() -> Fetched {
    Fetched::Stored { blob: Blob { sha256: [7; 32], size: 3 }, mime: "image/png".into(), file_name: None }
}

both_databases! {
    async fn a_file_to_fetch_is_one_claimers_and_its_result_counts_once(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let of = (MessageId::new(&UuidV7), account(&storage, &scope).await);
        let id = expect(&storage, &scope, of, "photo-1").await;
        assert_eq!(expect(&storage, &scope, of, "photo-1").await, id, "the same file of the same message is known");
        let (_, first) = due(&storage).await.remove(0);
        assert_eq!((first.id, first.message, first.account, first.attempts), (id, of.0, of.1, 0));
        assert_eq!(first.file, remote("photo-1"));

        // Two replicas saw it: one gets it. Its lease over, a third one does.
        assert!(claim(&storage, &scope, &first, Duration::ZERO).await);
        assert!(!claim(&storage, &scope, &first, Duration::HOUR).await);
        let (_, second) = due(&storage).await.remove(0);
        assert_eq!(second.attempts, 1);
        assert!(claim(&storage, &scope, &second, Duration::HOUR).await);
        assert!(due(&storage).await.is_empty());

        assert!(!settle(&storage, &scope, &first, Fetched::Failed { reason: "late" }).await, "a later attempt has begun");
        let at = storage.database_now().await.unwrap();
        assert!(settle(&storage, &scope, &second, Fetched::Again { at, reason: "unavailable" }).await);
        let (_, third) = due(&storage).await.remove(0);
        assert!(claim(&storage, &scope, &third, Duration::HOUR).await);
        assert!(settle(&storage, &scope, &third, arrived()).await);
        assert!(!settle(&storage, &scope, &third, Fetched::Failed { reason: "twice" }).await);
        let stored = storage.reader(&scope).attachment(id).await.unwrap().unwrap();
        assert_eq!((stored.state, stored.attempts, stored.reason), (AttachmentState::Stored, 3, None));
        assert_eq!((stored.blob.unwrap().size, stored.mime.as_deref()), (3, Some("image/png")));
        assert!(due(&storage).await.is_empty());
    }

    async fn what_is_to_be_fetched_survives_a_restart_and_stays_in_its_workspace(db: TestDatabase) {
        let storage = db.open().await;
        let (ours, theirs) = (db.workspace(&storage, "Acme").await, db.workspace(&storage, "Other").await);
        let of = (MessageId::new(&UuidV7), account(&storage, &ours).await);
        let id = expect(&storage, &ours, of, "photo-1").await;
        storage.close().await.unwrap();
        let storage = db.open().await;
        let (scope, file) = due(&storage).await.remove(0);
        assert_eq!((&scope, file.id), (&ours, id));
        assert!(!claim(&storage, &theirs, &file, Duration::HOUR).await);
        assert_eq!(storage.reader(&theirs).attachment(id).await.unwrap(), None);
        assert_eq!(storage.reader(&theirs).attachments(&[id]).await.unwrap(), []);
        let public = storage.public_file_id(&ours, id);
        let (scope, found) = storage.file_of_public_id(&public).await.unwrap().unwrap();
        assert_eq!((scope, found.id), (ours.clone(), id));
        assert!(storage.file_of_public_id(&storage.public_file_id(&theirs, id)).await.unwrap().is_none());

        let message = of.0;
        let forgotten = storage
            .transact::<_, StorageError, _>(&ours, move |tx| Box::pin(async move { tx.forget_attachments(message).await }))
            .await
            .unwrap();
        assert_eq!(forgotten, 1);
        assert!(due(&storage).await.is_empty());
    }

    async fn an_uploaded_file_has_its_row(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let agent = db.agent(&storage, &scope, Role::Agent).await;
        let new = NewAttachment {
            id: AttachmentId::new(&UuidV7),
            blob: Blob { sha256: [9; 32], size: 12 },
            mime: "text/plain".into(),
            file_name: Some("notes.txt".into()),
            uploaded_by: Some(agent.id),
        };
        let id = new.id;
        storage
            .transact::<_, StorageError, _>(&scope, move |tx| {
                let new = new.clone();
                Box::pin(async move { tx.insert_attachment(&new, NOON).await })
            })
            .await
            .unwrap();
        let stored = storage.reader(&scope).attachment(id).await.unwrap().unwrap();
        assert_eq!((stored.state, stored.uploaded_by, stored.created_at), (AttachmentState::Stored, Some(agent.id), NOON));
        assert_eq!(stored.blob, Some(Blob { sha256: [9; 32], size: 12 }));
        assert!(due(&storage).await.is_empty());
    }

    async fn bytes_are_kept_once_a_workspace_and_checked(db: TestDatabase) {
        let storage = db.open().await;
        let (ours, theirs) = (db.workspace(&storage, "Acme").await, db.workspace(&storage, "Other").await);
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_folder(folder.path().join("files")).unwrap();
        // Over the size from which a file is written in several pieces.
        let large: Bytes = (0..12 * 1024 * 1024_u32).map(|n| n.to_le_bytes()[1]).collect();
        let path = folder.path().join("upload");
        std::fs::write(&path, &large).unwrap();
        let mut file = tokio::fs::File::open(&path).await.unwrap();
        let blob = blobs.put_file(&ours, &mut file).await.unwrap();
        assert_eq!(blobs.put(&ours, large.clone()).await.unwrap(), blob, "the same bytes are the same blob");
        assert_eq!(blobs.read(&ours, blob).await.unwrap(), large);
        let streamed: Vec<Bytes> = blobs.stream(&ours, blob).await.unwrap().try_collect().await.unwrap();
        assert_eq!(streamed.concat(), large);
        assert!(matches!(blobs.read(&theirs, blob).await, Err(BlobError::Missing)), "workspaces share nothing");

        let kept: Vec<_> = files(&folder.path().join("files"));
        assert_eq!(kept.len(), 1, "{kept:?}");
        std::fs::write(&kept[0], b"something else").unwrap();
        assert!(matches!(blobs.read(&ours, blob).await, Err(BlobError::Corrupt)));
        assert!(matches!(blobs.stream(&ours, blob).await.map(drop), Err(BlobError::Corrupt)));
        // Bytes of another size are no copy: they are written anew.
        assert_eq!(blobs.put(&ours, large.clone()).await.unwrap(), blob);
        assert_eq!(blobs.read(&ours, blob).await.unwrap(), large);
    }

    async fn bytes_that_no_file_has_are_told_from_those_that_one_has(db: TestDatabase) {
        let storage = db.open().await;
        let (ours, theirs) = (db.workspace(&storage, "Acme").await, db.workspace(&storage, "Other").await);
        let agent = db.agent(&storage, &ours, Role::Agent).await;
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_folder(folder.path()).unwrap();
        let named = blobs.put(&ours, Bytes::from_static(b"named")).await.unwrap();
        let lost = blobs.put(&ours, Bytes::from_static(b"a process died before the commit")).await.unwrap();
        blobs.put(&theirs, Bytes::from_static(b"another workspace's")).await.unwrap();
        let new = NewAttachment {
            id: AttachmentId::new(&UuidV7),
            blob: named,
            mime: "text/plain".into(),
            file_name: None,
            uploaded_by: Some(agent.id),
        };
        storage
            .transact::<_, StorageError, _>(&ours, move |tx| {
                let new = new.clone();
                Box::pin(async move { tx.insert_attachment(&new, NOON).await })
            })
            .await
            .unwrap();
        let all = async |before| -> Vec<Blob> { blobs.written_before(&ours, before).try_collect().await.unwrap() };
        let now = storage.database_now().await.unwrap();
        assert_eq!(all(now - Duration::DAY).await, [], "what is young may be named in an instant");
        let mut old = all(now + Duration::DAY).await;
        old.sort_unstable_by_key(|blob| blob.size);
        assert_eq!(old, [named, lost]);
        assert_eq!(storage.reader(&ours).unnamed_blobs(&old).await.unwrap(), [lost]);
    }
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
