//! The evaluator of record: every query against every document.
use std::path::Path;

use super::rankings::Ranking;
use super::task::{RetrievalTask, Side};
use super::{Direction, Outcome};
use crate::data::{ItemKind, rank, top_k};
use crate::embed::{EmbeddingSummary, Embeddings};
use crate::model::{ComputeDevice, Gallery};
use crate::stage::StageError;

/// Documents kept per query in the table `rankings`.
const RANKING_DEPTH: usize = 10;
const QUERY_BLOCK: usize = 256;

/// What one model did in one direction, over the labelled queries.
pub struct Measured {
    pub direction: Direction,
    pub outcomes: Vec<Outcome>,
    /// Position of every outcome's query.
    pub positions: Vec<usize>,
    pub rankings: Vec<Ranking>,
}

/// The vectors of one model for a task.
pub struct Vectors {
    images: Embeddings,
    texts: Embeddings,
}

impl Vectors {
    /// Reads them and makes sure that they are of these very rows.
    pub fn read(
        task: &RetrievalTask,
        summary: &EmbeddingSummary,
        folder: &Path,
        model: &str,
    ) -> Result<Self, StageError> {
        let read = |kind| summary.read(folder, model, &task.data, task.split, kind);
        let (images, texts) = (read(ItemKind::Image)?, read(ItemKind::Text)?);
        if images.ids != task.ids(ItemKind::Image) || texts.ids != task.ids(ItemKind::Text) {
            let message = format!("embeddings of `{}` do not hold the rows of the data set", task.data);
            return Err(StageError::internal(message));
        }
        Ok(Self { images, texts })
    }

    pub fn of(&self, kind: ItemKind) -> &Embeddings {
        match kind {
            ItemKind::Image => &self.images,
            ItemKind::Text => &self.texts,
        }
    }
}

/// Ranks every labelled query of one direction. Of equal scores the document whose id is greater byte by byte comes
/// first, as with `trec_eval`.
pub fn measure_exactly(
    task: &RetrievalTask,
    direction: Direction,
    side: &Side,
    vectors: &Vectors,
    device: &ComputeDevice,
) -> Result<Measured, StageError> {
    let (asks, answers) = direction.kinds();
    let (queries, documents) = (vectors.of(asks), vectors.of(answers));
    let order = by_descending_id(&documents.ids);
    let mut place = vec![0; order.len()];
    for (at, document) in order.iter().enumerate() {
        place.get_mut(*document).into_iter().for_each(|slot| *slot = at);
    }
    let row = |document: &usize| documents.vectors.chunks(documents.dimension).nth(*document).unwrap_or_default();
    let sorted: Vec<f32> = order.iter().flat_map(row).copied().collect();
    let gallery = Gallery::new(sorted, documents.dimension, device);
    let mut measured = Measured { direction, outcomes: Vec::new(), positions: Vec::new(), rankings: Vec::new() };
    let mut labelled = side.relevant.iter().zip(&side.clusters).enumerate();
    for block in queries.vectors.chunks(QUERY_BLOCK * queries.dimension) {
        let mut scores = gallery.scores(block)?;
        for (scores, (query, (relevant, cluster))) in scores.chunks_mut(gallery.rows()).zip(labelled.by_ref()) {
            let Some(id) = queries.ids.get(query).filter(|_| !relevant.is_empty()) else { continue };
            if asks == answers {
                // A query is no answer to itself.
                let own = place.get(query).and_then(|at| scores.get_mut(*at));
                own.into_iter().for_each(|score| *score = f32::NEG_INFINITY);
            }
            let ranks = relevant.iter().filter_map(|document| place.get(*document));
            let judged = ranks.map(|at| (u32::try_from(rank(scores, *at)).ok(), 1));
            let id = task.full_id(asks, id);
            measured.outcomes.push(Outcome::new(&id, *cluster, judged));
            measured.positions.push(query);
            let best = top_k(scores, RANKING_DEPTH).into_iter().filter_map(|at| {
                let document = documents.ids.get(*order.get(at)?)?;
                let score = scores.get(at).filter(|score| **score > f32::NEG_INFINITY)?;
                Some((task.full_id(answers, document), *score))
            });
            measured.rankings.push(Ranking { query_id: id, documents: best.collect() });
        }
    }
    Ok(measured)
}

/// Positions in descending order of the ids' bytes.
fn by_descending_id(ids: &[String]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by(|a, b| ids.get(*b).map(String::as_bytes).cmp(&ids.get(*a).map(String::as_bytes)));
    order
}
