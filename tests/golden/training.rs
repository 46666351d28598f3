//! What a recipe may ask of a step, each held against plain steps on the reference's tiny model.
use tuwen::model::{
    ComputeDevice, DecayRule, Encoder, GatherGradient, LowRankConfig, LowRankTarget, Precision, StateDict, Tower,
    Trainer, TrainerOptions, TrainingBatch,
};

use super::model::{batch, config, expected, relative_error, tokens, weights};

const RATE: f64 = 1e-3;

fn trainer(options: TrainerOptions) -> Trainer {
    on_devices(1, options)
}

fn on_devices(count: usize, options: TrainerOptions) -> Trainer {
    Trainer::new(&config(), weights(), &vec![ComputeDevice::cpu(); count], options).unwrap()
}

/// Loss, gradient norm and weights after one step.
fn one_step(mut trainer: Trainer) -> (f64, f64, StateDict) {
    let (expected, tokens) = (expected(), tokens());
    let outcome = trainer.step(batch(&expected, &tokens), RATE).unwrap();
    assert!(outcome.applied);
    (outcome.loss, outcome.gradient_norm, trainer.state_dict().unwrap())
}

/// The first moments after one step, which are a tenth of the gradients that were applied.
fn moments(mut trainer: Trainer) -> StateDict {
    let (expected, tokens) = (expected(), tokens());
    trainer.step(batch(&expected, &tokens), RATE).unwrap();
    let state = trainer.optimizer_state().unwrap();
    state.into_iter().filter_map(|(key, tensor)| Some((key.strip_prefix("first.")?.to_owned(), tensor))).collect()
}

fn plain() -> TrainerOptions {
    TrainerOptions::default()
}

/// Largest difference of two states relative to the largest value of each tensor; key biases get no gradient but rounding.
fn difference(a: &StateDict, b: &StateDict) -> f32 {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    let told = a.iter().filter(|(key, _)| !key.contains("key.bias") && !key.contains("in_proj_bias"));
    told.map(|(key, tensor)| relative_error(&tensor.values, &b[key].values)).fold(0.0, f32::max)
}

/// Keys whose tensors differ.
fn changed(a: &StateDict, b: &StateDict) -> Vec<String> {
    a.iter().filter(|(key, tensor)| b[*key] != **tensor).map(|(key, _)| key.clone()).collect()
}

#[test]
fn parts_and_devices_give_the_gradients_of_the_whole_batch() {
    let whole = moments(trainer(plain()));
    for parts in [2, 3, 4] {
        let found = moments(trainer(TrainerOptions { parts, ..plain() }));
        assert!(difference(&whole, &found) < 1e-4, "{parts} parts: {}", difference(&whole, &found));
    }
    for (devices, parts) in [(2, 1), (2, 2), (3, 1)] {
        let found = moments(on_devices(devices, TrainerOptions { parts, ..plain() }));
        assert!(difference(&whole, &found) < 1e-4, "{devices} devices: {}", difference(&whole, &found));
    }
    let local = moments(on_devices(2, TrainerOptions { gather: GatherGradient::Local, ..plain() }));
    for (key, tensor) in &whole {
        let factor = if key == "logit_scale" { 1.0 } else { 2.0 };
        let found: Vec<f32> = local[key].values.iter().map(|v| v * factor).collect();
        if !key.contains("key.bias") && !key.contains("in_proj_bias") {
            assert!(relative_error(&found, &tensor.values) < 1e-4, "{key}");
        }
    }
}

#[test]
fn checkpointing_changes_nothing_but_roundings() {
    for parts in [1, 2] {
        let kept = moments(trainer(TrainerOptions { parts, ..plain() }));
        let computed_again = moments(trainer(TrainerOptions { parts, checkpointing: true, ..plain() }));
        let difference = difference(&kept, &computed_again);
        assert!(difference < 1e-4, "{parts} parts: {difference}");
    }
}

#[test]
fn a_frozen_tower_keeps_its_weights_and_the_other_learns_as_ever() {
    let all = moments(trainer(plain()));
    for (tower, prefix) in [(Tower::Vision, "visual."), (Tower::Text, "bert.")] {
        let (_, _, found) = one_step(trainer(TrainerOptions { frozen: vec![tower], ..plain() }));
        let moved = changed(&found, &weights());
        assert!(moved.iter().all(|key| !key.starts_with(prefix)), "{moved:?}");
        let learnt = moments(trainer(TrainerOptions { frozen: vec![tower], ..plain() }));
        let expected = all.iter().filter(|(key, _)| learnt.contains_key(*key));
        let expected: StateDict = expected.map(|(key, tensor)| (key.clone(), tensor.clone())).collect();
        assert!(learnt.len() > 20 && difference(&learnt, &expected) < 1e-4, "{tower:?}");
        assert_eq!(learnt.contains_key("text_projection"), tower == Tower::Vision);
    }
}

