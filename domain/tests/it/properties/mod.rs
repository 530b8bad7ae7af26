//! Properties that hold for every input, tested with many random ones.

mod arbitrary;
mod arithmetic;
mod decoding;
mod events;
mod folding;
mod money;
mod times;
