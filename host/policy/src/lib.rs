//! Decides what a run may reach, which options it gets and what it may use. Runs no
//! WebAssembly, so its tests take seconds.
//!
//! | module | what it decides |
//! | --- | --- |
//! | `plan` | what one run is granted, from all of the below |
//! | [`contract`] | which versions of the contract are supported |
//! | [`options`] | which of the typed options reach the component |
//! | [`grant`] | which requests leave the sandbox |
//! | [`tls`] | which servers the host trusts, and how it identifies itself |
//! | [`records`] | which records are admitted |
//! | [`account`] | what happened to each record, and whether that is a success |
//! | [`digest`] | which part of a content a digest may cover |
//! | [`facts`] | which facts are passed on |
//! | [`invocation`] | what plakar's command line says and its protocol does not |
//! | [`limits`] | how much memory, how many log lines and how much time a component gets |
//!
//! It knows a connector by its [`Description`], and reports to an [`Observer`]. All of
//! it is pure, except that [`options`] reads [`files`] and the working directory, [`tls`]
//! the clock, and [`invocation`] the command line of plakar.

#![forbid(unsafe_code)]

pub mod account;
pub mod contract;
mod description;
pub mod digest;
mod error;
mod events;
pub mod facts;
pub mod files;
pub mod grant;
pub mod invocation;
pub mod limits;
pub mod options;
mod plan;
pub mod records;
pub mod tls;

pub use description::{Description, OptionDescription, OptionKind, Protocol};
pub use error::{Error, Fault};
pub use events::{Event, Fact, Observer, Speaker};
pub use plan::{CommandPlan, Plan};
