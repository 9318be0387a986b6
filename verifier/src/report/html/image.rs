//! The image that a sample is of, in the page itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use ndarray::{Array3, Axis};

/// Bytes before the pixels of a BMP file.
const HEADERS: usize = 54;

/// An image `[rows, columns, 3]`, channel R, G, B.
pub(in crate::report) fn image(image: &Array3<u8>, text: &str) -> Markup {
    let address = format!("data:image/bmp;base64,{}", STANDARD.encode(bmp(image)));
    html! { img.pixels src=(address) alt=(text); }
}

/// The image as an uncompressed BMP file, which says the same in every browser and needs no codec
/// (BITMAPFILEHEADER and BITMAPINFOHEADER of the Windows API).
fn bmp(image: &Array3<u8>) -> Vec<u8> {
    let (rows, columns, _) = image.dim();
    let row_bytes = (3 * columns).next_multiple_of(4);
    let (pixel_bytes, size) = (rows * row_bytes, HEADERS + rows * row_bytes);
    let planes_and_bits = 1 | 24 << 16;
    let file = [size, 0, HEADERS];
    let info = [
        40,
        columns,
        rows,
        planes_and_bits,
        0,
        pixel_bytes,
        0,
        0,
        0,
        0,
    ];
    let mut bytes = b"BM".to_vec();
    for word in file.iter().chain(&info) {
        bytes.extend((*word as u32).to_le_bytes());
    }
    // The last row comes first, blue before green before red.
    for row in image.axis_iter(Axis(0)).rev() {
        let start = bytes.len();
        for pixel in row.axis_iter(Axis(0)) {
            bytes.extend(pixel.iter().rev());
        }
        bytes.resize(start + row_bytes, 0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_upside_down_and_padded_and_channels_reversed() {
        let pixels = vec![1, 2, 3, 4, 5, 6];
        let image = Array3::from_shape_vec((2, 1, 3), pixels).expect("2 rows of 1 pixel");
        let bytes = bmp(&image);
        assert_eq!(bytes[..6], [b'B', b'M', 62, 0, 0, 0]);
        assert_eq!(bytes[18..30], [1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 24, 0]);
        assert_eq!(bytes[HEADERS..], [6, 5, 4, 0, 3, 2, 1, 0]);
    }
}
