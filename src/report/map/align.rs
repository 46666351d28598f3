//! Turns a layout onto another of the same points; distances stay what they are.

/// `layout` centred and, by one rotation or reflection, as near to `target` as it can be (orthogonal Procrustes in the plane).
pub fn turned_onto(layout: &[[f32; 2]], target: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let (layout, target) = (centred(layout), centred(target));
    let sum = |f: &dyn Fn([f64; 2], [f64; 2]) -> f64| layout.iter().zip(&target).map(|(a, b)| f(*a, *b)).sum::<f64>();
    // Both kinds of turn have a closed form: angle and how well it fits.
    let rotation = (sum(&|a, b| a[0] * b[1] - a[1] * b[0]), sum(&|a, b| a[0] * b[0] + a[1] * b[1]));
    let reflection = (sum(&|a, b| a[0] * b[1] + a[1] * b[0]), sum(&|a, b| a[0] * b[0] - a[1] * b[1]));
    let mirrored = reflection.0.hypot(reflection.1) > rotation.0.hypot(rotation.1);
    let (sin, cos) = if mirrored { reflection.0.atan2(reflection.1) } else { rotation.0.atan2(rotation.1) }.sin_cos();
    let turn = |[x, y]: [f64; 2]| {
        let y = if mirrored { -y } else { y };
        [(cos * x - sin * y) as f32, (sin * x + cos * y) as f32]
    };
    layout.into_iter().map(turn).collect()
}

/// Each axis of `layout` with the sign that fits `target` better: principal components have none of their own.
pub fn signed_like(layout: &[[f32; 2]], target: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let agreement = |axis: usize| layout.iter().zip(target).map(|(a, b)| f64::from(a[axis] * b[axis])).sum::<f64>();
    let sign = [0, 1].map(|axis| if agreement(axis) < 0.0 { -1.0 } else { 1.0 });
    layout.iter().map(|[x, y]| [x * sign[0], y * sign[1]]).collect()
}

fn centred(layout: &[[f32; 2]]) -> Vec<[f64; 2]> {
    let mean =
        |axis: usize| layout.iter().map(|point| f64::from(point[axis])).sum::<f64>() / layout.len().max(1) as f64;
    let centre = [mean(0), mean(1)];
    layout.iter().map(|[x, y]| [f64::from(*x) - centre[0], f64::from(*y) - centre[1]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [[f32; 2]; 4] = [[3.0, 1.0], [-1.0, 2.0], [-2.0, -2.5], [0.0, -0.5]];

    #[test]
    fn a_turned_and_a_mirrored_copy_come_back() {
        let (sin, cos) = 2.1f32.sin_cos();
        for mirror in [1.0, -1.0] {
            let copy: Vec<[f32; 2]> =
                SHAPE.iter().map(|[x, y]| [cos * x - sin * y * mirror + 5.0, sin * x + cos * y * mirror]).collect();
            for (back, old) in turned_onto(&copy, &SHAPE).iter().zip(&SHAPE) {
                assert!((back[0] - old[0]).abs() < 1e-5 && (back[1] - old[1]).abs() < 1e-5, "{back:?} {old:?}");
            }
        }
    }

    #[test]
    fn signs_follow_the_target() {
        let flipped: Vec<[f32; 2]> = SHAPE.iter().map(|[x, y]| [-x, *y]).collect();
        assert_eq!(signed_like(&flipped, &SHAPE), SHAPE);
    }
}
