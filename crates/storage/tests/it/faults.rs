//! A network between us and PostgreSQL that loses answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use transom_domain::{Team, TeamId, UuidV7};
use transom_storage::test_support::{NOON, TestDatabase, TestPostgres};
use transom_storage::{Storage, StorageConfig, StorageError, WorkspaceScope};

/// Passes everything on.
const PASS: u8 = 0;
/// Passes the COMMIT on and cuts the line before its answer.
const SWALLOW_COMMIT: u8 = 1;
/// Cuts the line instead of passing the COMMIT on.
const CUT_BEFORE_COMMIT: u8 = 2;

async fn proxy(to: u16, mode: Arc<AtomicU8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mode = Arc::clone(&mode);
            tokio::spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
                loop {
                    tokio::select! {
                        read = client.read(&mut asked) => {
                            let Ok(read @ 1..) = read else { return };
                            let sent = asked.get(..read).unwrap();
                            let commits = sent.windows(6).any(|window| window == b"COMMIT");
                            match mode.load(Ordering::SeqCst) {
                                CUT_BEFORE_COMMIT if commits => return,
                                SWALLOW_COMMIT if commits => {
                                    server.write_all(sent).await.unwrap();
                                    // The server answers, and nobody hears it.
                                    let _ = server.read(&mut answered).await;
                                    return;
                                }
                                _ => server.write_all(sent).await.unwrap(),
                            }
                        }
                        read = server.read(&mut answered) => {
                            let Ok(read @ 1..) = read else { return };
                            if client.write_all(answered.get(..read).unwrap()).await.is_err() {
                                return;
                            }
                        }
                    }
                }
            });
        }
    });
    port
}

async fn put(storage: &Storage, scope: &WorkspaceScope, name: &str, runs: &Arc<AtomicU32>) -> Result<(), StorageError> {
    let team = Team { id: TeamId::new(&UuidV7), name: name.to_owned() };
    let runs = Arc::clone(runs);
    storage
        .transact(scope, move |tx| {
            let team = team.clone();
            runs.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move { tx.put_team(&team, NOON).await })
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_commit_is_unknown_and_never_repeated() {
    let Some(db) = TestDatabase::postgres().await else { return };
    let scope = db.workspace(&db.open().await, "Acme").await;
    let (direct, port) = (db.open().await, TestPostgres::shared().unwrap().port());
    let mode = Arc::new(AtomicU8::new(PASS));
    let through = proxy(port, Arc::clone(&mode)).await;
    let url = db.url().replace(&format!(":{port}/"), &format!(":{through}/"));
    let storage = Storage::open(StorageConfig { url, ..db.config() }).await.unwrap();
    let runs = Arc::new(AtomicU32::new(0));
    put(&storage, &scope, "before", &runs).await.unwrap();

    for mode_now in [SWALLOW_COMMIT, CUT_BEFORE_COMMIT] {
        mode.store(mode_now, Ordering::SeqCst);
        runs.store(0, Ordering::SeqCst);
        let lost = put(&storage, &scope, &format!("lost {mode_now}"), &runs).await;
        assert!(matches!(lost, Err(StorageError::CommitUnknown)), "{lost:?}");
        assert_eq!(runs.load(Ordering::SeqCst), 1, "what may have been stored is not done again by itself");
    }
    mode.store(PASS, Ordering::SeqCst);
    put(&storage, &scope, "after", &runs).await.unwrap();

    // The same error, and only reading back tells: one was stored, the other was not.
    let names: Vec<String> = direct.reader(&scope).teams().await.unwrap().into_iter().map(|team| team.name).collect();
    assert_eq!(names, ["after", "before", "lost 1"]);
}
