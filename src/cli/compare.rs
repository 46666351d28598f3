//! `tuwen compare A B`: what changed between two models or releases, and whether it is noise.
use std::fmt::Write;

use clap::Args;
use serde_json::json;

use super::releases::find;
use super::setup::{StoreArgs, find_pipeline};
use super::{Failure, Output};
use crate::data::{ArtifactKind, ErrorClass, Release};
use crate::evaluate::{
    Comparison, Metric, OutcomeGroup, Paired, RankedGroup, ResamplingOptions, churn, comparison_text, read_outcomes,
    read_rankings,
};
use crate::stage::StageError;
use crate::store::{Store, open_artifact};

/// Neighbours that churn looks at.
const NEIGHBOURS: usize = 10;

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// RELEASE, RELEASE:MODEL or :MODEL; a release by number or tag [without one: the current release; without a model:
    /// its last].
    before: String,
    /// The same.
    after: String,
    /// Metrics to compare.
    #[arg(long, value_delimiter = ',', default_value = "hit@1,hit@5,hit@10,mean_recall,mrr")]
    metrics: Vec<Metric>,
    /// Only this data set.
    #[arg(long)]
    dataset: Option<String>,
    /// Gained and lost queries that are listed for every metric.
    #[arg(long, default_value_t = 5)]
    queries: usize,
    /// Name of the pipeline, where the store has several.
    #[arg(long)]
    pipeline: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

/// One side of a comparison.
struct Side {
    title: String,
    outcomes: Vec<OutcomeGroup>,
    rankings: Vec<RankedGroup>,
}

pub fn run(args: &CompareArgs) -> Result<Output, Failure> {
    let store = args.store.open()?;
    let pipeline = find_pipeline(&store, args.pipeline.as_deref())?;
    let before = Side::open(&store, &pipeline, &args.before)?;
    let after = Side::open(&store, &pipeline, &args.after)?;
    let mut text = format!("{} -> {}\n", before.title, after.title);
    let mut rows = Vec::new();
    for candidate in &after.outcomes {
        if args.dataset.as_ref().is_some_and(|wanted| *wanted != candidate.dataset) {
            continue;
        }
        let is_same =
            |dataset: &str, direction: &str| dataset == candidate.dataset && direction == candidate.direction.as_str();
        let same = before.outcomes.iter().find(|group| is_same(&group.dataset, group.direction.as_str()));
        let Some(published) = same else { continue };
        let paired = Paired::join(&published.outcomes, &candidate.outcomes).map_err(StageError::from)?;
        let comparison = Comparison::new(&paired, &args.metrics, ResamplingOptions::default());
        let ranked = |side: &'_ [RankedGroup]| {
            side.iter().find(|group| is_same(&group.dataset, &group.direction)).map(|group| group.rankings.clone())
        };
        let churn = match (ranked(&before.rankings), ranked(&after.rankings)) {
            (Some(before), Some(after)) => churn(&before, &after, NEIGHBOURS),
            _ => None,
        };
        let _ = writeln!(text, "\n{} {}, {}", candidate.dataset, candidate.split, candidate.direction.as_str());
        text.push_str(&comparison_text(&comparison, args.queries));
        if let Some(churn) = &churn {
            let _ = writeln!(
                text,
                "overlap@{NEIGHBOURS} {:.3}; the first result changed for {:.1} % of the queries",
                churn.overlap,
                100.0 * churn.first_changed
            );
        }
        rows.push(json!({ "dataset": candidate.dataset, "direction": candidate.direction, "comparison": comparison, "churn": churn }));
    }
    if rows.is_empty() {
        let message = "the two have no data set in common; name others, or leave --dataset out";
        return Err(Failure::new(ErrorClass::NotFound, message));
    }
    Ok(Output { text, json: json!({ "before": before.title, "after": after.title, "comparisons": rows }) })
}

impl Side {
    fn open(store: &Store, pipeline: &str, name: &str) -> Result<Self, Failure> {
        let (release, model) = name.split_once(':').map_or((name, None), |(release, model)| (release, Some(model)));
        let release = find(store, pipeline, (!release.is_empty()).then_some(release))?;
        let folder = scores(store, &release)?;
        let mut outcomes = read_outcomes(&folder)?;
        let model = match model {
            Some(model) => model.to_owned(),
            None => outcomes.last().map(|group| group.model.clone()).unwrap_or_default(),
        };
        let mut known: Vec<String> = outcomes.iter().map(|group| group.model.clone()).collect();
        outcomes.retain(|group| group.model == model);
        if outcomes.is_empty() {
            known.sort();
            known.dedup();
            let message =
                format!("release {} has no scores of `{model}`; it has: {}", release.number, known.join(", "));
            return Err(Failure::new(ErrorClass::NotFound, message));
        }
        let mut rankings = read_rankings(&folder)?;
        rankings.retain(|group| group.model == model);
        Ok(Self { title: format!("release {}, {model}", release.number), outcomes, rankings })
    }
}

/// The folder of a release's scores.
fn scores(store: &Store, release: &Release) -> Result<std::path::PathBuf, Failure> {
    let key = release.artifacts.values().find(|key| key.kind == ArtifactKind::Scores);
    let missing = || {
        let message = format!("release {} of {} has no stage of kind evaluate", release.number, release.pipeline);
        Failure::new(ErrorClass::NotFound, message)
    };
    Ok(open_artifact(store, key.ok_or_else(missing)?)?.folder)
}
