//! The first frame of a GIF as indices, on the whole screen as Pillow lays it.
use std::io::Cursor;

use gif::{ColorOutput, DecodeOptions, MemoryLimit};

use super::{MAX_ALLOCATION, check_pixels, is_grey_ramp, unreadable};
use crate::ingest::{IngestError, Mode, Picture};

pub(super) fn decode(bytes: &[u8]) -> Result<Picture, IngestError> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Bytes(MAX_ALLOCATION.try_into().map_err(|_| unreadable("no memory limit"))?));
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(|error| unreadable(&error))?;
    let (width, height) = (decoder.width(), decoder.height());
    let global = decoder.global_palette().map(<[u8]>::to_vec);
    let frame = decoder.read_next_frame().map_err(|error| unreadable(&error))?;
    let frame = frame.ok_or_else(|| unreadable("a GIF without a frame"))?;
    // A frame that reaches over the edge enlarges the screen.
    let width = u32::from(width).max(u32::from(frame.left) + u32::from(frame.width));
    let height = u32::from(height).max(u32::from(frame.top) + u32::from(frame.height));
    check_pixels(width, height)?;
    let mut indices = vec![frame.transparent.unwrap_or(0); width as usize * height as usize];
    let rows = indices.chunks_mut(width.max(1) as usize).skip(usize::from(frame.top));
    for (row, from) in rows.zip(frame.buffer.chunks(usize::from(frame.width).max(1))) {
        row.iter_mut().skip(usize::from(frame.left)).zip(from).for_each(|(to, from)| *to = *from);
    }
    let palette = frame.palette.as_ref().or(global.as_ref()).map_or(&[][..], Vec::as_slice);
    let colors = palette.as_chunks::<3>().0;
    if is_grey_ramp(colors) {
        return Ok(Picture { width, height, mode: Mode::Luma, pixels: indices });
    }
    Ok(Picture::from_indices(width, height, &indices, colors))
}
