//! A throw-away PostgreSQL cluster, shared by all test processes of a user and stopped when the last one has gone.
//!
//! Who comes first starts it, under a lock; who uses it holds a shared lock on a file; a small watchdog stops and deletes it
//! when nobody has held that lock for a while. `fsync` is off: tests kill processes, never the operating system, and
//! `synchronous_commit` stays on, so that what was committed is visible in the same order as in production.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::{ConnectOptions, ConnectionTrait, Database};
use transom_domain::{Ids, UuidV7};

/// The cluster, as long as this lives.
#[derive(Debug, Clone)]
pub struct TestPostgres {
    port: u16,
    _in_use: Arc<File>,
}

static SHARED: Mutex<Option<TestPostgres>> = Mutex::new(None);

/// Whether a missing PostgreSQL is an error instead of a skipped test.
pub fn postgres_is_required() -> bool {
    let set = |name, value| std::env::var(name).is_ok_and(|set| set == value);
    set("CI", "true") || set("TRANSOM_REQUIRE_POSTGRES", "1")
}

impl TestPostgres {
    /// The shared cluster; `None` where PostgreSQL is not installed.
    ///
    /// # Panics
    /// If it is missing though it is required, or does not start.
    pub fn shared() -> Option<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = shared.as_ref() {
            return Some(cluster.clone());
        }
        let Some(binaries) = binaries() else {
            assert!(!postgres_is_required(), "PostgreSQL is required and `initdb` was not found");
            eprintln!("SKIPPED: PostgreSQL is not installed (no `initdb` in PATH or /usr/lib/postgresql/*/bin)");
            return None;
        };
        let cluster = start(&binaries);
        *shared = Some(cluster.clone());
        Some(cluster)
    }

    /// Makes an empty database and returns its URL.
    pub(super) async fn create_database(&self) -> String {
        let name = format!("t{}", UuidV7.next().simple());
        let mut options = ConnectOptions::new(self.url("postgres"));
        options.max_connections(1).sqlx_logging(false);
        let db = Database::connect(options).await.expect("the test cluster answers");
        db.execute_unprepared(&format!("CREATE DATABASE {name} TEMPLATE template0")).await.expect("a database");
        db.close().await.expect("the connection closes");
        self.url(&name)
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://transom@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// The port on 127.0.0.1, for tests that put something between.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn binaries() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut installed: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    // The newest first.
    installed.sort_by_key(|path| {
        std::cmp::Reverse(
            path.to_string_lossy().chars().filter(char::is_ascii_digit).collect::<String>().parse::<u32>().unwrap_or(0),
        )
    });
    folders.extend(installed);
    folders.into_iter().find(|folder| folder.join("initdb").is_file() && folder.join("pg_ctl").is_file())
}

/// PostgreSQL refuses to run as root: then it runs as somebody else.
struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    fn find() -> Self {
        let me = fs::metadata("/proc/self").expect("/proc");
        if me.uid() != 0 {
            return Self { uid: me.uid(), gid: me.gid() };
        }
        let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
        let ids = |name: &str| {
            let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            Some(Self { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
        };
        ids("postgres").or_else(|| ids("nobody")).expect("a user other than root to run PostgreSQL as")
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }
}

fn start(binaries: &Path) -> TestPostgres {
    let owner = Owner::find();
    let folder = std::env::temp_dir().join(format!("transom-test-postgres-{}", owner.uid));
    fs::create_dir_all(&folder).expect("a folder for the cluster");
    // Others must not prepare it for us.
    let found = fs::metadata(&folder).expect("the folder");
    let me = fs::metadata("/proc/self").expect("/proc").uid();
    assert!(found.uid() == me || found.uid() == owner.uid, "{} belongs to somebody else", folder.display());
    chown(&folder, Some(owner.uid), Some(owner.gid)).expect("the folder's owner");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("the folder's mode");

    let lock = |name: &str| {
        let path = folder.join(name);
        OpenOptions::new().create(true).append(true).open(path).expect("a lock file")
    };
    let starting = lock("starting");
    starting.lock().expect("the lock of the start");
    let in_use = lock("in-use");
    in_use.lock_shared().expect("the lock of the users");
    let port = running(binaries, &owner, &folder).unwrap_or_else(|| launch(binaries, &owner, &folder));
    drop(starting);
    TestPostgres { port, _in_use: Arc::new(in_use) }
}

/// The port of the cluster in the folder, if it runs.
fn running(binaries: &Path, owner: &Owner, folder: &Path) -> Option<u16> {
    let port = fs::read_to_string(folder.join("port")).ok()?.trim().parse().ok()?;
    let status = owner
        .command(&binaries.join("pg_ctl"))
        .args(["status", "-D"])
        .arg(folder.join("data"))
        .current_dir("/")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success()).then_some(port)
}

