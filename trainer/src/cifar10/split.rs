//! Images and their labels in memory.

/// Bytes of one image: the planes R, G, B, each 32×32, row-major.
pub const IMAGE_BYTES: usize = 3 * 32 * 32;

/// One image's pixels, `[3, 32, 32]`.
pub type Image = [u8; IMAGE_BYTES];

/// Images and their labels, in the order of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Split {
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels of one image.
    pub fn image(&self, index: usize) -> &Image {
        let start = index * IMAGE_BYTES;
        self.pixels[start..start + IMAGE_BYTES]
            .try_into()
            .expect("a slice of an image's length")
    }

    /// The pixels of all images, `[images, 3, 32, 32]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The class of one image, 0 to 9.
    pub fn label(&self, index: usize) -> u8 {
        self.labels[index]
    }

    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Keeps the first `count` images.
    pub fn truncate(&mut self, count: usize) {
        self.labels.truncate(count);
        self.pixels.truncate(count * IMAGE_BYTES);
    }

    pub fn push(&mut self, image: &Image, label: u8) {
        self.pixels.extend_from_slice(image);
        self.labels.push(label);
    }
}
