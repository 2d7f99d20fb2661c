//! What a handler receives, and what it gives back.
//!
//! A secrets engine or an auth method gets a [`Room`] (the least it needs) and a [`Request`], and gives an
//! [`Outcome`]: an answer that is ready, or a [`Change`] that it wants made. It can't make the change itself: only the
//! recorder runs one, inside the transaction that holds the change's audit leaf too.
#![forbid(unsafe_code)]

mod answer;
mod fault;
mod outcome;
mod request;

pub use answer::{Answer, Body, Piece};
pub use fault::Fault;
pub use outcome::{Change, Outcome};
pub use request::{Request, Room};
