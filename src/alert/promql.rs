//! The part of PromQL that the rules need: parsed to an expression, evaluated on samples.
//!
//! What it does not know it refuses when the rules are parsed, which a test does with every rule: selectors with `=`, `!=`
//! and alternatives (`=~"a|b"`), `rate`, `increase`, `avg_over_time`, `max_over_time`, `count_over_time`,
//! `histogram_quantile`, `time`, `sum`, `max`, `avg` and `count` by labels, arithmetic, comparisons, `and`, `or` and `unless`.
//!
//! Series have no name here: nothing in the rules asks for it after the selection.

pub(super) mod eval;
pub(super) mod expr;
mod over_time;
pub(super) mod parse;
mod quantile;
mod token;
