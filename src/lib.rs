//! smlc compiles a readable neural-network program (`.sml`) to an explicit three-party protocol and runs it.
//!
//! ```text
//! .sml -- syntax --> AST -- hir --> typed, shaped, labelled tree -- graph --> dataflow graph -- pass --> optimised graph
//!      -- plan --> rounds of kernels and messages -- run --> backend + net
//! ```
//!
//! Modules stand on floors; each imports only from floors below it or from its own (`tests/floors.rs` checks).

// floor 0: places, diagnostics, ids, numbers, labels
pub mod diag;
pub mod fixed;
pub mod id;
pub mod label;
pub mod shape;
pub mod span;
// floor 1: text to tree and back
pub mod syntax;
// floor 2: names, types, secrecy
pub mod hir;
// floor 3: dataflow
pub mod graph;
// floor 4: graph to graph
pub mod pass;
// floor 5: the protocol
pub mod plan;
// floor 6: devices, transports, files
pub mod backend;
pub mod data;
pub mod net;
// floor 7: a party's session; an editor's
pub mod lsp;
pub mod run;
// floor 8: the command line
pub mod cli;
