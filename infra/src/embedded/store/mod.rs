//! The store on the disk: the data folder, fjall's database in it, and the threads that write and sync. All that depends on
//! fjall's layout is here; only [`layout`] reads fjall's private file formats. Every other room of the engine calls this one.

pub(crate) mod chain;
pub(crate) mod continuity;
pub(crate) mod database;
pub(crate) mod extent;
pub(crate) mod folder;
pub(crate) mod keys;
pub(crate) mod layout;
pub(crate) mod open_error;
pub(crate) mod opening;
pub(crate) mod pace;
pub(crate) mod reclaim;
pub mod recover;
pub(crate) mod stage;
pub(crate) mod sync;
pub(crate) mod views;
pub(crate) mod writer;