#[test]
fn masked_patches_change_the_loss_reproducibly() {
    let masked = |seed: u64, ratio: f64| {
        let mut trainer = trainer(TrainerOptions { mask_ratio: ratio, ..plain() });
        let (expected, tokens) = (expected(), tokens());
        trainer.step(TrainingBatch { seed, ..batch(&expected, &tokens) }, RATE).unwrap().loss
    };
    assert_eq!(masked(1, 0.5), masked(1, 0.5));
    assert_ne!(masked(1, 0.5), masked(2, 0.5));
    assert_ne!(masked(1, 0.5), masked(1, 0.0));
    assert_eq!(masked(1, 0.0), masked(2, 0.0));
}

#[test]
fn clipping_scales_all_gradients_together() {
    let (_, norm, _) = one_step(trainer(plain()));
    let whole = moments(trainer(plain()));
    let clipped = moments(trainer(TrainerOptions { clip_gradient_norm: Some(norm / 4.0), ..plain() }));
    let scaled = whole.iter().map(|(key, tensor)| {
        let mut tensor = tensor.clone();
        tensor.values.iter_mut().for_each(|v| *v /= 4.0);
        (key.clone(), tensor)
    });
    assert!(difference(&scaled.collect(), &clipped) < 1e-4);
    let loose = moments(trainer(TrainerOptions { clip_gradient_norm: Some(norm * 4.0), ..plain() }));
    assert_eq!(loose, whole);
}

#[test]
fn the_corrected_rule_of_decay_spares_norms() {
    let (_, _, reference) = one_step(trainer(plain()));
    let (_, _, corrected) = one_step(trainer(TrainerOptions { decay_rule: DecayRule::Matrices, ..plain() }));
    let differing = changed(&reference, &corrected);
    assert!(differing.contains(&"bert.embeddings.LayerNorm.weight".to_owned()), "{differing:?}");
    let spared = ["LayerNorm.weight", "class_embedding", "positional_embedding", "position_embeddings", "token_type"];
    assert!(differing.iter().all(|key| spared.iter().any(|part| key.contains(part))), "{differing:?}");
}

#[test]
fn low_rank_training_moves_only_its_targets_and_by_its_rank() {
    let low_rank = LowRankConfig { rank: 1, alpha: 2.0, targets: vec![LowRankTarget::Mlp] };
    let options = TrainerOptions { low_rank: Some(low_rank), ..plain() };
    let mut trainer = trainer(options);
    let (expected, tokens) = (expected(), tokens());
    let losses: Vec<f64> = (0..8).map(|_| trainer.step(batch(&expected, &tokens), 1e-2).unwrap().loss).collect();
    assert!(losses[7] < losses[0], "{losses:?}");
    let (found, start) = (trainer.state_dict().unwrap(), weights());
    let moved = changed(&found, &start);
    let target =
        |key: &String| key.contains("c_fc.weight") || key.contains("c_proj.weight") || key.contains("dense.weight");
    assert!(moved.iter().all(target) && !moved.iter().any(|key| key.contains("attention")), "{moved:?}");
    for key in &moved {
        let (shape, width) = (&found[key].shape, found[key].shape[1]);
        let change = |row: usize, column: usize| {
            found[key].values[row * width + column] - start[key].values[row * width + column]
        };
        // All 2 x 2 minors of a matrix of rank one vanish.
        let largest = (0..shape[0] * width).map(|at| change(at / width, at % width).abs()).fold(0.0, f32::max);
        assert!(largest > 1e-4, "{key} hardly moved");
        for row in 1..shape[0] {
            let minor = change(0, 0) * change(row, 1) - change(0, 1) * change(row, 0);
            assert!(minor.abs() < 1e-3 * largest * largest, "{key}: {minor} for {largest}");
        }
    }
}

#[test]
fn the_average_follows_the_weights() {
    let mut trainer = trainer(TrainerOptions { average_decay: Some(0.9), ..plain() });
    let (expected, tokens) = (expected(), tokens());
    trainer.step(batch(&expected, &tokens), RATE).unwrap();
    let (current, averaged, start) = (trainer.state_dict().unwrap(), trainer.averaged_state().unwrap(), weights());
    for (key, tensor) in &averaged {
        let mean: Vec<f32> =
            start[key].values.iter().zip(&current[key].values).map(|(a, b)| 0.9 * a + 0.1 * b).collect();
        assert!(relative_error(&tensor.values, &mean) < 1e-6, "{key}");
    }
    assert_ne!(averaged, current);
}

#[test]
fn the_average_of_what_stands_still_stands_still() {
    let options = TrainerOptions { average_decay: Some(0.99), frozen: vec![Tower::Text], ..plain() };
    let mut trainer = trainer(options);
    let (expected, tokens) = (expected(), tokens());
    for _ in 0..5 {
        trainer.step(batch(&expected, &tokens), RATE).unwrap();
    }
    let moved = changed(&trainer.averaged_state().unwrap(), &weights());
    assert!(moved.iter().all(|key| !key.starts_with("bert.")), "{moved:?}");
}

