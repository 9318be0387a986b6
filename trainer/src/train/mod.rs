//! Training: what is planned, the loop that does it, and what its epochs come to.

mod error;
mod history;
mod plan;
mod random;
mod session;

pub use error::TrainError;
pub use history::{EpochRow, Progress, best_epoch};
pub use plan::{MOST_EPOCHS, Plan, PlanError, TEST_IMAGES, TRAIN_IMAGES};
pub use session::{End, Event, Session};
