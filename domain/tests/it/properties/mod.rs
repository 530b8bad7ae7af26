//! Properties that hold for every input, tested with many random ones.

mod arbitrary;
mod decoding;
mod folding;
mod money;
mod times;
