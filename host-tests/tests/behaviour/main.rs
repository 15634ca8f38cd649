//! The behaviour of the built component, in the sandbox and outside, one module
//! for each thing that a user relies on. One binary: it links once.
//!
//! | module | what it is about |
//! | --- | --- |
//! | [`readme`] | every command of the README and of the operator's guide runs |
//! | [`real_etcd`] | backups of real members come back as the same data |
//! | [`runbook`] | the commands of `RESTORE.md` run as printed |
//! | [`kubernetes`] | a real API server on what was restored |
//! | [`alarms`] | what real members report as alarms |
//! | [`authentication`] | logins, and who may take a snapshot |
//! | [`members`] | which of several endpoints is asked |
//! | [`clusters`] | real clusters of several members, some of them sick |
//! | [`names`] | names that lead to several addresses, to several members, or nowhere |
//! | [`proof`] | what the pages of a snapshot say, and what the members say of them |
//! | [`requests`] | what is asked of a member, and what is not |
//! | [`transports`] | native gRPC where it can be had, the gateway where it cannot |
//! | [`success_rules`] | a stream that breaks one rule is not a backup |
//! | [`native_grpc`] | the same rules over native gRPC |
//! | [`lenient_reading`] | a stream that only looks unusual is one |
//! | [`refusals`] | what is said when something other than a stream comes |
//! | [`drips`] | servers whose every piece comes in time, and the whole never |
//! | [`golden`] | help, manifest and errors, word for word |
//! | [`faults`] | real members that die, stall or refuse |
//! | [`tls`] | who is trusted, who is let in, and what is said where it fails |
//! | [`signals`] | Ctrl-C and SIGTERM in the middle of a backup |
//! | [`sandbox`] | components that misbehave |
//! | [`contract`] | digests and the end of an import, under every kind of host |
//! | [`examples`] | the small connector, and Node as a host |
//! | [`machine`] | machines that give too little, or forbid something |
//! | [`bad_input`] | errors before anything is contacted or written |
//! | [`target_directory`] | the directory that is backed up into |
//! | [`plakar`] | backups through the real plakar |
//! | [`command_line`] | the rest of the host's command line |
//! | [`look`] | the component's own commands on a dump |
//! | [`stock_wasmtime`] | the component without our host |
//! | [`modules`] | what uses what in the code |

mod alarms;
mod attempt;
mod authentication;
mod bad_input;
mod clusters;
mod command_line;
mod contract;
mod drips;
mod examples;
mod faults;
mod golden;
mod kubernetes;
mod lenient_reading;
mod look;
mod machine;
mod members;
mod modules;
mod names;
mod native_grpc;
mod plakar;
mod proof;
mod readme;
mod real_etcd;
mod refusals;
mod requests;
mod runbook;
mod sandbox;
mod signals;
mod stock_wasmtime;
mod success_rules;
mod target_directory;
mod tls;
mod transports;
