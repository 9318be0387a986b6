//! Pillow's bilinear resize of u8 images, bit for bit.
//!
//! Half-pixel centres, coefficients in 22-bit fixed point, the horizontal pass first and rounded to
//! u8, then the vertical one: `src/libImaging/Resample.c` of Pillow (`ImagingResample`, 8 bits per
//! channel, `BILINEAR`).

/// Fractional bits of a coefficient: 32 less 8 for the pixel and 2 for sums that overshoot
/// (`PRECISION_BITS`).
pub const PRECISION_BITS: u32 = 32 - 8 - 2;

/// Resizes square images of one size into another.
#[derive(Debug)]
pub struct Resizer {
    input_size: usize,
    output_size: usize,
    /// One entry for each output coordinate; the same for rows and columns.
    windows: Vec<Window>,
}

/// The input coordinates that one output coordinate is made of.
#[derive(Debug)]
pub struct Window {
    pub first: usize,
    /// Weights of `first`, `first + 1`, …, with [`PRECISION_BITS`] fractional bits.
    pub weights: Vec<i32>,
}

impl Resizer {
    /// A resizer from `input_size`² to `output_size`² pixels.
    pub fn new(input_size: usize, output_size: usize) -> Self {
        Self {
            input_size,
            output_size,
            windows: windows(input_size, output_size),
        }
    }

    /// One window for each output coordinate, the same for rows and columns.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// Resizes one channel, row-major; `scratch` is reused between calls.
    pub fn resize(&self, plane: &[u8], scratch: &mut Vec<u8>, output: &mut [u8]) {
        let (side, wide) = (self.input_size, self.output_size);
        assert_eq!(
            (plane.len(), output.len()),
            (side * side, wide * wide),
            "one square channel in and out"
        );
        if side == wide {
            output.copy_from_slice(plane);
            return;
        }
        scratch.resize(side * wide, 0);
        for (row, narrow) in scratch.chunks_exact_mut(wide).zip(plane.chunks_exact(side)) {
            for (pixel, window) in row.iter_mut().zip(&self.windows) {
                let pixels = &narrow[window.first..window.first + window.weights.len()];
                *pixel = round(
                    pixels
                        .iter()
                        .zip(&window.weights)
                        .map(|(&p, &w)| i32::from(p) * w)
                        .sum(),
                );
            }
        }
        let mut sums = vec![0i32; wide];
        for (row, window) in output.chunks_exact_mut(wide).zip(&self.windows) {
            sums.fill(0);
            for (offset, &weight) in window.weights.iter().enumerate() {
                let start = (window.first + offset) * wide;
                for (sum, &pixel) in sums.iter_mut().zip(&scratch[start..start + wide]) {
                    *sum += i32::from(pixel) * weight;
                }
            }
            for (pixel, &sum) in row.iter_mut().zip(&sums) {
                *pixel = round(sum);
            }
        }
    }
}

/// `precompute_coeffs` and `normalize_coeffs_8bpc` with the triangle filter, whose support is 1.
fn windows(input_size: usize, output_size: usize) -> Vec<Window> {
    let scale = input_size as f64 / output_size as f64;
    let filter_scale = scale.max(1.0);
    let triangle = |x: f64| (1.0 - x.abs()).max(0.0);
    (0..output_size)
        .map(|output| {
            let centre = (output as f64 + 0.5) * scale;
            let first = (centre - filter_scale + 0.5).max(0.0) as usize;
            let end = ((centre + filter_scale + 0.5) as usize).min(input_size);
            let weight =
                |input: usize| triangle((input as f64 - centre + 0.5) * (1.0 / filter_scale));
            let total: f64 = (first..end).map(weight).sum();
            let fixed =
                |input| (0.5 + weight(input) / total * f64::from(1 << PRECISION_BITS)) as i32;
            Window {
                first,
                weights: (first..end).map(fixed).collect(),
            }
        })
        .collect()
}

/// From fixed point to the nearest u8.
fn round(sum: i32) -> u8 {
    ((sum + (1 << (PRECISION_BITS - 1))) >> PRECISION_BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resized(plane: &[u8], from: usize, to: usize) -> Vec<u8> {
        let mut output = vec![0; to * to];
        Resizer::new(from, to).resize(plane, &mut Vec::new(), &mut output);
        output
    }

    #[test]
    fn the_same_size_is_the_same_image() {
        let plane: Vec<u8> = (0..16).map(|i| i * 13).collect();
        assert_eq!(resized(&plane, 4, 4), plane);
    }

    #[test]
    fn sevenfold_equals_the_integer_interpolation() {
        // Between neighbours a and b at phase k of 7: ((7 − k)·a + k·b + 3) / 7, rows first, edges
        // clamped.
        let plane: Vec<u8> = (0..32 * 32)
            .map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let at = |i: usize| {
            let sevenths = (i as i32 - 3).clamp(0, 7 * 31);
            (
                (sevenths / 7) as usize,
                ((sevenths / 7 + 1) as usize).min(31),
                (sevenths % 7) as u32,
            )
        };
        let mix =
            |a: u8, b: u8, k: u32| (((7 - k) * u32::from(a) + k * u32::from(b) + 3) / 7) as u8;
        let output = resized(&plane, 32, 224);
        for row in 0..224 {
            let (above, below, down) = at(row);
            for column in 0..224 {
                let (left, right, across) = at(column);
                let along =
                    |row: usize| mix(plane[row * 32 + left], plane[row * 32 + right], across);
                let expected = mix(along(above), along(below), down);
                assert_eq!(
                    output[row * 224 + column],
                    expected,
                    "row {row}, column {column}"
                );
            }
        }
    }
}
