//! What deserves attention: rules, whether each of them holds, since when, and what became of it.
//!
//! ```text
//! rules (data) ─► yaml: prometheus/rules/*.yml     read by Prometheus
//!       └──────► promql: parsed once
//!                     │            ┌ /metrics of this program, every ten seconds
//!                     ▼            ▼
//!                   engine ◄── samples                    read by nobody else
//!                     │
//!   heard, silence ───────► course ─► fired · resolved ─► history, webhook
//!   (in its place, where     │
//!    one is configured)      └──► board ─► dashboards
//! ```
//!
//! Promises:
//! * One table ([`rules`]). The files for Prometheus are written from it and the evaluator reads it, so the two cannot
//!   differ; what the evaluator cannot know has its reason in the table.
//! * The evaluator gives what Prometheus gives for the same samples: the expressions of the table are PromQL, of which it
//!   knows the part that the table needs (`promql`), with the extrapolation, staleness and `for` of Prometheus 2.42.
//! * Bounded: series, samples, alerts of a rule, and alerts that are over.
//! * Pure: the time is an argument, and nothing is read or sent.
//!
//! Left out: recording rules, and rules that users write; these are Prometheus' own.

pub mod board;
pub mod course;
pub mod engine;
pub mod heard;
pub mod kept;
pub mod labels;
mod promql;
pub mod raised;
pub mod rule;
pub mod rules;
pub mod samples;
pub mod silence;
mod template;
pub mod webhook;
pub mod yaml;
