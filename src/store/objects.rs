//! Connecting to an object store by URL.
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ObjectStore, ObjectStoreScheme, RetryConfig};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use super::StoreError;

/// The objects below a URL such as `s3://bucket/prefix`. Credentials, region and endpoint come from the environment,
/// under the provider's own names.
pub(super) fn connect(url: &str) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let unknown = |scheme: &str| StoreError::UnknownScheme { scheme: scheme.to_owned(), url: url.to_owned() };
    let scheme = url.split("://").next().unwrap_or_default();
    let parsed = Url::parse(url).map_err(|_| unknown(scheme))?;
    let (kind, prefix) = ObjectStoreScheme::parse(&parsed).map_err(|_| unknown(scheme))?;
    // Nothing was asked of a server yet: what fails here fails again until somebody corrects it.
    let settings = |variables| move |source| StoreError::Settings { url: url.to_owned(), variables, source };
    let objects: Arc<dyn ObjectStore> = match kind {
        ObjectStoreScheme::Memory => Arc::new(InMemory::new()),
        ObjectStoreScheme::AmazonS3 => {
            Arc::new(AmazonS3Builder::from_env().with_url(url).with_retry(retry()).build().map_err(settings("AWS_*"))?)
        }
        ObjectStoreScheme::GoogleCloudStorage => Arc::new(
            GoogleCloudStorageBuilder::from_env()
                .with_url(url)
                .with_retry(retry())
                .build()
                .map_err(settings("GOOGLE_*"))?,
        ),
        ObjectStoreScheme::MicrosoftAzure => Arc::new(
            MicrosoftAzureBuilder::from_env().with_url(url).with_retry(retry()).build().map_err(settings("AZURE_*"))?,
        ),
        _ => return Err(unknown(scheme)),
    };
    Ok(if prefix.as_ref().is_empty() { objects } else { Arc::new(PrefixStore::new(objects, prefix)) })
}

/// A server that restarts or is too busy is waited for about a minute, at random intervals that grow to ten seconds.
fn retry() -> RetryConfig {
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(200), max_backoff: Duration::from_secs(10), base: 2.0 };
    RetryConfig { backoff, max_retries: 40, retry_timeout: Duration::from_mins(1) }
}

/// Two threads for transfers.
pub(super) fn new_runtime() -> Result<Runtime, StoreError> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(StoreError::io(Path::new("async runtime")))
}

/// A key as object stores write it.
pub(super) fn parse_key(key: &str) -> Result<Key, StoreError> {
    Key::parse(key).map_err(|source| StoreError::Key { key: key.to_owned(), source })
}
