//! The two directions of greatest variance, by orthogonal iteration; no random numbers.
use rayon::prelude::*;

/// Directions iterated together; more than two, so that the first two converge fast.
const BLOCK: usize = 10;
/// Rounds after which a spectrum without gaps is given up.
const ROUNDS: usize = 200;
/// Relative change of both variances that counts as converged.
const TOLERANCE: f64 = 1e-10;

/// Points in the plane of the two first principal components.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    pub points: Vec<[f32; 2]>,
    /// Share of the variance along each axis, a fraction in 0..=1.
    pub explained: [f64; 2],
}

/// Projects the rows of `[rows, dimensions]`. Of each axis the loading of greatest size is positive.
pub fn principal_components(values: &[f32], dimensions: usize) -> Projection {
    let centred = centre(values, dimensions);
    let rows = centred.len() / dimensions.max(1);
    let total: f64 = centred.iter().map(|value| value * value).sum();
    if rows < 2 || total <= 0.0 {
        return Projection { points: vec![[0.0; 2]; rows], explained: [0.0; 2] };
    }
    let (basis, variances) = leading(&centred, dimensions);
    let axes: Vec<Vec<f64>> = basis.iter().take(2).map(|axis| oriented(axis)).collect();
    let coordinate = |row: &[f64], axis: usize| axes.get(axis).map_or(0.0, |axis| dot(row, axis) as f32);
    let points = centred.par_chunks_exact(dimensions).map(|row| [coordinate(row, 0), coordinate(row, 1)]).collect();
    let share = |axis: usize| variances.get(axis).map_or(0.0, |variance| variance / total);
    Projection { points, explained: [share(0), share(1)] }
}

fn centre(values: &[f32], dimensions: usize) -> Vec<f64> {
    let rows = values.len() / dimensions.max(1);
    let mut mean = vec![0.0; dimensions];
    for row in values.chunks_exact(dimensions.max(1)) {
        mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    mean.iter_mut().for_each(|sum| *sum /= rows.max(1) as f64);
    let rows = values.chunks_exact(dimensions.max(1));
    rows.flat_map(|row| row.iter().zip(&mean).map(|(value, mean)| f64::from(*value) - mean)).collect()
}

/// Orthonormal directions and their sums of squares, greatest first.
fn leading(centred: &[f64], dimensions: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
    let size = BLOCK.min(dimensions);
    let mut basis: Vec<Vec<f64>> = (0..size).map(|at| start(dimensions, at)).collect();
    orthonormalise(&mut basis);
    let mut before = Vec::new();
    for _ in 0..ROUNDS {
        let mut images: Vec<Vec<f64>> = basis.par_iter().map(|axis| scatter(centred, axis)).collect();
        let small: Vec<Vec<f64>> =
            basis.iter().map(|axis| images.iter().map(|image| dot(axis, image)).collect()).collect();
        let (rotation, variances) = jacobi(small);
        images = rotate(&images, &rotation);
        let converged =
            before.iter().zip(&variances).take(2).all(|(old, new): (&f64, &f64)| {
                (old - new).abs() <= TOLERANCE * variances.first().copied().unwrap_or(1.0)
            });
        if converged && !before.is_empty() {
            return (rotate(&basis, &rotation), variances);
        }
        before = variances;
        basis = images;
        orthonormalise(&mut basis);
    }
    (basis, before)
}

/// Directions that no data set is orthogonal to by design.
fn start(dimensions: usize, at: usize) -> Vec<f64> {
    (0..dimensions).map(|i| ((i * (2 * at + 1) + at) as f64 * 0.754_877_666).fract() - 0.5).collect()
}

/// The scatter matrix times a direction, without forming the matrix.
fn scatter(centred: &[f64], axis: &[f64]) -> Vec<f64> {
    let mut image = vec![0.0; axis.len()];
    for row in centred.chunks_exact(axis.len()) {
        let weight = dot(row, axis);
        image.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
    }
    image
}

/// Gram-Schmidt, twice for the sake of rounding.
fn orthonormalise(basis: &mut [Vec<f64>]) {
    for at in 0..basis.len() {
        let (done, rest) = basis.split_at_mut(at);
        let Some(axis) = rest.first_mut() else { return };
        for _ in 0..2 {
            for other in done.iter() {
                let along = dot(axis, other);
                axis.iter_mut().zip(other).for_each(|(value, other)| *value -= along * other);
            }
        }
        let length = dot(axis, axis).sqrt();
        if length > 0.0 {
            axis.iter_mut().for_each(|value| *value /= length);
        }
    }
}

/// Eigenvectors as rows and eigenvalues of a small symmetric matrix, greatest first (cyclic Jacobi rotations).
fn jacobi(mut matrix: Vec<Vec<f64>>) -> (Vec<Vec<f64>>, Vec<f64>) {
    let size = matrix.len();
    let mut vectors: Vec<Vec<f64>> =
        (0..size).map(|row| (0..size).map(|column| f64::from(u8::from(row == column))).collect()).collect();
    for _ in 0..30 {
        for p in 0..size {
            for q in p + 1..size {
                if matrix[p][q].abs() < 1e-300 {
                    continue;
                }
                let theta = 0.5 * (2.0 * matrix[p][q]).atan2(matrix[p][p] - matrix[q][q]);
                let (sin, cos) = theta.sin_cos();
                for row in &mut matrix {
                    (row[p], row[q]) = (cos * row[p] + sin * row[q], cos * row[q] - sin * row[p]);
                }
                turn_rows(&mut matrix, p, q, sin, cos);
                turn_rows(&mut vectors, p, q, sin, cos);
            }
        }
    }
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|a, b| matrix[*b][*b].total_cmp(&matrix[*a][*a]));
    let values = order.iter().map(|at| matrix[*at][*at]).collect();
    (order.into_iter().map(|at| vectors[at].clone()).collect(), values)
}

