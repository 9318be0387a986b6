//! What other people's tools want beside the models: ONNX's test data sets, and a README with
//! commands.

mod pytorch;
mod readme;
mod test_data;
mod tolerance;
mod tools;

pub use readme::readme;
pub use test_data::write_test_data;
