//! How is an item found? Keywords in tantivy, exact vectors, and their fusion.

mod about;
mod collection;
mod documents;
mod error;
mod fusion;
mod labelled_pool;
mod searcher;
mod spec;
mod text;
mod tuning;
mod vector;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use crate::data::ItemKind;
use crate::embed::EmbeddingSummary;
use crate::model::{Checkpoint, Tokenizer};
use crate::stage::{Shard, ShardReceipt, Stage, StageContext, StageError};
use crate::store::StoreError;

pub use about::{AboutDictionary, AboutIndex};
pub use error::IndexError;
pub use fusion::{
    AlphaQuery, AlphaSpec, Fusion, FusionSpec, Leg, LegWeights, RANK_CONSTANT, Tuned, TunedAlpha, convex_combination,
    distribution_fusion, reciprocal_rank_fusion, tune_alpha,
};
pub use labelled_pool::{LabelledPool, Legs};
pub use searcher::{Hit, IndexedRow, Query, SearchMode, SearchOptions, Searcher};
pub use spec::{AnalyzerKind, IndexNeeds, IndexSpec, TextIndexSpec, VectorIndexKind, VectorIndexSpec};
pub use text::{
    Analysis, Analyzer, Document, KeywordIndex, NormalForms, UserDictionary, UserWord, grams, write_keywords,
};
pub use tuning::AboutTuning;
pub use vector::{
    AboutVectors, Effort, Recall, RecallSource, VectorIndex, VectorIndexOptions, build_vectors, delete_vectors,
    open_vectors,
};

use collection::folders;
use documents::{Documents, Items};
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
        let Documents { images, texts } = Documents::read(context, &summary, folder, &self.spec)?;
        if images.documents.is_empty() {
            return Err(IndexError::Empty.into());
        }
        let text = &self.spec.text;
        let words = self.dictionary()?;
        let dictionary = words.as_deref().map(UserDictionary::parse).transpose()?;
        let analyzer = Analyzer::new(text.analyzer, text.hmm, dictionary.as_ref())?;
        // Images are asked for by texts mostly, and texts by images where vectors alone decide.
        let built = self.write(context.out, ItemKind::Image, &analyzer, (&images, &texts))?;
        if !texts.documents.is_empty() {
            self.write(context.out, ItemKind::Text, &analyzer, (&texts, &images))?;
        }
        let mut about = AboutIndex {
            version: VERSION,
            rows: images.documents.len(),
            texts: texts.documents.len(),
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
            let source = TuningSource { context, summary: &summary, folder, model: &needs.model };
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
            "{} images, {} texts, {} dimensions; {:?} vector index: {}",
            about.rows, about.texts, about.dimension, built.kind, built.reason
        ));
        let rows = (about.rows + about.texts) as u64;
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

    /// Writes keywords and vectors of the items of one kind; vectors of the other stand for queries when recall is measured.
    fn write(
        &self,
        out: &Path,
        kind: ItemKind,
        analyzer: &Analyzer,
        (items, others): (&Items, &Items),
    ) -> Result<AboutVectors, IndexError> {
        let [keywords, vectors] = folders(out, kind);
        write_keywords(&keywords, analyzer, self.spec.text.second_field().is_some(), &items.documents)?;
        let rows = items.documents.len();
        // Both kinds share the memory that searches may keep busy.
        let share = rows as f64 / (rows + others.documents.len()).max(1) as f64;
        let options = VectorIndexOptions {
            dimension: items.vectors.len() / rows.max(1),
            kind: self.spec.vector.kind,
            memory_bytes: self.spec.vector.memory_mib.map(|mib| ((mib << 20) as f64 * share) as u64),
            recall: self.spec.vector.recall,
            queries: &others.sample,
        };
        build_vectors(&vectors, &items.vectors, &options)
    }
}
