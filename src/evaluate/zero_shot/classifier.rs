//! A classifier made of the names of the classes: `zero_shot_classifier` of the reference.
use rayon::prelude::*;

use super::{Templates, ZeroShotError};
use crate::model::nearest::dot;

/// What the reference multiplies cosines with.
const SCALE: f32 = 100.0;

/// One unit vector for each class.
#[derive(Debug, Clone, PartialEq)]
pub struct Classifier {
    /// `[classes, dimension]`
    weights: Vec<f32>,
    dimension: usize,
}

impl Classifier {
    /// Encodes every class with every template; a class is the mean of its prompts' unit vectors, made a unit vector.
    ///
    /// `encode_texts` gives `[texts, dimension]`, of any length, for texts as they are written.
    pub fn new<E: From<ZeroShotError>>(
        classes: &[String],
        templates: &Templates,
        mut encode_texts: impl FnMut(&[String]) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        let (mut weights, mut dimension) = (Vec::new(), 0);
        for class in classes {
            let prompts = templates.prompts(class);
            let vectors = encode_texts(&prompts)?;
            if dimension == 0 {
                dimension = vectors.len() / prompts.len();
            }
            if dimension == 0 || vectors.len() != prompts.len() * dimension {
                return Err(ZeroShotError::Shape { expected: prompts.len(), found: vectors.len() }.into());
            }
            weights.extend(class_vector(&vectors, dimension));
        }
        if weights.is_empty() {
            return Err(ZeroShotError::NoClasses.into());
        }
        Ok(Self { weights, dimension })
    }

    pub fn classes(&self) -> usize {
        self.weights.len() / self.dimension
    }

    /// 100 times the cosine of every image and class, `[images, classes]`; `images` is `[images, dimension]`, of any length.
    pub fn logits(&self, images: &[f32]) -> Result<Vec<f32>, ZeroShotError> {
        if !images.len().is_multiple_of(self.dimension) {
            return Err(ZeroShotError::Shape { expected: images.len() / self.dimension + 1, found: images.len() });
        }
        let row = |image: &[f32]| {
            let image = unit(image);
            let logit = |class: &[f32]| SCALE * dot(&image, class);
            self.weights.chunks_exact(self.dimension).map(logit).collect::<Vec<f32>>()
        };
        Ok(images.par_chunks_exact(self.dimension).flat_map_iter(row).collect())
    }
}

/// Probabilities of the classes, `[images, classes]`, as the reference keeps them.
pub fn softmax_rows(logits: &[f32], classes: usize) -> Vec<f32> {
    let mut probabilities = logits.to_vec();
    for row in probabilities.chunks_mut(classes.max(1)) {
        let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|logit| *logit = (*logit - highest).exp());
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|value| *value /= sum);
    }
    probabilities
}

fn class_vector(vectors: &[f32], dimension: usize) -> Vec<f32> {
    let mut mean = vec![0.0f32; dimension];
    for vector in vectors.chunks_exact(dimension) {
        mean.iter_mut().zip(unit(vector)).for_each(|(mean, value)| *mean += value);
    }
    unit(&mean)
}

fn unit(vector: &[f32]) -> Vec<f32> {
    let norm = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt() as f32;
    // A vector of zeros has no direction; left alone, it is no better than chance.
    let norm = if norm > 0.0 { norm } else { 1.0 };
    vector.iter().map(|value| value / norm).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_the_mean_of_directions_not_of_vectors() {
        let classes = ["猫".to_owned()];
        let templates = Templates::named("hatefulmemes").unwrap();
        let encode = |texts: &[String]| {
            assert_eq!(texts, ["一个猫", "猫"]);
            Ok::<_, ZeroShotError>(vec![300.0, 0.0, 0.0, 1.0])
        };
        let classifier = Classifier::new(&classes, &templates, encode).unwrap();
        let logits = classifier.logits(&[2.0, 0.0, 0.0, 0.5, 0.0, 0.0]).unwrap();
        assert!((logits[0] - 70.710_68).abs() < 1e-4 && (logits[1] - 70.710_68).abs() < 1e-4, "{logits:?}");
        assert_eq!(logits[2], 0.0);
    }

    #[test]
    fn vectors_that_are_not_one_for_each_prompt_are_refused() {
        let short = |_: &[String]| Ok::<_, ZeroShotError>(vec![1.0; 3]);
        assert!(Classifier::new(&["猫".to_owned()], &Templates::named("hatefulmemes").unwrap(), short).is_err());
        let none = |_: &[String]| Ok::<_, ZeroShotError>(Vec::new());
        assert!(matches!(Classifier::new(&[], &Templates::named("fer").unwrap(), none), Err(ZeroShotError::NoClasses)));
    }
}
