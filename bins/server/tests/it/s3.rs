//! Files in a bucket: the service against a server that speaks S3's protocol (moto), which this test installs and starts.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use serde_json::json;
use time::Duration;
use transom_desk::housekeeping;
use transom_storage::Blob;

use super::attachments::{get, upload};
use super::support::Bench;

const MOTO: &str = "moto[s3,server]==5.2.5";
const BUCKET: &str = "files";
/// Serves on a free port with the bucket made, until its input ends.
const SERVE: &str = "
import sys, boto3
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
endpoint = f'http://127.0.0.1:{port}'
boto3.client('s3', endpoint_url=endpoint, region_name='us-east-1', aws_access_key_id='key', aws_secret_access_key='secret') \\
    .create_bucket(Bucket='files')
print(endpoint, flush=True)
sys.stdin.read()
server.stop()
";

struct Store {
    process: Child,
    endpoint: String,
}

impl Store {
    /// `None`, with a word about it, where it can't be had; under `CI=true` that is a failure.
    fn start() -> Option<Self> {
        let python = match installed() {
            Ok(python) => python,
            Err(why) if std::env::var("CI").as_deref() == Ok("true") => panic!("no S3-compatible server: {why}"),
            Err(why) => {
                eprintln!("SKIPPED: no S3-compatible server: {why}");
                return None;
            }
        };
        let mut serve = Command::new(python);
        serve.args(["-c", SERVE]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = serve.spawn().unwrap();
        let mut endpoint = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut endpoint).unwrap();
        let endpoint = endpoint.trim().to_owned();
        assert!(endpoint.starts_with("http://"), "the server did not start");
        Some(Self { process, endpoint })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Its input ends, and with it the server.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Python with moto, in an environment of its own under `target/`.
fn installed() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/moto");
    let python = folder.join("bin/python");
    let has_it = |python: &Path| run(Command::new(python).args(["-c", "import moto.server, boto3"]));
    if has_it(&python).is_err() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "-q", MOTO]))?;
        has_it(&python)?;
    }
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[tokio::test]
async fn files_are_kept_in_a_bucket() {
    let Some(store) = tokio::task::spawn_blocking(Store::start).await.unwrap() else { return };
    let endpoint = store.endpoint.clone();
    let bench = Bench::with(|mut config| {
        config.attachments.s3.bucket = Some(BUCKET.to_owned());
        config.attachments.s3.endpoint = Some(endpoint);
        config.attachments.s3.access_key_id = Some("key".to_owned());
        config.attachments.s3.secret_access_key = Some("secret".into());
        config
    })
    .await;
    assert!(!bench.folder().join("attachments").exists(), "nothing is kept on the disk");
    // Small, and so large that it goes up in several pieces.
    let large: Vec<u8> = (0..12 * 1024 * 1024_u32).map(|n| n.to_le_bytes()[1]).collect();
    for bytes in [b"a few words".as_slice(), &large] {
        let made = upload(&bench.admin, "file.txt", bytes).await;
        assert_eq!((&made["state"], &made["size"]), (&json!("stored"), &json!(bytes.len())), "{made}");
        let path = format!("/attachments/{}/content", made["id"].as_str().unwrap());
        let (status, _, got) = get(&bench.admin, &format!("{}/v1{path}", bench.admin.base)).await;
        assert_eq!((status, got.as_slice()), (200, bytes));
        let signed = reqwest::get(made["content_url"].as_str().unwrap()).await.unwrap();
        assert_eq!(signed.bytes().await.unwrap(), bytes, "by the signed address");
    }

    // As if a process had died between the bytes and the row: what a row names stays, and only that.
    let (desk, scope) = (bench.server.desk(), &bench.caller.scope);
    let blobs = &desk.files().unwrap().blobs;
    let lost = blobs.put(scope, bytes::Bytes::from_static(b"named by nobody")).await.unwrap();
    assert_eq!(housekeeping::sweep_files(desk, -Duration::HOUR).await.unwrap(), 1);
    assert!(blobs.read(scope, lost).await.is_err());
    assert_eq!(blobs.read(scope, Blob::of(&large)).await.unwrap(), large);
    bench.stop().await;
}

#[tokio::test]
async fn a_store_that_is_away_is_no_lost_file() {
    let bench = Bench::with(|mut config| {
        config.attachments.s3.bucket = Some(BUCKET.to_owned());
        // Nobody listens there.
        config.attachments.s3.endpoint = Some("http://127.0.0.1:1".to_owned());
        config.attachments.s3.access_key_id = Some("key".to_owned());
        config.attachments.s3.secret_access_key = Some("secret".into());
        config
    })
    .await;
    let form = b"--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nwords\r\n--edge--\r\n"
        .to_vec();
    let token = format!("Bearer {}", bench.admin.token);
    let headers = [("content-type", "multipart/form-data; boundary=edge"), ("authorization", token.as_str())];
    let address = format!("{}/v1/attachments", bench.admin.base);
    let refused = bench.admin.raw(Method::POST, &address, form, &headers).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (503, Some("storage_unavailable")), "{}", refused.body);
    bench.stop().await;
}
