//! A picture of a sheet: PNG as a scanner makes it, or JPEG as a telephone does.
//!
//! The decoders' own buffers are no secret types; the program's allocator clears what they free.
use crate::words::ShareFault;
use rqrr::PreparedImage;
use std::io::Cursor;
use zeroize::Zeroizing;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG: &[u8] = b"\xff\xd8\xff";
/// A hundred million points: more than today's telephones take.
const MAX_SIDE: usize = 16_384;
const MAX_POINTS: usize = 100_000_000;

/// Brightness, row by row.
struct Picture {
    width: usize,
    height: usize,
    points: Zeroizing<Vec<u8>>,
}

pub(super) fn is_one(content: &[u8]) -> bool {
    content.starts_with(PNG) || content.starts_with(JPEG)
}

/// The text of the one QR code in the picture.
pub(super) fn read(content: &[u8]) -> Result<Zeroizing<String>, ShareFault> {
    let mut picture = if content.starts_with(PNG) { png(content)? } else { jpeg(content)? };
    let mut is_seen = false;
    // What a camera's noise hides at full size shows when points are averaged.
    loop {
        let (texts, found) = codes(&picture);
        is_seen |= found;
        match &texts[..] {
            [text] => return Ok(text.clone()),
            [] => {}
            several => return Err(ShareFault::SeveralCodes(several.len())),
        }
        match picture.halved() {
            Some(smaller) => picture = smaller,
            None if is_seen => return Err(ShareFault::UnreadableCode),
            None => return Err(ShareFault::NoCode),
        }
    }
}

/// The different texts in the picture, and whether anything looked like a code.
fn codes(picture: &Picture) -> (Vec<Zeroizing<String>>, bool) {
    let brightness = |x: usize, y: usize| picture.points.get(y * picture.width + x).copied().unwrap_or(255);
    let mut prepared = PreparedImage::prepare_from_greyscale(picture.width, picture.height, brightness);
    let grids = prepared.detect_grids();
    let mut texts: Vec<Zeroizing<String>> = Vec::new();
    for (_, text) in grids.iter().filter_map(|grid| grid.decode().ok()) {
        let text = Zeroizing::new(text);
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    (texts, !grids.is_empty())
}

impl Picture {
    /// Half as wide and high; none where nothing could be read from it any more.
    fn halved(&self) -> Option<Self> {
        let (width, height) = (self.width / 2, self.height / 2);
        if width.min(height) < 100 {
            return None;
        }
        let point = |x: usize, y: usize| self.points.get(y * self.width + x).copied().map_or(255, u32::from);
        let average = |x: usize, y: usize| {
            let sum = point(2 * x, 2 * y)
                + point(2 * x + 1, 2 * y)
                + point(2 * x, 2 * y + 1)
                + point(2 * x + 1, 2 * y + 1);
            u8::try_from(sum / 4).unwrap_or(255)
        };
        let points = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        Some(Self { width, height, points: Zeroizing::new(points.map(|(x, y)| average(x, y)).collect()) })
    }

    fn checked(width: usize, height: usize) -> Result<(usize, usize), ShareFault> {
        if width > MAX_SIDE || height > MAX_SIDE || width * height > MAX_POINTS {
            return Err(ShareFault::TooLarge);
        }
        Ok((width, height))
    }
}

fn png(content: &[u8]) -> Result<Picture, ShareFault> {
    let damaged = |_| ShareFault::DamagedPicture;
    let limits = png::Limits { bytes: 8 * MAX_POINTS };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(content), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (width, height) = Picture::checked(reader.info().width as usize, reader.info().height as usize)?;
    let size = reader.output_buffer_size().ok_or(ShareFault::TooLarge)?;
    let mut buffer = Zeroizing::new(vec![0; size]);
    let frame = reader.next_frame(&mut buffer).map_err(damaged)?;
    let on_white = |grey: u32, alpha: u8| (grey * u32::from(alpha) + 255 * (255 - u32::from(alpha))) / 255;
    let luma = |point: &[u8]| match *point {
        [grey] => u32::from(grey),
        [grey, alpha] => on_white(u32::from(grey), alpha),
        [r, g, b] => weighted(r, g, b),
        [r, g, b, alpha] => on_white(weighted(r, g, b), alpha),
        _ => 255,
    };
    let points = buffer.chunks_exact(frame.color_type.samples());
    let points = points.take(width * height).map(|point| u8::try_from(luma(point)).unwrap_or(255)).collect();
    Ok(Picture { width, height, points: Zeroizing::new(points) })
}

/// ITU-R BT.601.
fn weighted(r: u8, g: u8, b: u8) -> u32 {
    (299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b)) / 1000
}

fn jpeg(content: &[u8]) -> Result<Picture, ShareFault> {
    let damaged = |_| ShareFault::DamagedPicture;
    let options = DecoderOptions::default()
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE)
        .jpeg_set_out_colorspace(ColorSpace::Luma);
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(content), options);
    decoder.decode_headers().map_err(damaged)?;
    let (width, height) = decoder.dimensions().ok_or(ShareFault::DamagedPicture)?;
    let (width, height) = Picture::checked(width, height)?;
    let points = Zeroizing::new(decoder.decode().map_err(damaged)?);
    if points.len() < width * height {
        return Err(ShareFault::DamagedPicture);
    }
    Ok(Picture { width, height, points })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shares::{Given, tests::share};

    /// A page with these texts as codes, `module` points a module.
    fn page(texts: &[&str], module: usize) -> Vec<u8> {
        let (width, height) = (60 * module * texts.len().max(1), 60 * module);
        let mut points = vec![255; width * height];
        for (at, text) in texts.iter().enumerate() {
            let code = qrcode::QrCode::with_error_correction_level(text, qrcode::EcLevel::H).unwrap();
            for (place, color) in code.to_colors().into_iter().enumerate() {
                let (x, y) = (place % code.width() + 8, place / code.width() + 8);
                for point in 0..module * module {
                    let (x, y) =
                        (x * module + point % module + at * 60 * module, y * module + point / module);
                    points[y * width + x] = color.select(0, 255);
                }
            }
        }
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.write_header().unwrap().write_image_data(&points).unwrap();
        file
    }

    #[test]
    fn the_one_code_is_read_and_none_several_and_damage_are_told_apart() {
        let text = share().to_text().unwrap().to_uppercase();
        let read_text = read(&page(&[&text], 4)).unwrap();
        assert_eq!(Given::parse(&read_text).ok().unwrap().text, share().to_text().unwrap());
        assert_eq!(*read(&page(&[&text, &text], 4)).unwrap(), text, "the same code twice is one");
        assert_eq!(read(&page(&[], 4)).unwrap_err(), ShareFault::NoCode);
        assert_eq!(read(&page(&[&text, "hello"], 4)).unwrap_err(), ShareFault::SeveralCodes(2));
        let whole = page(&[&text], 4);
        assert_eq!(read(&whole[..whole.len() / 2]).unwrap_err(), ShareFault::DamagedPicture);
        assert_eq!(read(b"\xff\xd8\xff\xe0 no more").unwrap_err(), ShareFault::DamagedPicture);
    }
}