#[test]
fn several_positives_share_the_target() {
    let (expected, tokens) = (expected(), tokens());
    let loss = |positives: Option<&[f32]>| {
        let mut trainer = trainer(plain());
        trainer.step(TrainingBatch { positives, ..batch(&expected, &tokens) }, RATE).unwrap().loss
    };
    let mut matrix = vec![0.0f32; 16];
    (0..4).for_each(|i| matrix[i * 5] = 1.0);
    assert!((loss(None) - loss(Some(&matrix))).abs() < 1e-6);
    // The first two images share both captions.
    (matrix[1], matrix[4]) = (1.0, 1.0);
    let logits = &expected["logits_per_image"].values;
    let entropy = |at: &dyn Fn(usize, usize) -> usize| -> f64 {
        let row = |i: usize| {
            let total: f64 = (0..4).map(|j| f64::from(logits[at(i, j)]).exp()).sum();
            let positives: Vec<usize> = (0..4).filter(|j| matrix[at(i, *j)] > 0.0).collect();
            let chosen = positives.iter().map(|j| total.ln() - f64::from(logits[at(i, *j)]));
            chosen.sum::<f64>() / positives.len() as f64
        };
        (0..4).map(row).sum::<f64>() / 4.0
    };
    let by_hand = f64::midpoint(entropy(&|i, j| 4 * i + j), entropy(&|i, j| 4 * j + i));
    assert!((loss(Some(&matrix)) - by_hand).abs() < 1e-4, "{} against {by_hand}", loss(Some(&matrix)));
}

#[test]
fn a_teacher_adds_its_distance_to_the_loss() {
    let (expected, tokens) = (expected(), tokens());
    let encoder = Encoder::new(&config(), weights(), &ComputeDevice::cpu(), Precision::Fp32).unwrap();
    let own = encoder.encode_images(&expected["images"].values, 4).unwrap();
    let loss = |teacher: Option<&[f32]>| {
        let mut trainer = trainer(TrainerOptions { distillation_weight: 0.5, ..plain() });
        trainer.step(TrainingBatch { teacher, ..batch(&expected, &tokens) }, RATE).unwrap().loss
    };
    let plain = loss(None);
    assert!((loss(Some(&own)) - plain).abs() < 1e-5);
    let opposite: Vec<f32> = own.iter().map(|v| -v).collect();
    assert!((loss(Some(&opposite)) - plain - 1.0).abs() < 1e-5);
    // A teacher of another width is met by stretching the student.
    let wide: Vec<f32> = own.iter().flat_map(|v| [*v; 2]).collect();
    let stretched = loss(Some(&wide));
    assert!(stretched > plain && stretched < plain + 0.2, "{stretched} against {plain}");
}

#[test]
fn dropout_can_be_asked_for() {
    let (without, _, _) = one_step(trainer(plain()));
    let (with, _, _) = one_step(trainer(TrainerOptions { dropout: Some(0.5), ..plain() }));
    assert!((with - without).abs() > 1e-3, "{with} against {without}");
}

#[test]
fn what_is_not_finite_is_never_applied() {
    let (mut expected, tokens) = (expected(), tokens());
    expected.get_mut("images").unwrap().values[5] = f32::NAN;
    for precision in [Precision::Fp32, Precision::Bf16, Precision::Fp16] {
        let mut trainer = trainer(TrainerOptions { precision, average_decay: Some(0.5), ..plain() });
        let outcome = trainer.step(batch(&expected, &tokens), RATE).unwrap();
        assert!(!outcome.applied && outcome.loss.is_nan(), "{precision:?}: {outcome:?}");
        assert_eq!(trainer.state_dict().unwrap(), weights());
        assert_eq!(trainer.averaged_state().unwrap(), weights());
    }
}

#[test]
fn a_back_end_that_gives_up_is_an_error_and_no_panic() {
    let (expected, mut tokens) = (expected(), tokens());
    // Outside the table of words.
    tokens[3] = 1_000_000;
    let mut trainer = trainer(plain());
    let error = trainer.step(batch(&expected, &tokens), RATE).unwrap_err().to_string();
    assert!(error.contains("the device failed") && !error.contains('\n'), "{error}");
    assert_eq!(trainer.state_dict().unwrap(), weights());
}

#[test]
fn a_restored_trainer_goes_on_bit_for_bit() {
    let (expected, tokens) = (expected(), tokens());
    let low_rank = LowRankConfig { rank: 2, alpha: 4.0, targets: vec![LowRankTarget::Attention] };
    let recipes = [
        plain(),
        TrainerOptions { average_decay: Some(0.9), precision: Precision::Fp16, ..plain() },
        TrainerOptions { low_rank: Some(low_rank), ..plain() },
        TrainerOptions { frozen: vec![Tower::Vision], ..plain() },
    ];
    for options in recipes {
        let step = |trainer: &mut Trainer| trainer.step(batch(&expected, &tokens), RATE).unwrap();
        let mut whole = trainer(options.clone());
        for _ in 0..3 {
            step(&mut whole);
        }
        let (weights, optimizer) = (whole.state_dict().unwrap(), whole.optimizer_state().unwrap());
        let mut resumed = trainer(options.clone());
        resumed.restore(weights, &optimizer).unwrap();
        for _ in 0..2 {
            assert_eq!(step(&mut whole), step(&mut resumed), "{options:?}");
        }
        assert_eq!(whole.averaged_state().unwrap(), resumed.averaged_state().unwrap(), "{options:?}");
    }
}
