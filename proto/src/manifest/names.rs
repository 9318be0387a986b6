//! Names of files, parts and datasets of a bundle.

/// The version this code writes. Another major version is refused, another minor one is read.
pub const FORMAT_VERSION: &str = "1.1";

/// The manifest's name in the bundle.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The name of the list of SHA-256 hashes in the bundle.
pub const SHA256SUMS_FILE: &str = "SHA256SUMS";

/// Names of the parts of a bundle, also their folders under `onnx/`.
pub mod part {
    /// Pixels to image.
    pub const PREPROCESS: &str = "preprocess";
    /// Image to logits.
    pub const FULL: &str = "full";
    /// Image to residual and submodel input.
    pub const HEAD: &str = "head";
    /// Submodel input to submodel output.
    pub const SUBMODEL: &str = "submodel";
    /// Residual and submodel output to logits.
    pub const TAIL: &str = "tail";
}

/// Names of the datasets, also their file stems under `npy/`.
pub mod dataset {
    /// `[samples, 32, 32, 3]` u8: row, column, channel R, G, B.
    pub const PIXELS: &str = crate::preprocessing::PIXELS;
    /// `[samples, tokens, dim]` f32.
    pub const SUBMODEL_INPUT: &str = "submodel_input";
    /// `[samples, tokens, dim]` f32.
    pub const SUBMODEL_OUTPUT: &str = "submodel_output";
    /// `[samples, classes]` f32.
    pub const LOGITS: &str = "logits";
    /// `[samples]` i64, the true class.
    pub const LABELS: &str = "labels";
    /// `[samples]` i64, the class with the largest golden logit.
    pub const PREDICTIONS: &str = "predictions";
    /// `[samples]` f32, p(best class) − p(second best class).
    pub const CONFIDENCE: &str = "confidence";
    /// `[samples]` i64, position in the split of CIFAR-10.
    pub const SAMPLE_INDEX: &str = "sample_index";
    /// `[samples, tokens, dim]` f64, the submodel's output computed in float64 from the same
    /// float32 input and weights.
    pub const SUBMODEL_OUTPUT_F64: &str = "submodel_output_f64";
    /// `[samples]` i64, the confidence tier from 0, in a subset made by tiers.
    pub const TIER: &str = "tier";
}
