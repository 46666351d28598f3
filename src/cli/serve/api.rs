//! `/api/search`: what a text or an image finds, as JSON.
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::site::{Site, Subject};
use crate::data::{ErrorClass, ItemKind};
use crate::index::Hit;
use crate::stage::StageError;

/// Longest query in characters; the model reads far less.
const LONGEST_TEXT: usize = 500;
/// Longest id in bytes that any data set can have.
const LONGEST_ID: usize = 1_024;
/// Most hits, and hits unless asked for otherwise.
const MOST: usize = 100;
const USUAL: usize = 24;
/// How long a search waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// A query string.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    text: Option<String>,
    image: Option<String>,
    k: Option<usize>,
    #[serde(default)]
    kind: Kind,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Images,
    Texts,
}

/// What went wrong, for the page to show.
struct Refused(StatusCode, String);

pub async fn search(State(site): State<Arc<Site>>, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    match answer(site, asked).await {
        Ok(answer) => Json(answer).into_response(),
        Err(Refused(status, reason)) => (status, Json(json!({ "error": reason }))).into_response(),
    }
}

async fn answer(site: Arc<Site>, asked: Result<Query<Asked>, QueryRejection>) -> Result<Value, Refused> {
    let Query(asked) = asked.map_err(|error| refused(&error.body_text()))?;
    let k = asked.k.unwrap_or(USUAL);
    if k == 0 || k > MOST {
        return Err(refused(&format!("k is in 1..={MOST}")));
    }
    let (kind, among) = match asked.kind {
        Kind::Images => ("images", ItemKind::Image),
        Kind::Texts => ("texts", ItemKind::Text),
    };
    let subject = subject(asked.text, asked.image)?;
    let waiting = tokio::time::timeout(PATIENCE, Arc::clone(&site.turn).acquire_owned()).await;
    let Ok(Ok(turn)) = waiting else {
        return Err(Refused(StatusCode::SERVICE_UNAVAILABLE, "other searches are under way; try again".to_owned()));
    };
    let searched = tokio::task::spawn_blocking(move || {
        // Kept until the search ends, even if nobody waits for it any more.
        let _turn = turn;
        let began = Instant::now();
        let hits = site.search(&subject, among, k)?;
        let query = match &subject {
            Subject::Words(text) => json!({ "text": text }),
            Subject::Image(id) => {
                let document = site.image(id)?;
                json!({ "image": id, "text": document.and_then(|image| image.captions.into_iter().next()) })
            }
        };
        let milliseconds = began.elapsed().as_secs_f64() * 1_000.0;
        let hits: Vec<Value> = hits.iter().map(hit).collect();
        Ok(json!({ "query": query, "kind": kind, "milliseconds": milliseconds, "hits": hits }))
    });
    let failed = |_| Refused(StatusCode::INTERNAL_SERVER_ERROR, "the search broke off".to_owned());
    searched.await.map_err(failed)?.map_err(|error: StageError| Refused(status_of(&error), error.to_string()))
}

/// A text or an image, not both, neither too long.
fn subject(text: Option<String>, image: Option<String>) -> Result<Subject, Refused> {
    match (text, image) {
        (Some(text), None) => {
            let text = text.trim();
            if text.is_empty() {
                return Err(refused("the text is empty"));
            }
            if text.chars().count() > LONGEST_TEXT {
                return Err(refused(&format!("the text has more than {LONGEST_TEXT} characters")));
            }
            Ok(Subject::Words(text.to_owned()))
        }
        (None, Some(id)) if id.len() > LONGEST_ID => Err(refused("no image has so long an id")),
        (None, Some(id)) => Ok(Subject::Image(id)),
        _ => Err(refused("give `text` or `image`")),
    }
}

fn refused(reason: &str) -> Refused {
    Refused(StatusCode::BAD_REQUEST, reason.to_owned())
}

fn status_of(error: &StageError) -> StatusCode {
    match error.class() {
        ErrorClass::BadInput => StatusCode::BAD_REQUEST,
        ErrorClass::NotFound => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn hit(hit: &Hit) -> Value {
    let document = &hit.document;
    let image = (!document.image_id.is_empty()).then(|| format!("{}/{}", document.data, document.image_id));
    json!({
        "id": hit.id,
        "score": hit.score,
        "keywords": hit.keywords,
        "vectors": hit.vectors,
        "text": hit.text,
        "image": image,
        "data": document.data,
        "split": document.split.as_str(),
    })
}
