//! The operations of automatic augmentation, each with its argument.
use super::{
    adjust_contrast, adjust_saturation, adjust_sharpness, auto_contrast, equalize, invert, posterize, rotate, shear_x,
    solarize,
};
use crate::ingest::Picture;

/// The model's mean colour, `round(255 · MEAN)`: what rotations and shears show of the outside.
const FILL: [u8; 3] = [123, 117, 104];

/// One of the operations that the policies combine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operation {
    AutoContrast,
    Color { factor: f64 },
    Contrast { factor: f64 },
    Equalize,
    Invert,
    Posterize { bits: u32 },
    Rotate { degrees: f64 },
    Sharpness { factor: f64 },
    ShearX { factor: f64 },
    Solarize { threshold: u32 },
}

impl Operation {
    pub fn apply(self, mut rgb: Picture) -> Picture {
        match self {
            Self::AutoContrast => auto_contrast(&mut rgb),
            Self::Color { factor } => adjust_saturation(&mut rgb, factor),
            Self::Contrast { factor } => adjust_contrast(&mut rgb, factor),
            Self::Equalize => equalize(&mut rgb),
            Self::Invert => invert(&mut rgb),
            Self::Posterize { bits } => posterize(&mut rgb, bits),
            Self::Rotate { degrees } => return rotate(&rgb, degrees, FILL),
            Self::Sharpness { factor } => adjust_sharpness(&mut rgb, factor),
            Self::ShearX { factor } => return shear_x(&rgb, factor, FILL),
            Self::Solarize { threshold } => solarize(&mut rgb, threshold),
        }
        rgb
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MEAN;

    #[test]
    fn the_fill_is_the_mean_colour() {
        assert_eq!(FILL, MEAN.map(|mean| (255.0 * mean).round() as u8));
    }
}
