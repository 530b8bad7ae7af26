//! The API through its router, over in-memory stand-ins for its ports.

#[cfg(test)]
mod auth;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod description;
#[cfg(test)]
mod doubt;
#[cfg(test)]
mod fakes;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod hosts;
#[cfg(test)]
mod input;
#[cfg(test)]
mod issuer;
#[cfg(test)]
#[cfg(feature = "lambda")]
mod lambda;
#[cfg(test)]
#[cfg(feature = "lambda")]
mod lambda_events;
#[cfg(test)]
mod letters;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod long_lines;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod placed;
#[cfg(test)]
mod principals;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod unread;
#[cfg(test)]
mod waits;
#[cfg(test)]
mod writes;
