//! A real browser, for tests of HTML pages. All tests of a process share one browser; each [`Page`] has its own profile
//! in it, so that pages share no storage.
//!
//! The browser is driven by the Chrome DevTools Protocol (<https://chromedevtools.github.io/devtools-protocol/>). A
//! page gets real input events, so a test can only do what a person can do.

mod axe;
mod connection;
mod faults;
mod input;
mod page;
mod process;

pub use page::{Page, Window};
