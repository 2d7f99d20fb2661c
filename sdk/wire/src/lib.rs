//! The shapes on the wire: JSON in, JSON out, under limits.
//!
//! A request's parameters are read once, field by field, out of one buffer that is cleared when it is dropped;
//! an answer is written as text in one pass. Nothing here has `Debug`: any field may hold a secret.
#![forbid(unsafe_code)]

mod answer;
mod duration;
mod json;
mod names;
mod params;
mod patch;
mod query;
mod scan;
mod text;

pub use answer::{Auth, Envelope, Errors, WrapInfo, cleared};
pub use duration::{parse as parse_seconds, seconds_text};
pub use json::{Array, Object};
pub use params::{FieldError, Params, Patched};
pub use patch::merge_patch;
pub use scan::{Limits, ScanError, scan};
pub use text::{escape, push};
