//! Where a hit is lost: the same queries by exact search, by the index, by keywords and by their fusion.
use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Direction;
use super::exact::{Measured, Vectors, measure_exactly};
use super::task::{RetrievalTask, Side};
use crate::data::{ItemKind, Split};
use crate::embed::{EmbeddingSummary, Embeddings};
use crate::index::{FUSION_DEPTH, LabelledPool, Searcher};
use crate::ingest::{Dataset, Text};
use crate::model::ComputeDevice;
use crate::stage::StageError;
use crate::store::{StoreError, write_whole};

const FILE: &str = "attribution.json";
/// Results that count.
const DEPTH: usize = 10;

/// Text to image over one data set by every way of searching.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attribution {
    pub dataset: String,
    /// Id of the model that the index was built with.
    pub model: String,
    pub queries: u64,
    /// `exact`, `approximate`, `keywords`, `hybrid`.
    pub systems: Vec<SystemHits>,
    pub losses: Option<Losses>,
    /// Whether the weight of the fusion was tuned on these very queries: then `hybrid` flatters.
    #[serde(default)]
    pub tuned_here: bool,
}

/// Shares of the queries with a relevant image among the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SystemHits {
    pub system: String,
    pub hit1: f64,
    pub hit5: f64,
    pub hit10: f64,
}

/// Queries that the hybrid search misses at 10, each counted once, by the first reason that holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// The vectors or the keywords have it among their ten, their fusion has not.
    pub fusion: u64,
    /// Exact search has it, the index has not.
    pub index: u64,
    /// The query holds characters that the tokenizer does not know, or was cut.
    pub tokenizer: u64,
    /// Everything else.
    pub encoder: u64,
}

/// Ranks (from 1) of the best relevant image, where it was found.
struct Ranks {
    exact: Option<usize>,
    approximate: Option<usize>,
    keywords: Option<usize>,
    hybrid: Option<usize>,
}

/// Searches the measured split of one data set in every way. `None` where texts do not ask, or where the index is of another
/// model.
pub fn attribute(
    task: &RetrievalTask,
    dataset: &Dataset,
    searcher: &Searcher,
    summary: &EmbeddingSummary,
    folder: &Path,
    device: &ComputeDevice,
) -> Result<Option<Attribution>, StageError> {
    let Some((direction, side)) = task.sides().find(|(direction, _)| *direction == Direction::TextToImage) else {
        return Ok(None);
    };
    let model = summary.models.iter().find(|model| model.fingerprint == searcher.about().model.fingerprint);
    let Some(model) = model else { return Ok(None) };
    let vectors = Vectors::read(task, summary, folder, &model.id)?;
    let exact = measure_exactly(task, direction, side, &vectors, device)?;
    let texts = dataset.texts(task.split)?;
    let ranks = search_every_way(task, side, &exact, &texts, vectors.of(ItemKind::Text), searcher)?;
    let condition = format!("unknown_tokens > 0 OR tokens > {}", searcher.about().context_length);
    let unread: HashSet<String> = dataset.ids_where(ItemKind::Text, task.split, &condition)?.into_iter().collect();
    let mut losses = Losses::default();
    for (ranks, query) in ranks.iter().zip(&exact.positions).filter(|(ranks, _)| !within(ranks.hybrid)) {
        losses.add(ranks, texts.get(*query).is_some_and(|text| unread.contains(&text.id)));
    }
    let systems = vec![
        hits("exact", &ranks, |ranks| ranks.exact),
        hits("approximate", &ranks, |ranks| ranks.approximate),
        hits("keywords", &ranks, |ranks| ranks.keywords),
        hits("hybrid", &ranks, |ranks| ranks.hybrid),
    ];
    let tuning = searcher.about().tuning.as_ref();
    let tuned_here = task.split == Split::Valid && tuning.is_some_and(|tuning| tuning.data.contains(&task.data));
    Ok(Some(Attribution {
        dataset: task.data.clone(),
        model: model.id.clone(),
        queries: ranks.len() as u64,
        systems,
        losses: Some(losses),
        tuned_here,
    }))
}

