//! The preprocessing as an ONNX graph that gives the same bits as the trainer's own.
//!
//! Pillow sums up pixels times weights of 22 fractional bits and rounds to the nearest u8. A
//! float32 holds whole numbers up to 2²⁴ only, so each weight is cut into a high and a low half of
//! 11 bits. Then every product, and every sum in whatever order, is a whole number that float32
//! holds exactly, and with `high` and `low` the two sums of one output pixel
//!
//! ```text
//! floor((high·2¹¹ + low + 2²¹) / 2²²) = floor((high + floor(low / 2¹¹) + 2¹⁰) / 2¹¹)
//! ```
//!
//! in which each step is exact, too. The numbers that are multiplied have at most 11 significant
//! bits: neither TF32 nor float16 takes anything from them, if sums are kept in float32.

use super::resize::{PRECISION_BITS, Resizer};
use super::{CHANNELS, CIFAR10_IMAGE_SIZE, IMAGE, PIXELS, Preprocessing};
use crate::graph::{Deployment, GraphBuilder, Model, Value};
use crate::npy::Dtype;

/// Fractional bits of half a weight.
const HALF_BITS: u32 = PRECISION_BITS / 2;

/// The weights of one pass, `[32, image_size]` each: 2¹¹ · high + low.
struct Halves {
    high: Vec<f32>,
    low: Vec<f32>,
}

/// The names of the constants that both passes take.
struct Pass {
    high: String,
    low: String,
    step: String,
    half: String,
    least: String,
    most: String,
    image_size: usize,
}

impl Preprocessing {
    /// The graph of this name from `pixels` `[batch, 32, 32, 3]`, uint8, the channels R, G, B, to
    /// `image` `[batch, 3, image_size, image_size]`, float32.
    pub fn model(&self, name: &str, deployment: Deployment) -> Model<'static> {
        let mut graph = GraphBuilder::with_deployment(name, deployment);
        let (side, image_size) = (CIFAR10_IMAGE_SIZE, self.resize.image_size);
        let pixels = graph.input_of(PIXELS, Dtype::Uint8, &[side, side, CHANNELS]);
        let numbers = graph.to_float32("pixels_as_float32", &pixels);
        // [batch, channel, row, column]
        let mut planes = graph.transpose("planes", &numbers, &[2, 0, 1]);
        if image_size != side {
            planes = resized(&mut graph, &planes, image_size);
        }
        let divisor = graph.scalar("divisor", self.divide_by);
        let [mean, std] = [("mean", self.mean), ("std", self.std)]
            .map(|(name, numbers)| graph.constant(name, &[CHANNELS, 1, 1], bytes(&numbers)));
        let shares = graph.with_constant("Div", "shares", &planes, &divisor);
        let centred = graph.with_constant("Sub", "centred", &shares, &mean);
        let image = graph.with_constant("Div", IMAGE, &centred, &std);
        graph.output(&image);
        graph.finish()
    }
}

/// `[batch, 3, 32, 32]` → `[batch, 3, image_size, image_size]`, whole numbers 0 to 255.
fn resized(graph: &mut GraphBuilder<'_>, planes: &Value, image_size: usize) -> Value {
    let pass = Pass::new(graph, image_size);
    let wide = pass.along_last_axis(graph, "horizontal", planes); // [batch, channel, row, column]
    // [batch, channel, column, row]
    let turned = graph.transpose("columns", &wide, &[0, 2, 1]);
    let large = pass.along_last_axis(graph, "vertical", &turned); // [batch, channel, column, row]
    graph.transpose("resized", &large, &[0, 2, 1]) // [batch, channel, row, column]
}

