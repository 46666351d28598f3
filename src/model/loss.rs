//! The symmetric contrastive loss of CLIP, as in the reference's `get_loss`, and with several positives.
use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

/// Which images and texts of a batch belong together.
#[derive(Debug, Clone)]
pub enum Positives {
    /// The i-th image and the i-th text.
    Diagonal,
    /// `[images, texts]`, 1 where they do; every row and column has one at least. A query's positives share its target
    /// evenly.
    Matrix(Tensor<2>),
}

/// Mean of image-to-text and text-to-image cross entropy over `[batch, embed_dim]` features; `logit_scale` `[1]` is the
/// logarithm of the factor. Returns `[1]`.
pub fn contrastive_loss(
    images: Tensor<2>,
    texts: Tensor<2>,
    logit_scale: Tensor<1>,
    positives: Positives,
) -> Tensor<1> {
    let logits = similarity(images, texts, logit_scale);
    let (by_image, by_text) = match positives {
        Positives::Diagonal => (matching_entropy(logits.clone()), matching_entropy(logits.transpose())),
        Positives::Matrix(matrix) => {
            // A constant of the graph.
            let matrix = Tensor::from_inner(matrix);
            (shared_entropy(logits.clone(), matrix.clone()), shared_entropy(logits.transpose(), matrix.transpose()))
        }
    };
    (by_image + by_text).mul_scalar(0.5)
}

/// `exp(logit_scale) · cos(image, text)`, `[images, texts]`.
pub(crate) fn similarity(images: Tensor<2>, texts: Tensor<2>, logit_scale: Tensor<1>) -> Tensor<2> {
    let cosine = unit(images).matmul(unit(texts).transpose());
    cosine * logit_scale.exp().unsqueeze()
}

/// Rows scaled to length one.
pub(crate) fn unit(x: Tensor<2>) -> Tensor<2> {
    let norm = x.clone().square().sum_dim(1).sqrt();
    x / norm
}

/// Cross entropy of every row against its own index.
fn matching_entropy(logits: Tensor<2>) -> Tensor<1> {
    let [batch, _] = logits.dims();
    let labels = super::layer::positions(batch, &logits.device()).reshape([batch, 1]);
    log_softmax(logits, 1).gather(1, labels).mean().neg()
}

/// Cross entropy of every row against its positives, each weighing the same.
fn shared_entropy(logits: Tensor<2>, positives: Tensor<2>) -> Tensor<1> {
    let target = positives.clone() / positives.sum_dim(1);
    (log_softmax(logits, 1) * target).sum_dim(1).mean().neg()
}