fn launch(binaries: &Path, owner: &Owner, folder: &Path) -> u16 {
    let data = folder.join("data");
    if data.exists() {
        fs::remove_dir_all(&data).expect("the remains of an earlier cluster go away");
    }
    let initdb = owner
        .command(&binaries.join("initdb"))
        .args(["--username=transom", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
        .arg(&data)
        .current_dir("/")
        .output()
        .expect("initdb runs");
    assert!(initdb.status.success(), "initdb failed: {}", String::from_utf8_lossy(&initdb.stderr));

    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let settings = format!(
        "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nmax_connections = 400\n\
         shared_buffers = 64MB\nfsync = off\nfull_page_writes = off\nsynchronous_commit = on\nmax_wal_size = 256MB\n\
         autovacuum_naptime = 10s\nlogging_collector = off\n"
    );
    let mut file = OpenOptions::new().append(true).open(data.join("postgresql.conf")).expect("postgresql.conf");
    file.write_all(settings.as_bytes()).expect("the settings");

    let log = data.join("log.txt");
    let started = owner
        .command(&binaries.join("pg_ctl"))
        .args(["start", "--wait", "--timeout=60", "--silent", "-D"])
        .arg(&data)
        .arg("-l")
        .arg(&log)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("pg_ctl runs");
    assert!(started.success(), "PostgreSQL did not start: {}", fs::read_to_string(&log).unwrap_or_default());
    fs::write(folder.join("port"), port.to_string()).expect("the port is kept");
    watch(binaries, owner, folder);
    port
}

/// Stops and deletes the cluster when nobody has used it for half a minute. It needs `flock` of util-linux; without that the
/// cluster stays until the machine restarts, and is used again.
fn watch(binaries: &Path, owner: &Owner, folder: &Path) {
    const WATCHDOG: &str = r#"
        idle=0
        while [ "$idle" -lt 6 ]; do
            sleep 5
            if flock --nonblock --exclusive "$2/in-use" true; then idle=$((idle + 1)); else idle=0; fi
        done
        exec 9>>"$2/starting"
        flock --exclusive 9
        if flock --nonblock --exclusive "$2/in-use" true; then
            "$1/pg_ctl" stop --mode=immediate --silent -D "$2/data"
            # To delete hundreds of databases takes minutes: whoever wants a new cluster does not wait for that.
            mv "$2/data" "$2/gone-$$"
            rm -f "$2/port"
            exec 9>&-
            rm -rf "$2"/gone-*
        else
            exec 9>&-
            exec sh -c "$0" "$0" "$1" "$2"
        fi
    "#;
    for name in ["starting", "in-use"] {
        chown(folder.join(name), Some(owner.uid), Some(owner.gid)).expect("the lock file's owner");
    }
    let watchdog = owner
        .command(Path::new("sh"))
        .arg("-c")
        .arg(WATCHDOG)
        .arg(WATCHDOG)
        .arg(binaries)
        .arg(folder)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C in the terminal is for the tests.
        .process_group(0)
        .spawn();
    if let Err(error) = watchdog {
        eprintln!("the test cluster in {} will not be stopped: {error}", folder.display());
    }
}
