//! How is an item found? Keywords in tantivy, exact vectors, and their fusion.

mod error;
mod fusion;
mod labelled_pool;
mod searcher;
mod spec;
mod text;
mod tuning;
mod vector;

use std::collections::{BTreeMap, HashMap};

use serde_json::json;

use crate::data::{ItemKind, Split};
use crate::embed::EmbeddingSummary;
use crate::ingest::Dataset;
use crate::model::{Checkpoint, Tokenizer};
use crate::stage::{Shard, ShardReceipt, Stage, StageContext, StageError};
use crate::store::StoreError;

pub use error::IndexError;
pub use fusion::{
    AlphaQuery, AlphaSpec, Fusion, FusionSpec, Leg, LegWeights, RANK_CONSTANT, Tuned, TunedAlpha, convex_combination,
    distribution_fusion, reciprocal_rank_fusion, tune_alpha,
};
pub use labelled_pool::{LabelledPool, Legs};
pub use searcher::{AboutDictionary, AboutIndex, Hit, IndexedRow, Query, SearchMode, Searcher};
pub use spec::{AnalyzerKind, IndexNeeds, IndexSpec, TextIndexSpec, VectorIndexKind, VectorIndexSpec};
pub use text::{
    Analysis, Analyzer, Document, KeywordIndex, NormalForms, UserDictionary, UserWord, grams, write_keywords,
};
pub use tuning::AboutTuning;
pub use vector::{
    AboutVectors, Effort, Recall, RecallSource, VectorIndex, VectorIndexOptions, build_vectors, delete_vectors,
    open_vectors,
};

use fusion::EVEN_ALPHA;
use tuning::{TuningSource, tune};

/// Version of the stage's results.
pub const VERSION: u32 = 4;

/// Candidates that each side hands to the fusion.
pub const FUSION_DEPTH: usize = 100;

/// `kind: index`.
#[derive(Debug, Clone)]
pub struct BuildIndex {
    pub spec: IndexSpec,
}

/// Texts of a split that stand for queries when recall is measured.
const SAMPLED_TEXTS: usize = 1_000;

