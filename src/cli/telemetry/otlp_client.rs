//! The HTTP client that OpenTelemetry's exporter sends with: the program's own, on whatever runtime polls it.
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use reqwest::Client;

use super::courier::innermost;

/// A longer answer is cut off: what matters stands at its beginning.
const ANSWER_BYTES: usize = 64 << 10;

/// Remembers why a request failed, which the exporter does not tell.
#[derive(Debug)]
pub struct OtlpClient {
    client: Client,
    failure: Mutex<Option<String>>,
}

impl OtlpClient {
    pub fn new() -> Result<Self, String> {
        // A redirect would take the headers elsewhere.
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        Ok(Self { client: client.map_err(|error| innermost(&error))?, failure: Mutex::new(None) })
    }

    /// Why the newest request got no answer.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().ok()?.take()
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, reqwest::Error> {
        let mut answer = self.client.execute(request.try_into()?).await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            let room = ANSWER_BYTES - body.len();
            body.extend_from_slice(&piece[..piece.len().min(room)]);
            if body.len() == ANSWER_BYTES {
                break;
            }
        }
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// As `async_trait` would write it.
impl HttpClient for OtlpClient {
    fn send_bytes<'client, 'answer>(
        &'client self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'answer>>
    where
        'client: 'answer,
        Self: 'answer,
    {
        Box::pin(async move {
            self.send(request).await.map_err(|error| {
                let reason = innermost(&error);
                if let Ok(mut failure) = self.failure.lock() {
                    *failure = Some(reason.clone());
                }
                reason.into()
            })
        })
    }
}
