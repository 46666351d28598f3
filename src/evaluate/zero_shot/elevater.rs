//! The predictions file of the ELEVATER benchmark as the reference writes it.
use std::io::Write;

use crate::evaluate::files::{float_text, json_text};

/// What the file says of the model.
#[derive(Debug, Clone, Copy)]
pub struct ElevaterModel<'a> {
    /// The reference writes `CN-CLIP-` and the name of the image tower.
    pub name: &'a str,
    pub parameters: u64,
    pub visual_parameters: u64,
}

/// Writes probabilities `[images, classes]`, rounded to six decimals; to the byte what the reference writes for them.
pub fn elevater_json(
    out: &mut impl Write,
    model: ElevaterModel<'_>,
    dataset: &str,
    probabilities: &[f32],
    classes: usize,
) -> std::io::Result<()> {
    let ElevaterModel { name, parameters, visual_parameters } = model;
    write!(
        out,
        "{{\"model_name\": {}, \"dataset_name\": {}, \"num_trainable_params\": 0, \"num_params\": {parameters}, \
         \"num_visual_params\": {visual_parameters}, \"num_backbone_params\": {parameters}, \"n_shot\": 0, \
         \"rnd_seeds\": [123], \"predictions\": [[",
        json_text(name),
        json_text(dataset),
    )?;
    for (row, image) in probabilities.chunks(classes.max(1)).enumerate() {
        let values: Vec<String> = image.iter().map(|value| float_text(rounded(*value))).collect();
        write!(out, "{}[{}]", if row == 0 { "" } else { ", " }, values.join(", "))?;
    }
    write!(out, "]]}}")
}

/// `round(value, 6)` of Python: the f64 nearest to the six decimals nearest to the value.
fn rounded(value: f32) -> f64 {
    let value = f64::from(value);
    format!("{value:.6}").parse().unwrap_or(value)
}
