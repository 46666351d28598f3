//! From rows of components to rows of pixels: libjpeg's fixed-point conversions.

use super::frame::{ColorSpace, MAX_COMPONENTS};

/// Converts rows; the channels wait in planes of their own, because compilers vectorise that and the weaving of planes
/// into pixels one by one, but not both at once.
#[derive(Debug)]
pub(super) struct ColorConverter {
    space: ColorSpace,
    channels: [Vec<u8>; MAX_COMPONENTS],
}

impl ColorConverter {
    pub(super) fn new(space: ColorSpace, width: usize) -> Self {
        Self { space, channels: std::array::from_fn(|_| vec![0; width]) }
    }

    /// Writes a row of interleaved pixels, given a row at least as long of each component.
    #[inline(always)]
    pub(super) fn convert(&mut self, components: [&[u8]; MAX_COMPONENTS], pixels: &mut [u8]) {
        let [a, b, c, d] = components;
        let [red, green, blue, black] = &mut self.channels;
        match self.space {
            ColorSpace::Luma => pixels.iter_mut().zip(a).for_each(|(pixel, &luma)| *pixel = luma),
            ColorSpace::Rgb => weave3([a, b, c], pixels),
            ColorSpace::Ycc => {
                ycc_to_rgb([a, b, c], [red, green, blue]);
                weave3([red, green, blue], pixels);
            }
            // Adobe stores inks inverted, and Pillow inverts whatever it finds.
            ColorSpace::Cmyk => {
                for (channel, component) in [red, green, blue, black].into_iter().zip([a, b, c, d]) {
                    invert(component, channel);
                }
                weave4(&self.channels, pixels);
            }
            // The inks of YCCK are the inverse of its RGB, so inverting them leaves just that.
            ColorSpace::Ycck => {
                ycc_to_rgb([a, b, c], [red, green, blue]);
                invert(d, black);
                weave4(&self.channels, pixels);
            }
        }
    }
}

#[inline(always)]
fn invert(component: &[u8], channel: &mut [u8]) {
    channel.iter_mut().zip(component).for_each(|(ink, &stored)| *ink = !stored);
}

#[inline(always)]
fn weave3([a, b, c]: [&[u8]; 3], pixels: &mut [u8]) {
    for (pixel, ((&a, &b), &c)) in pixels.as_chunks_mut().0.iter_mut().zip(a.iter().zip(b).zip(c)) {
        *pixel = [a, b, c];
    }
}

#[inline(always)]
fn weave4([a, b, c, d]: &[Vec<u8>; 4], pixels: &mut [u8]) {
    for (pixel, (((&a, &b), &c), &d)) in pixels.as_chunks_mut().0.iter_mut().zip(a.iter().zip(b).zip(c).zip(d)) {
        *pixel = [a, b, c, d];
    }
}

/// R = Y + 1.402 Cr, G = Y - 0.34414 Cb - 0.71414 Cr, B = Y + 1.772 Cb. The factors have 16 fractional bits and are
/// split so that they fit 16 bits themselves.
#[inline(always)]
fn ycc_to_rgb([y, cb, cr]: [&[u8]; 3], [red, green, blue]: [&mut [u8]; 3]) {
    let rgb = red.iter_mut().zip(green).zip(blue);
    for (((red, green), blue), ((&y, &cb), &cr)) in rgb.zip(y.iter().zip(cb).zip(cr)) {
        let (y, cb, cr) = (i16::from(y), i16::from(cb) - 128, i16::from(cr) - 128);
        let to_red = cr + rounded_half(scaled(2 * cr, 26_345));
        let to_blue = cb + cb + rounded_half(scaled(2 * cb, -14_942));
        let to_green = ((i32::from(cb) * -22_554 + i32::from(cr) * 18_734 + 0x8000) >> 16) as i16 - cr;
        *red = (y + to_red).clamp(0, 255) as u8;
        *green = (y + to_green).clamp(0, 255) as u8;
        *blue = (y + to_blue).clamp(0, 255) as u8;
    }
}

/// The upper half of a 32-bit product.
#[inline(always)]
fn scaled(value: i16, factor: i16) -> i16 {
    ((i32::from(value) * i32::from(factor)) >> 16) as i16
}

#[inline(always)]
fn rounded_half(value: i16) -> i16 {
    (value + 1) >> 1
}
