//! Tests properties that hold for every input, with many random inputs.

mod arbitrary;
mod arithmetic;
mod decoding;
mod events;
mod folding;
mod money;
mod times;
