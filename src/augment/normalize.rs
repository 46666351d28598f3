//! RGB bytes to the model's input.
use crate::ingest::Picture;
use crate::model::{MEAN, STD};

/// `(value / 255 - mean) / std` into planar `out` `[3, height, width]`.
pub fn normalize(rgb: &Picture, out: &mut [f32]) {
    let area = rgb.width as usize * rgb.height as usize;
    for ((plane, channel), (mean, std)) in out.chunks_exact_mut(area).zip(0..3).zip(MEAN.iter().zip(&STD)) {
        let values = rgb.pixels.iter().skip(channel).step_by(3);
        for (target, value) in plane.iter_mut().zip(values) {
            *target = (f32::from(*value) / 255.0 - mean) / std;
        }
    }
}
