//! All families that exchanges feed, together with what names them.

use std::sync::{Arc, OnceLock};

use super::backends::Backends;
use super::cold_starts::ColdStarts;
use super::energy::Shares;
use super::failures::Failures;
use super::models::Models;
use super::per_model::PerModel;
use super::program::Program;
use super::requests::Requests;
use super::tokens::TokenCounts;
use crate::backend::catalogue::Catalogue;

pub(super) struct Families {
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) per_model: PerModel,
    pub(super) models: Models,
    pub(super) requests: Requests,
    pub(super) tokens: TokenCounts,
    pub(super) failures: Failures,
    pub(super) cold_starts: ColdStarts,
    pub(super) backends: Backends,
    pub(super) program: Program,
    /// Where energy is metered.
    pub(super) shares: OnceLock<Shares>,
}
