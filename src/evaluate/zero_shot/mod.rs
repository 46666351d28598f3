//! Which class is in the picture, by the names of the classes alone? As the reference's `zeroshot_evaluation.py` has it.

mod accuracy;
mod classifier;
mod elevater;
mod labels;
mod templates;

pub use accuracy::{ZeroShotScore, zero_shot_score};
pub use classifier::{Classifier, softmax_rows};
pub use elevater::{ElevaterModel, elevater_json};
pub use labels::{class_folders, read_labels};
pub use templates::Templates;

use super::files::FileError;

/// Errors of zero-shot classification.
#[derive(Debug, thiserror::Error)]
pub enum ZeroShotError {
    #[error("no templates are called `{name}`; known: {known}; a file of your own has a template a line")]
    UnknownTemplates { name: String, known: String },
    #[error("there are no classes; give a label file with a name a line")]
    NoClasses,
    #[error(
        "{found} values are not one vector for each of {expected} texts or images; encode all of them with one model"
    )]
    Shape { expected: usize, found: usize },
    #[error("image {image} is of class {class}, there are {classes}; the labels do not fit the folders")]
    ClassOutOfRange { image: usize, class: usize, classes: usize },
    #[error(transparent)]
    File(#[from] FileError),
}