fn turn_rows(matrix: &mut [Vec<f64>], p: usize, q: usize, sin: f64, cos: f64) {
    let (above, below) = matrix.split_at_mut(q);
    let (Some(upper), Some(lower)) = (above.get_mut(p), below.first_mut()) else { return };
    for (upper, lower) in upper.iter_mut().zip(lower) {
        (*upper, *lower) = (cos * *upper + sin * *lower, cos * *lower - sin * *upper);
    }
}

fn rotate(basis: &[Vec<f64>], rotation: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mixed = |weights: &Vec<f64>| {
        let mut sum = vec![0.0; basis.first().map_or(0, Vec::len)];
        for (weight, axis) in weights.iter().zip(basis) {
            sum.iter_mut().zip(axis).for_each(|(sum, value)| *sum += weight * value);
        }
        sum
    };
    rotation.iter().map(mixed).collect()
}

fn oriented(axis: &[f64]) -> Vec<f64> {
    let largest =
        axis.iter().copied().fold(0.0, |best: f64, value| if value.abs() > best.abs() { value } else { best });
    axis.iter().map(|value| value * largest.signum()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_on_a_line_in_space_lose_nothing_and_keep_their_distances() {
        let values: Vec<f32> =
            (0..20u8).flat_map(|at| [f32::from(at), 2.0 * f32::from(at), -2.0 * f32::from(at)]).collect();
        let projection = principal_components(&values, 3);
        assert!((projection.explained[0] - 1.0).abs() < 1e-9, "{:?}", projection.explained);
        let step = projection.points[1][0] - projection.points[0][0];
        assert!((step.abs() - 3.0).abs() < 1e-5, "{step}");
    }

    #[test]
    fn the_axis_of_greater_variance_is_the_first() {
        let values: Vec<f32> =
            (0..40u8).flat_map(|at| [f32::from(at % 2), 10.0 * f32::from(at % 5), 0.1 * f32::from(at % 3)]).collect();
        let projection = principal_components(&values, 3);
        let spread = |axis: usize| projection.points.iter().map(|point| point[axis].powi(2)).sum::<f32>();
        assert!(spread(0) > 100.0 * spread(1));
        assert!(projection.explained[0] > 0.99);
    }

    #[test]
    fn equal_points_and_no_points_have_a_projection() {
        assert_eq!(principal_components(&[1.0; 12], 3).points, vec![[0.0; 2]; 4]);
        assert!(principal_components(&[], 3).points.is_empty());
    }
}
