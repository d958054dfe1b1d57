//! The Gate surface: JSON bodies that carry their own signature.

pub mod signature;
