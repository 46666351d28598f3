//! Position embeddings for another resolution, as the reference's `resize_pos_embed` makes them.
use crate::model::error::ModelError;
use crate::model::parameters::NamedTensor;

/// Cubic convolution, a = -0.75, as in PyTorch's bicubic interpolation.
const A: f64 = -0.75;

/// `found` `[1 + n², width]` as `shape` `[1 + m², width]`: the class token is kept, the grid interpolated (bicubic,
/// corners aligned).
pub(crate) fn interpolate_positions(key: &str, found: &NamedTensor, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
    let wrong = || ModelError::WrongShape { key: key.to_owned(), expected: shape.to_vec(), found: found.shape.clone() };
    let (&[old_rows, old_width], &[new_rows, width]) = (found.shape.as_slice(), shape) else {
        return Err(wrong());
    };
    let (Some(old), Some(new)) = (side(old_rows), side(new_rows)) else {
        return Err(wrong());
    };
    if old_width != width {
        return Err(wrong());
    }
    let (class, grid) = found.values.split_at(width);
    let mut out = class.to_vec();
    out.reserve(new * new * width);
    for y in 0..new {
        let rows = taps(y, old, new);
        for x in 0..new {
            let columns = taps(x, old, new);
            let start = out.len();
            out.resize(start + width, 0.0);
            for (row, by_row) in rows {
                for (column, by_column) in columns {
                    let weight = (by_row * by_column) as f32;
                    let from = &grid[(row * old + column) * width..][..width];
                    out[start..].iter_mut().zip(from).for_each(|(out, value)| *out += weight * value);
                }
            }
        }
    }
    Ok(out)
}

/// Side of a square grid with a class token before it.
fn side(rows: usize) -> Option<usize> {
    let side = rows.checked_sub(1)?.isqrt();
    (side > 0 && side * side + 1 == rows).then_some(side)
}

/// The four neighbours along one axis and their weights; neighbours outside are the border's.
fn taps(index: usize, old: usize, new: usize) -> [(usize, f64); 4] {
    let scale = if new > 1 { (old - 1) as f64 / (new - 1) as f64 } else { 0.0 };
    let at = index as f64 * scale;
    let base = at.floor();
    let t = at - base;
    let weights = [outer(t + 1.0), inner(t), inner(1.0 - t), outer(2.0 - t)];
    std::array::from_fn(|tap| {
        let position = (base as isize + tap as isize - 1).clamp(0, old as isize - 1);
        (position as usize, weights[tap])
    })
}

/// The kernel at a distance of at most one.
fn inner(x: f64) -> f64 {
    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
}

/// The kernel at a distance between one and two.
fn outer(x: f64) -> f64 {
    ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
}
