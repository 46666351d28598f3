//! `kind: finetune`: one stage of contrastive training, from the checkpoint of another stage to its own.
use super::base_model::checkpoint_receipt;
use super::loader::{Loader, LoaderOptions};
use super::log::LOG_FILE;
use super::resume::ResumeState;
use super::run::Run;
use super::{DroppedItems, FinetuneSpec, Keep, OptimizerStart, TrainError, ValidationPool, advice};
use crate::augment::AugmentSpec;
use crate::data::ItemKind;
use crate::ingest::{Dataset, Leaks};
use crate::model::{
    Checkpoint, ClipConfig, Encoder, Precision, StateDict, Tower, Trainer, VisionConfig, read_safetensors,
    write_safetensors,
};
use crate::stage::{Shard, ShardReceipt, Stage, StageContext, StageError};
use crate::store::write_whole;

const LAST_FILE: &str = "last.safetensors";
const OPTIMIZER_FILE: &str = "optimizer.safetensors";

/// Fine-tunes the checkpoint of another stage.
#[derive(Debug, Clone)]
pub struct Finetune {
    pub spec: FinetuneSpec,
    pub seed: u64,
}

/// What a run works on; lives as long as it.
pub(super) struct Materials {
    pub(super) start: Checkpoint,
    pub(super) dataset: Dataset,
    pub(super) teacher: Option<Encoder>,
    pub(super) dropped: DroppedItems,
}

impl Stage for Finetune {
    fn run_shard(&self, context: &StageContext<'_>, shard: &Shard) -> Result<ShardReceipt, StageError> {
        let materials = self.materials(context)?;
        let loader = self.loader(&materials)?;
        let mut run = self.run(context, &materials, &loader)?;
        run.train()?;
        self.finish_run(run, &materials, context, shard)
    }
}

impl Finetune {
    /// The seed of the stage.
    pub(super) fn seed(&self) -> u64 {
        self.spec.seed.unwrap_or(self.seed)
    }

    pub(super) fn materials(&self, context: &StageContext<'_>) -> Result<Materials, StageError> {
        let start = Checkpoint::open(&context.input(&self.spec.needs.model)?.sealed.folder)?;
        let dataset = Dataset::open(&context.input(&self.spec.needs.data)?.sealed)?;
        let teacher = match &self.spec.needs.teacher {
            None => None,
            Some(id) => {
                let Checkpoint { config, state } = Checkpoint::open(&context.input(id)?.sealed.folder)?;
                Some(Encoder::new(&config, state, context.device, Precision::Fp32)?)
            }
        };
        check_recipe(&self.spec, &start.config)?;
        let dropped = match &self.spec.needs.audit {
            None => DroppedItems::default(),
            Some(id) => {
                let leaks = Leaks::open(&context.input(id)?.sealed.folder)?;
                let of = |kind| leaks.dropped(&self.spec.needs.data, kind);
                DroppedItems { images: of(ItemKind::Image), texts: of(ItemKind::Text) }
            }
        };
        let count = dropped.images.len() + dropped.texts.len();
        if count > 0 {
            context.note(&format!("{count} images and texts leak into what is measured and are left out of training"));
        }
        Ok(Materials { start, dataset, teacher, dropped })
    }

