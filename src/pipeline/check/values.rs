//! Values that are well-formed but make no sense.
use super::Problems;
use crate::augment::AugmentSpec;
use crate::data::table::Table;
use crate::evaluate::{ALL_QUERIES, EvaluateSpec, GateSpec, UNLEAKED_QUERIES};
use crate::ingest::{DecodeCheck, GroupBy, IngestSpec};
use crate::model::{ConfigChanges, Tower, preset, text_preset};
use crate::pipeline::node::Node;
use crate::pipeline::spec::{PipelineSpec, StageSpec};
use crate::store::RowFilter;
use crate::train::FinetuneSpec;

pub(super) fn check(root: &Node, spec: &PipelineSpec, problems: &mut Problems) {
    for stage in &spec.stages {
        let mut report = |field: &str, message: String, remedy: &str| {
            problems.report_stage(root, stage.position, field, message, remedy);
        };
        match &stage.spec {
            StageSpec::Ingest(ingest) => check_ingest(ingest, &mut report),
            StageSpec::Index(index) => {
                if let Some(problem) = index.fusion.problem() {
                    report("fusion", problem.to_owned(), "change the numbers");
                }
            }
            StageSpec::Evaluate(evaluate) => check_evaluate(evaluate, &mut report),
            StageSpec::Finetune(finetune) => check_finetune(finetune, &mut report),
            StageSpec::Model(model) => match preset(&model.preset) {
                Err(error) => report("preset", error.to_string(), "choose one of them"),
                Ok(mut config) => {
                    match model.text_model.as_deref().map(text_preset) {
                        Some(Ok(text)) => config.text = text,
                        Some(Err(error)) => report("text_model", error.to_string(), "choose one of them"),
                        None => {}
                    }
                    let most = config.text.max_position_embeddings;
                    if model.context_length.is_some_and(|length| length > most) {
                        let message = format!("{} takes at most {most} tokens", model.preset);
                        report("context_length", message, "lower it");
                    }
                    let image_resolution = model.image_resolution;
                    if let Err(error) = config.with(ConfigChanges { image_resolution, context_length: None }) {
                        report("image_resolution", error.to_string(), "choose a multiple of the patch size");
                    }
                }
            },
            _ => {}
        }
    }
}

fn check_evaluate(evaluate: &EvaluateSpec, report: &mut impl FnMut(&str, String, &str)) {
    if let Some(problem) = evaluate.gate.as_ref().and_then(GateSpec::problem) {
        report("gate", problem, "change the numbers");
    }
    for (name, group) in &evaluate.groups {
        if name == ALL_QUERIES || name == UNLEAKED_QUERIES {
            report("groups", format!("`{name}` is the name of a subset that is always there"), "choose another name");
        }
        for (sql, table) in [(&group.texts, Table::Texts), (&group.images, Table::Images)] {
            if let Some(Err(error)) = sql.as_ref().map(|sql| RowFilter::new(sql, table.schema())) {
                report("groups", error.to_string(), "correct the condition");
            }
        }
    }
}

fn check_ingest(spec: &IngestSpec, report: &mut impl FnMut(&str, String, &str)) {
    if let Some(splits) = spec.source.splits() {
        if spec.split.is_some() {
            let message = "this format brings its own splits".to_owned();
            report("split", message, "remove `split`, or name the splits in `source`");
        }
        let repeated = splits.iter().enumerate().any(|(at, name)| splits.iter().skip(at + 1).any(|n| n == name));
        if splits.is_empty() || repeated {
            report("source", "splits must be named once each".to_owned(), "e.g. splits: [train, valid, test]");
        }
    }
    if let Some(split) = spec.split.as_ref().filter(|split| split.valid + split.test >= 1.0) {
        let message = format!("valid and test take {:.2} of the data", split.valid + split.test);
        report("split", message, "leave something for training: their sum must be below 1");
    }
    if let (Some(split), DecodeCheck::Header) = (&spec.split, spec.decode)
        && split.group_by.contains(&GroupBy::NearDuplicate)
    {
        let message = "near duplicates are found by their pixels".to_owned();
        report("decode", message, "use `decode: full`, or leave `near-duplicate` out of `split.group_by`");
    }
    for (field, sql, table) in [
        ("where.images", &spec.conditions.images, Table::Images),
        ("where.texts", &spec.conditions.texts, Table::Texts),
    ] {
        if let Some(Err(error)) = sql.as_ref().map(|sql| RowFilter::new(sql, table.schema())) {
            report(field, error.to_string(), "write a SQL condition such as `width >= 64`");
        }
    }
}

fn check_finetune(spec: &FinetuneSpec, report: &mut impl FnMut(&str, String, &str)) {
    if spec.beta1 >= 1.0 || spec.beta2 >= 1.0 {
        report("beta1", "betas must be below 1".to_owned(), "the reference uses 0.9 and 0.98");
    }
    if spec.freeze.contains(&Tower::Vision) && spec.freeze.contains(&Tower::Text) {
        report("freeze", "both towers are frozen".to_owned(), "leave one to be trained");
    }
    if spec.accumulation > spec.batch_size {
        let message = format!("{} parts of a batch of {}", spec.accumulation, spec.batch_size);
        report("accumulation", message, "use no more parts than pairs");
    }
    match (&spec.distillation, &spec.needs.teacher) {
        (Some(_), None) => report("distillation", "there is no teacher".to_owned(), "name a stage in needs.teacher"),
        (None, Some(_)) => report("needs.teacher", "the teacher is not used".to_owned(), "add distillation: {}"),
        _ => {}
    }
    if spec.distillation.is_some() && spec.freeze.contains(&Tower::Vision) {
        let message = "a frozen vision tower learns nothing from a teacher".to_owned();
        report("distillation", message, "remove `distillation` or `freeze`");
    }
    for (at, step) in spec.augment.iter().enumerate() {
        let AugmentSpec::RandomResizedCrop(crop) = step else { continue };
        let field = |name: &str| format!("augment[{at}].random_resized_crop.{name}");
        let [low, high] = crop.scale;
        if !(0.0 < low && low <= high && high <= 1.0) {
            report(&field("scale"), format!("[{low}, {high}] is no range of areas"), "use 0 < low <= high <= 1");
        }
        let [low, high] = crop.ratio;
        if !(0.0 < low && low <= high) {
            report(&field("ratio"), format!("[{low}, {high}] is no range of ratios"), "use 0 < low <= high");
        }
        if crop.size == Some(0) {
            report(&field("size"), "the size is 0".to_owned(), "remove `size` to use the model's own");
        }
    }
}
