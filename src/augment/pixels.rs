//! From an image's bytes to the model's input without a whole picture in between: a JPEG is decoded only where the crop
//! is, resized row by row, and stays in separate channels. Equal to the steps taken one by one.
use super::planes::Planes;
use super::resample::Resizer;
use super::{AugmentSpec, CropBox, Interpolation, ItemRng, evaluation_pixels, normalize, squash};
use crate::ingest::{IngestError, JpegHeader, Mode, Picture, Region, decode, decode_jpeg_rows, read_jpeg_header};

/// Pixels for training, `[3, side, side]`: `augment` on the decoded image, then `normalize`. Errors in a JPEG behind the
/// crop are not found; ingest has decoded every image once.
pub fn training_pixels(
    bytes: &[u8],
    steps: &[AugmentSpec],
    side: u32,
    rng: &mut ItemRng,
    out: &mut [f32],
) -> Result<(), IngestError> {
    if steps.is_empty() {
        return evaluation_pixels_of(bytes, side, out);
    }
    let image = Image::open(bytes, steps, side, rng)?;
    image.normalize(side, out);
    Ok(())
}

/// An image as training sees it, RGB, `side` × `side`, from its bytes; see `augment`.
pub fn training_picture(
    bytes: &[u8],
    steps: &[AugmentSpec],
    side: u32,
    rng: &mut ItemRng,
) -> Result<Picture, IngestError> {
    Ok(squash(&Image::open(bytes, steps, side, rng)?.into_picture(), side))
}

/// Pixels `[3, side, side]` as evaluation sees an image, from its bytes; see `evaluation_pixels`.
pub fn evaluation_pixels_of(bytes: &[u8], side: u32, out: &mut [f32]) -> Result<(), IngestError> {
    match read_jpeg_header(bytes)? {
        Some(header) => {
            let whole = CropBox { left: 0, top: 0, width: header.width, height: header.height };
            Image::resized(bytes, header, whole, side, Interpolation::Bicubic)?.normalize(side, out);
        }
        None => evaluation_pixels(&decode(bytes)?.0, side, out),
    }
    Ok(())
}

/// An image on its way through the steps.
enum Image {
    Apart(Planes),
    Interleaved(Picture),
}

impl Image {
    /// Decodes the image and takes the steps.
    fn open(bytes: &[u8], steps: &[AugmentSpec], side: u32, rng: &mut ItemRng) -> Result<Self, IngestError> {
        let (mut image, steps) = match (steps, read_jpeg_header(bytes)?) {
            ([AugmentSpec::RandomResizedCrop(crop), steps @ ..], Some(header)) => {
                let region = crop.sample(header.width, header.height, rng);
                let side = crop.size.unwrap_or(side);
                (Self::resized(bytes, header, region, side, crop.interpolation)?, steps)
            }
            _ => (Self::Interleaved(decode(bytes)?.0), steps),
        };
        for step in steps {
            image = image.step(step, side, rng);
        }
        Ok(image)
    }

    /// A crop of a JPEG, resized to `side` × `side`.
    fn resized(
        bytes: &[u8],
        header: JpegHeader,
        crop: CropBox,
        side: u32,
        interpolation: Interpolation,
    ) -> Result<Self, IngestError> {
        let CropBox { left, top, width, height } = crop;
        let mut resizer = Resizer::new(header.mode.bytes(), (width, height), (side, side), interpolation);
        decode_jpeg_rows(bytes, Region { left, top, width, height }, &mut resizer)?;
        let planes = resizer.finish();
        Ok(match header.mode {
            Mode::Rgb => Self::Apart(planes),
            mode => Self::Interleaved(planes.into_picture(mode)),
        })
    }

    fn step(self, step: &AugmentSpec, side: u32, rng: &mut ItemRng) -> Self {
        match (self, step) {
            (Self::Apart(mut planes), AugmentSpec::RandomHorizontalFlip(flip)) => {
                if flip.sample(rng) {
                    planes.flip();
                }
                Self::Apart(planes)
            }
            (Self::Apart(mut planes), AugmentSpec::ColorJitter(jitter)) => {
                jitter.sample(rng).for_each(|adjustment| planes.adjust(adjustment));
                Self::Apart(planes)
            }
            (image, step) => Self::Interleaved(step.apply(image.into_picture(), side, rng)),
        }
    }

    fn into_picture(self) -> Picture {
        match self {
            Self::Apart(planes) => planes.into_picture(Mode::Rgb),
            Self::Interleaved(picture) => picture,
        }
    }

    fn normalize(self, side: u32, out: &mut [f32]) {
        match self {
            Self::Apart(planes) if (planes.width, planes.height) == (side, side) => planes.normalize(out),
            image => normalize(&squash(&image.into_picture(), side), out),
        }
    }
}