impl Pass {
    fn new(graph: &mut GraphBuilder<'_>, image_size: usize) -> Self {
        let Halves { high, low } = Halves::new(image_size);
        let shape = [CIFAR10_IMAGE_SIZE, image_size];
        Self {
            high: graph.constant("weights_high", &shape, bytes(&high)),
            low: graph.constant("weights_low", &shape, bytes(&low)),
            step: graph.scalar("step", step()),
            half: graph.scalar("half", half()),
            least: graph.scalar("least", 0.0),
            most: graph.scalar("most", 255.0),
            image_size,
        }
    }

    /// One pass of the resize, rounded to whole numbers 0 to 255, `[…, 32]` → `[…, image_size]`.
    fn along_last_axis(&self, graph: &mut GraphBuilder<'_>, axis: &str, x: &Value) -> Value {
        let name = |rest: &str| format!("{axis}_{rest}");
        let high = graph.matmul_weight(&name("high"), x, &self.high, self.image_size);
        let low = graph.matmul_weight(&name("low"), x, &self.low, self.image_size);
        let low = graph.with_constant("Mul", &name("low_scaled"), &low, &self.step);
        let low = graph.unary("Floor", &name("low_whole"), &low);
        let sum = graph.elementwise("Add", &name("sum"), &high, &low);
        let sum = graph.with_constant("Add", &name("sum_raised"), &sum, &self.half);
        let sum = graph.with_constant("Mul", &name("sum_scaled"), &sum, &self.step);
        let sum = graph.unary("Floor", &name("sum_whole"), &sum);
        graph.clip(axis, &sum, &self.least, &self.most)
    }
}

impl Halves {
    fn new(image_size: usize) -> Self {
        let elements = CIFAR10_IMAGE_SIZE * image_size;
        let (mut high, mut low) = (vec![0.0; elements], vec![0.0; elements]);
        let resizer = Resizer::new(CIFAR10_IMAGE_SIZE, image_size);
        for (output, window) in resizer.windows().iter().enumerate() {
            for (offset, &weight) in window.weights.iter().enumerate() {
                let element = (window.first + offset) * image_size + output;
                high[element] = (weight >> HALF_BITS) as f32;
                low[element] = (weight & ((1 << HALF_BITS) - 1)) as f32;
            }
        }
        Self { high, low }
    }
}

/// 2⁻¹¹.
fn step() -> f32 {
    1.0 / (1u32 << HALF_BITS) as f32
}

/// 2¹⁰: what is added before rounding down to round to the nearest.
fn half() -> f32 {
    (1u32 << (HALF_BITS - 1)) as f32
}