    pub(super) fn loader<'a>(&self, materials: &'a Materials) -> Result<Loader<'a>, StageError> {
        let config = &materials.start.config;
        let teacher_side = materials.teacher.as_ref().map(|t| t.config().vision.image_resolution() as u32);
        let options = LoaderOptions {
            batch_size: self.spec.batch_size,
            side: config.vision.image_resolution() as u32,
            teacher_side,
            context_length: config.context_length,
            augment: self.spec.augment.clone(),
            positives: self.spec.positives,
            sampler: self.spec.sampler,
            dropped: materials.dropped.clone(),
            seed: self.seed(),
        };
        Loader::new(&materials.dataset, &self.spec.needs.data, options)
    }

    pub(super) fn trainer(&self, context: &StageContext<'_>, start: &Checkpoint) -> Result<Trainer, StageError> {
        let devices = context.device.each();
        Ok(Trainer::new(&start.config, start.state.clone(), &devices, self.spec.trainer_options())?)
    }

    fn run<'a>(
        &'a self,
        context: &'a StageContext<'a>,
        materials: &'a Materials,
        loader: &'a Loader<'a>,
    ) -> Result<Run<'a>, StageError> {
        let start = &materials.start;
        let validation = ValidationPool::new(&materials.dataset, &start.config)?;
        let mut trainer = self.trainer(context, start)?;
        let saved = ResumeState::load(context.scratch)?;
        if self.spec.optimizer == OptimizerStart::Inherit && saved.is_none() {
            trainer.inherit_optimizer(&inherited(context, &self.spec.needs.model)?)?;
        }
        let mut run =
            Run::new(&self.spec, self.seed(), context, loader, validation, materials.teacher.as_ref(), trainer);
        match saved {
            None => run.start_from(&start.state),
            Some(saved) => {
                context.note(&format!("continues after step {}", saved.progress.steps));
                run.resume(saved)?;
            }
        }
        advice::warn(&self.spec, context, &run, start.config.parameters().total);
        Ok(run)
    }

    fn finish_run(
        &self,
        run: Run<'_>,
        materials: &Materials,
        context: &StageContext<'_>,
        shard: &Shard,
    ) -> Result<ShardReceipt, StageError> {
        let out = context.out;
        let mut files = vec![LAST_FILE, LOG_FILE];
        write_safetensors(&out.join(LAST_FILE), &run.trainer().averaged_state()?)?;
        if self.spec.keep_optimizer {
            write_safetensors(&out.join(OPTIMIZER_FILE), &run.trainer().optimizer_state()?)?;
            files.push(OPTIMIZER_FILE);
        }
        let mut state = match self.spec.keep {
            Keep::Best => run.best().clone(),
            Keep::Last => run.trainer().averaged_state()?,
        };
        if let Some(share) = self.spec.interpolation {
            interpolate(&mut state, &materials.start.state, share);
        }
        let stats = run.stats();
        write_whole(&out.join(LOG_FILE), run.into_log().as_bytes())?;
        Checkpoint { config: materials.start.config.clone(), state }.save(out)?;
        Ok(checkpoint_receipt(shard, stats, &files))
    }
}

/// The moments that another stage ended with.
fn inherited(context: &StageContext<'_>, id: &str) -> Result<StateDict, StageError> {
    let path = context.input(id)?.sealed.folder.join(OPTIMIZER_FILE);
    if !path.is_file() {
        return Err(TrainError::NoOptimizer { stage: id.to_owned() }.into());
    }
    Ok(read_safetensors(&path)?)
}

/// `share` of the tuned weights, the rest of those they started from (Wortsman et al., 2022).
fn interpolate(state: &mut StateDict, start: &StateDict, share: f64) {
    for (key, tensor) in state {
        let Some(from) = start.get(key) else { continue };
        for (value, from) in tensor.values.iter_mut().zip(&from.values) {
            *value = (share * f64::from(*value) + (1.0 - share) * f64::from(*from)) as f32;
        }
    }
}

/// What only the model can tell of a recipe.
fn check_recipe(spec: &FinetuneSpec, config: &ClipConfig) -> Result<(), TrainError> {
    let expected = config.vision.image_resolution() as u32;
    for step in &spec.augment {
        if let AugmentSpec::RandomResizedCrop(crop) = step
            && let Some(found) = crop.size.filter(|size| *size != expected)
        {
            return Err(TrainError::CropSize { expected, found });
        }
    }
    if spec.mask_ratio > 0.0 && matches!(config.vision, VisionConfig::ResNet(_)) {
        return Err(TrainError::MaskedResidualNetwork);
    }
    // The adapted matrices are those of transformer blocks.
    if spec.lora.is_some() && spec.freeze.contains(&Tower::Text) && matches!(config.vision, VisionConfig::ResNet(_)) {
        return Err(TrainError::NothingToTrain);
    }
    Ok(())
}
