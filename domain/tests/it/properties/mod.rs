//! What holds for every input, tried on many random ones.

mod arbitrary;
mod decoding;
mod folding;
mod money;
mod times;
