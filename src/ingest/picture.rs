//! A decoded image in the mode it was stored in; Pillow's modes, because the reference resizes before it makes RGB.
use super::Region;

/// Pixels, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub width: u32,
    pub height: u32,
    pub mode: Mode,
    /// [`Mode::bytes`] for each pixel.
    pub pixels: Vec<u8>,
}

/// What the bytes of a pixel mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// 0 or 255; Pillow's `1`.
    Bilevel,
    /// Pillow's `L`.
    Luma,
    /// Sixteen bits in the machine's order; Pillow's `I;16`.
    Luma16,
    LumaAlpha,
    Rgb,
    Rgba,
    /// 0 is no ink.
    Cmyk,
    /// RGB that was looked up in a palette; Pillow's `P`, whose indices are never mixed.
    Palette,
}

impl Mode {
    /// Bytes of a pixel.
    pub fn bytes(self) -> usize {
        match self {
            Self::Bilevel | Self::Luma => 1,
            Self::Luma16 | Self::LumaAlpha => 2,
            Self::Rgb | Self::Palette => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }
}

impl Picture {
    /// A picture of indices. Colours that are not given are greys, as in Pillow.
    pub fn from_indices(width: u32, height: u32, indices: &[u8], colors: &[[u8; 3]]) -> Self {
        let color = |index: &u8| colors.get(usize::from(*index)).copied().unwrap_or([*index; 3]);
        let pixels = indices.iter().flat_map(color).collect();
        Self { width, height, mode: Mode::Palette, pixels }
    }

    /// A part of the picture; none if it reaches over the edge.
    pub fn cut(&self, region: Region) -> Option<Self> {
        let Region { left, top, width, height } = region;
        if left.checked_add(width)? > self.width || top.checked_add(height)? > self.height {
            return None;
        }
        let (stride, bytes) = (self.width as usize * self.mode.bytes(), self.mode.bytes());
        let columns = left as usize * bytes..(left + width) as usize * bytes;
        let rows = self.pixels.chunks_exact(stride.max(1)).skip(top as usize).take(height as usize);
        let pixels = rows.filter_map(|row| row.get(columns.clone())).flatten().copied().collect();
        Some(Self { width, height, mode: self.mode, pixels })
    }

    /// As Pillow's `convert("RGB")`: alpha is dropped, luminance repeated, sixteen bits clipped to eight.
    pub fn into_rgb(self) -> Self {
        let pixels = match self.mode {
            Mode::Rgb | Mode::Palette => self.pixels,
            Mode::Bilevel | Mode::Luma => self.pixels.iter().flat_map(|l| [*l; 3]).collect(),
            Mode::Luma16 => self.luma16().flat_map(|l| [u8::try_from(l).unwrap_or(u8::MAX); 3]).collect(),
            Mode::LumaAlpha => self.pixels.as_chunks::<2>().0.iter().flat_map(|[l, _]| [*l; 3]).collect(),
            Mode::Rgba => self.pixels.as_chunks::<4>().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect(),
            Mode::Cmyk => self.pixels.as_chunks::<4>().0.iter().flat_map(cmyk_to_rgb).collect(),
        };
        Self { mode: Mode::Rgb, pixels, ..self }
    }

    /// The values of [`Mode::Luma16`].
    pub fn luma16(&self) -> impl Iterator<Item = u16> {
        self.pixels.as_chunks::<2>().0.iter().map(|bytes| u16::from_ne_bytes(*bytes))
    }
}

fn cmyk_to_rgb([cyan, magenta, yellow, black]: &[u8; 4]) -> [u8; 3] {
    let light = 255 - u32::from(*black);
    [cyan, magenta, yellow].map(|ink| (light - rounded_product(u32::from(*ink), light)) as u8)
}

/// `a · b / 255`, rounded, for bytes.
pub fn rounded_product(a: u32, b: u32) -> u32 {
    let product = a * b + 128;
    ((product >> 8) + product) >> 8
}
