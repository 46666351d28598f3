//! From rows of components to rows of channels: libjpeg's fixed-point conversions.

use super::frame::{ColorSpace, MAX_COMPONENTS};

/// Converts rows; the channels wait in planes of their own, because compilers vectorise that and the weaving of planes
/// into pixels one by one, but not both at once.
#[derive(Debug)]
pub(super) struct ColorConverter {
    space: ColorSpace,
    width: usize,
    channels: [Vec<u8>; MAX_COMPONENTS],
}

impl ColorConverter {
    pub(super) fn new(space: ColorSpace, width: usize) -> Self {
        Self { space, width, channels: std::array::from_fn(|_| vec![0; width]) }
    }

    /// A row of each channel, given a row at least as long of each component.
    #[inline(always)]
    pub(super) fn convert<'a>(&'a mut self, components: [&'a [u8]; MAX_COMPONENTS]) -> [&'a [u8]; MAX_COMPONENTS] {
        let width = self.width;
        let components = components.map(|row| row.get(..width).unwrap_or_default());
        let [a, b, c, d] = components;
        let [red, green, blue, black] = &mut self.channels;
        match self.space {
            ColorSpace::Luma | ColorSpace::Rgb => return components,
            ColorSpace::Ycc => ycc_to_rgb([a, b, c], [red, green, blue]),
            // Adobe stores inks inverted, and Pillow inverts whatever it finds.
            ColorSpace::Cmyk => {
                for (channel, component) in [red, green, blue, black].into_iter().zip([a, b, c, d]) {
                    invert(component, channel);
                }
            }
            // The inks of YCCK are the inverse of its RGB, so inverting them leaves just that.
            ColorSpace::Ycck => {
                ycc_to_rgb([a, b, c], [red, green, blue]);
                invert(d, black);
            }
        }
        self.channels.each_ref().map(Vec::as_slice)
    }
}

#[inline(always)]
fn invert(component: &[u8], channel: &mut [u8]) {
    channel.iter_mut().zip(component).for_each(|(ink, &stored)| *ink = !stored);
}

/// Writes a row of interleaved pixels.
#[inline(always)]
pub(super) fn weave(channels: &[&[u8]], pixels: &mut [u8]) {
    match *channels {
        [luma] => pixels.copy_from_slice(luma),
        [a, b, c] => {
            for (pixel, ((&a, &b), &c)) in pixels.as_chunks_mut().0.iter_mut().zip(a.iter().zip(b).zip(c)) {
                *pixel = [a, b, c];
            }
        }
        [a, b, c, d] => {
            for (pixel, (((&a, &b), &c), &d)) in pixels.as_chunks_mut().0.iter_mut().zip(a.iter().zip(b).zip(c).zip(d))
            {
                *pixel = [a, b, c, d];
            }
        }
        _ => {}
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
