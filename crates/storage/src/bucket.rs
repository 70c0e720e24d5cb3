//! Files in a bucket, where a folder of one machine is not enough (`s3`).

use std::sync::Arc;
use std::time::Duration;

use object_store::RetryConfig;
use object_store::aws::AmazonS3Builder;
use secrecy::{ExposeSecret, SecretString};

use crate::{BlobError, Blobs};

/// For how long a request to a bucket is tried again.
const RETRIES: Duration = Duration::from_secs(15);

/// A bucket of Amazon S3, or of what speaks its protocol.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Where it is; `us-east-1` for stores that have no regions.
    pub region: String,
    /// The store's address; Amazon's own unless given. Over plain HTTP only if it says so itself.
    pub endpoint: Option<String>,
    /// Key and secret; without them those that the environment (`AWS_*`) or the machine's role gives.
    pub key: Option<(String, SecretString)>,
}

impl Blobs {
    /// In a bucket. Nothing is asked of it yet.
    ///
    /// # Errors
    /// [`BlobError::Failed`] for an address that is none.
    pub fn in_bucket(bucket: &Bucket) -> Result<Self, BlobError> {
        // The client takes whichever provider is installed; a second time changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = match &bucket.key {
            Some((key, secret)) => {
                AmazonS3Builder::new().with_access_key_id(key).with_secret_access_key(secret.expose_secret())
            }
            None => AmazonS3Builder::from_env(),
        };
        // Who waits for an answer waits no longer; what works in the background tries again by itself.
        let retry = RetryConfig { max_retries: 3, retry_timeout: RETRIES, ..RetryConfig::default() };
        let builder = builder.with_retry(retry).with_bucket_name(&bucket.name);
        let mut builder = builder.with_region(&bucket.region);
        if let Some(endpoint) = &bucket.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        Ok(Self::on(Arc::new(builder.build()?)))
    }
}