/// Every labelled query by exact search (done already), the index's vectors, keywords, and their fusion.
fn search_every_way(
    task: &RetrievalTask,
    side: &Side,
    exact: &Measured,
    texts: &[Text],
    vectors: &Embeddings,
    searcher: &Searcher,
) -> Result<Vec<Ranks>, StageError> {
    let rows = searcher.rows_of(&task.data, task.split)?;
    let pool = LabelledPool::new(searcher, &rows);
    let images = task.ids(ItemKind::Image);
    let mut all = Vec::with_capacity(exact.outcomes.len());
    for (outcome, query) in exact.outcomes.iter().zip(&exact.positions) {
        let relevant = side.relevant.get(*query).into_iter().flatten();
        let relevant = relevant.filter_map(|image| images.get(*image).map(String::as_str));
        let text = texts.get(*query).map(|text| text.text.as_str()).unwrap_or_default();
        let vector = vectors.vectors.chunks(vectors.dimension.max(1)).nth(*query).unwrap_or_default();
        let legs = pool.ask(text, vector, relevant, FUSION_DEPTH)?;
        let fused = searcher.about().fusion.fuse(&legs.keywords, &legs.vectors, FUSION_DEPTH);
        let rank =
            |list: &[(usize, f32)]| list.iter().position(|(number, _)| legs.relevant.contains(number)).map(|at| at + 1);
        all.push(Ranks {
            exact: outcome.best_rank().map(|rank| rank as usize),
            approximate: rank(&legs.vectors),
            keywords: rank(&legs.keywords),
            hybrid: rank(&fused),
        });
    }
    Ok(all)
}

impl Losses {
    /// Counts a query that the hybrid search missed under the first reason that holds.
    fn add(&mut self, ranks: &Ranks, is_unread: bool) {
        if within(ranks.approximate) || within(ranks.keywords) {
            self.fusion += 1;
        } else if within(ranks.exact) {
            self.index += 1;
        } else if is_unread {
            self.tokenizer += 1;
        } else {
            self.encoder += 1;
        }
    }
}

fn hits(system: &str, ranks: &[Ranks], rank: fn(&Ranks) -> Option<usize>) -> SystemHits {
    let share = |k: usize| {
        let found = ranks.iter().filter_map(rank).filter(|rank| *rank <= k).count();
        found as f64 / ranks.len().max(1) as f64
    };
    SystemHits { system: system.to_owned(), hit1: share(1), hit5: share(5), hit10: share(10) }
}

fn within(rank: Option<usize>) -> bool {
    rank.is_some_and(|rank| rank <= DEPTH)
}

/// Writes what was found below `folder`; returns the name of the file.
pub fn write_attribution(folder: &Path, found: &[Attribution]) -> Result<String, StageError> {
    let json = serde_json::to_vec_pretty(found).map_err(|error| StageError::internal(error.to_string()))?;
    write_whole(&folder.join(FILE), &json)?;
    Ok(FILE.to_owned())
}

/// Reads it; nothing where no index was measured.
pub fn read_attribution(folder: &Path) -> Result<Vec<Attribution>, StoreError> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let json = std::fs::read(&path).map_err(StoreError::io(&path))?;
    serde_json::from_slice(&json).map_err(|source| StoreError::Json { key: path.display().to_string(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_put_down_to_the_first_reason_that_holds() {
        let ranks = |exact, approximate, keywords| Ranks { exact, approximate, keywords, hybrid: None };
        let mut losses = Losses::default();
        losses.add(&ranks(Some(1), Some(1), None), true);
        losses.add(&ranks(None, None, Some(10)), true);
        losses.add(&ranks(Some(10), Some(11), None), true);
        losses.add(&ranks(Some(11), None, None), true);
        losses.add(&ranks(Some(11), None, Some(11)), false);
        assert_eq!(losses, Losses { fusion: 2, index: 1, tokenizer: 1, encoder: 1 });
    }

    #[test]
    fn what_was_not_found_is_no_hit() {
        let ranks = |exact| Ranks { exact, approximate: None, keywords: None, hybrid: None };
        let found = hits("exact", &[Some(1), Some(5), Some(6), None].map(ranks), |ranks| ranks.exact);
        assert_eq!((found.hit1, found.hit5, found.hit10), (0.25, 0.5, 0.75));
    }
}