/// Little-endian.
fn bytes(numbers: &[f32]) -> Vec<u8> {
    bytemuck::cast_slice(numbers).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Axis, Graph};

    /// Smaller than 32, where one output pixel is made of up to 32, and larger; 224 is 7 · 32.
    const SIZES: [usize; 9] = [1, 2, 15, 16, 31, 33, 48, 224, 256];

    fn model(image_size: usize) -> Graph {
        let preprocessing = Preprocessing::cifar10(image_size);
        let model = preprocessing.model("preprocess", Deployment::default());
        let mut bytes = Vec::new();
        crate::graph::write::write(&model, &mut bytes).expect("memory takes all");
        Graph::decode(&bytes).expect("a model")
    }

    /// What the graph's nodes of one pass compute along rows of 32, in float32; every sum must be
    /// exact.
    fn pass(rows: &[f32], image_size: usize) -> Vec<f32> {
        let halves = Halves::new(image_size);
        let sum = |row: &[f32], weights: &[f32], output: usize| {
            let products = row.iter().enumerate();
            let sum = products.fold(0f32, |sum, (input, pixel)| {
                sum + pixel * weights[input * image_size + output]
            });
            assert!(sum < (1 << 24) as f32, "{sum} at {image_size} pixels");
            sum
        };
        let rows = rows.chunks_exact(CIFAR10_IMAGE_SIZE);
        let outputs = rows.flat_map(|row| (0..image_size).map(move |output| (row, output)));
        let rounded = outputs.map(|(row, output)| {
            let high = sum(row, &halves.high, output);
            let low = (sum(row, &halves.low, output) * step()).floor();
            ((high + low + half()) * step()).floor().clamp(0.0, 255.0)
        });
        rounded.collect()
    }

    fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
        let rows = matrix.len() / columns;
        let places = (0..columns).flat_map(|column| (0..rows).map(move |row| (row, column)));
        places
            .map(|(row, column)| matrix[row * columns + column])
            .collect()
    }

    #[test]
    fn the_passes_in_float32_equal_those_in_whole_numbers() {
        let side = CIFAR10_IMAGE_SIZE;
        let random = |i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8;
        let striped = |i: u32| if i.is_multiple_of(3) { 255 } else { 0 };
        let planes = [random, striped, |_| 255]
            .map(|pixel: fn(u32) -> u8| (0..(side * side) as u32).map(pixel).collect::<Vec<u8>>());
        for image_size in SIZES {
            for plane in &planes {
                let mut expected = vec![0; image_size * image_size];
                let resizer = Resizer::new(side, image_size);
                resizer.resize(plane, &mut Vec::new(), &mut expected);
                let numbers: Vec<f32> = plane.iter().map(|&pixel| f32::from(pixel)).collect();
                let wide = transposed(&pass(&numbers, image_size), image_size);
                let found = transposed(&pass(&wide, image_size), image_size);
                let expected: Vec<f32> = expected.into_iter().map(f32::from).collect();
                assert!(found == expected, "{image_size} pixels");
            }
        }
    }

    #[test]
    fn halves_have_eleven_significant_bits_and_are_the_whole_weight() {
        for image_size in SIZES {
            let Halves { high, low } = Halves::new(image_size);
            let most = (1 << HALF_BITS) as f32;
            let halves = high.iter().chain(&low);
            assert!(halves.clone().all(|half| (0.0..=most).contains(half)));
            let whole = |(high, low): (&f32, &f32)| (*high as i64) << HALF_BITS | *low as i64;
            let found: i64 = high.iter().zip(&low).map(whole).sum();
            let resizer = Resizer::new(CIFAR10_IMAGE_SIZE, image_size);
            let weights = resizer.windows().iter().flat_map(|window| &window.weights);
            let expected: i64 = weights.map(|&weight| i64::from(weight)).sum();
            assert_eq!(found, expected, "{image_size} pixels");
        }
    }

    #[test]
    fn the_graph_has_batch_alone_free_and_standard_operators() {
        for (image_size, nodes) in [(32, 5), (224, 5 + 2 * 9 + 2)] {
            let graph = model(image_size);
            graph.check_standard().expect("standard operators");
            assert_eq!(graph.nodes().len(), nodes);
            let axes = |axes: &[usize]| {
                let fixed = axes.iter().map(|&axis| Axis::Fixed(axis));
                let batch = Axis::Named("batch".to_owned());
                Some(std::iter::once(batch).chain(fixed).collect::<Vec<_>>())
            };
            assert_eq!(graph.input_names(), [PIXELS]);
            assert_eq!(graph.output_names(), [IMAGE]);
            assert_eq!(graph.shape(PIXELS), axes(&[32, 32, 3]));
            assert_eq!(graph.dtype(PIXELS), Some(Dtype::Uint8));
            assert_eq!(graph.shape(IMAGE), axes(&[3, image_size, image_size]));
            assert_eq!(graph.dtype(IMAGE), Some(Dtype::Float32));
        }
    }

    #[test]
    fn bytes_are_counted_as_bytes_when_a_batch_is_chosen() {
        // Cast reads 3,072 bytes and writes 3,072 numbers; other nodes read and write numbers.
        assert_eq!(model(32).largest_operator_bytes(), Some(2 * 4 * 3072));
        let graph = model(32)
            .cut(&[PIXELS], &["pixels_as_float32"])
            .expect("one node");
        assert_eq!(graph.largest_operator_bytes(), Some(5 * 3072));
    }
}