impl Stage for BuildIndex {
    fn run_shard(&self, context: &StageContext<'_>, shard: &Shard) -> Result<ShardReceipt, StageError> {
        let needs = &self.spec.needs;
        let folder = &context.input(&needs.embeddings)?.sealed.folder;
        let summary = EmbeddingSummary::open(folder)?;
        let embedded = summary.model(&needs.model)?;
        let model = context.input(&needs.model)?.key.clone();
        if model.fingerprint != embedded.fingerprint {
            let (expected, found) = (model.fingerprint.to_string(), embedded.fingerprint.to_string());
            return Err(IndexError::OtherModel { expected, found }.into());
        }
        let context_length = Checkpoint::open_config(&context.input(&needs.model)?.sealed.folder)?.context_length;
        let mut documents = Vec::new();
        let mut vectors = Vec::new();
        let mut queries = Vec::new();
        let mut datasets = Vec::new();
        for data in &summary.data {
            let dataset = Dataset::open(&context.input(data)?.sealed)?;
            let sources = dataset.image_sources()?;
            for split in Split::ALL {
                let mut captions = captions(&dataset, split)?;
                let images = summary.read(folder, &needs.model, data, split, ItemKind::Image)?;
                vectors.extend_from_slice(&images.vectors);
                let texts = summary.read(folder, &needs.model, data, split, ItemKind::Text)?;
                queries.extend(evenly(&texts.vectors, texts.dimension));
                documents.extend(images.ids.into_iter().map(|image_id| Document {
                    id: format!("{data}/{image_id}"),
                    data: data.clone(),
                    split,
                    source: sources.get(&image_id).cloned().unwrap_or_default(),
                    captions: captions.remove(&image_id).unwrap_or_default(),
                    image_id,
                }));
            }
            datasets.push((data.clone(), dataset));
        }
        if documents.is_empty() {
            return Err(IndexError::Empty.into());
        }
        let text = &self.spec.text;
        let words = self.dictionary()?;
        let dictionary = words.as_deref().map(UserDictionary::parse).transpose()?;
        let analyzer = Analyzer::new(text.analyzer, text.hmm, dictionary.as_ref())?;
        write_keywords(&context.out.join("keywords"), &analyzer, text.second_field().is_some(), &documents)?;
        let options = VectorIndexOptions {
            dimension: embedded.dimension,
            kind: self.spec.vector.kind,
            memory_bytes: self.spec.vector.memory_mib.map(|mib| mib << 20),
            recall: self.spec.vector.recall,
            queries: &queries,
        };
        let built = build_vectors(&context.out.join("vectors"), &vectors, &options)?;
        let mut about = AboutIndex {
            version: VERSION,
            rows: documents.len(),
            dimension: embedded.dimension,
            model,
            context_length,
            tokenizer: Tokenizer::default().digest(),
            analyzer: text.analyzer,
            hmm: text.hmm,
            bigram_weight: text.second_field(),
            dictionary: dictionary.map(|used| AboutDictionary { digest: used.digest, version: used.version }),
            fusion: self.spec.fusion.with_alpha(EVEN_ALPHA),
            tuning: None,
        };
        about.save(context.out, words.as_deref())?;
        if self.spec.fusion.is_tuned() {
            let source = TuningSource { summary: &summary, folder, model: &needs.model, datasets: &datasets };
            let tuning = tune(&Searcher::open(context.out)?, &source)?;
            context.note(&format!(
                "vectors weigh {:.2}, found on {} validation queries of {} (MRR {:.3})",
                tuning.alpha,
                tuning.queries,
                tuning.data.join(", "),
                tuning.mrr
            ));
            about.fusion = self.spec.fusion.with_alpha(tuning.alpha);
            about.tuning = Some(tuning);
            about.save(context.out, words.as_deref())?;
        }
        context.note(&format!(
            "{} images, {} dimensions; {:?} vector index: {}",
            about.rows, about.dimension, built.kind, built.reason
        ));
        let rows = documents.len() as u64;
        Ok(ShardReceipt {
            shard: shard.clone(),
            rows_in: rows,
            rows_out: rows,
            rows_quarantined: 0,
            rows_left_out: 0,
            shared: Vec::new(),
            digested: Vec::new(),
            files: vec!["index.json".to_owned(), "vectors/vectors.json".to_owned()],
            stats: BTreeMap::from([("documents".to_owned(), json!(rows))]),
        })
    }
}

impl BuildIndex {
    fn dictionary(&self) -> Result<Option<String>, StageError> {
        let Some(path) = &self.spec.text.dictionary else {
            return Ok(None);
        };
        Ok(Some(std::fs::read_to_string(path).map_err(StoreError::io(path))?))
    }
}

/// Captions of every image of a split, in source order.
fn captions(dataset: &Dataset, split: Split) -> Result<HashMap<String, Vec<String>>, StageError> {
    let texts: HashMap<String, String> = dataset.texts(split)?.into_iter().map(|text| (text.id, text.text)).collect();
    let mut captions: HashMap<String, Vec<String>> = HashMap::new();
    for pair in dataset.pairs(split)? {
        if let Some(text) = texts.get(&pair.text_id) {
            captions.entry(pair.image_id).or_default().push(text.clone());
        }
    }
    Ok(captions)
}

/// At most [`SAMPLED_TEXTS`] of `[rows, dimension]` vectors, evenly spread.
fn evenly(vectors: &[f32], dimension: usize) -> impl Iterator<Item = f32> {
    let rows = vectors.len() / dimension.max(1);
    let step = rows.div_ceil(SAMPLED_TEXTS).max(1);
    vectors.chunks(dimension.max(1)).step_by(step).flatten().copied()
}
