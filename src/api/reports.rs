//! Reports in the shape of a document for fleets: nodes, resources, models, deployments, agents, executions, alerts.
//!
//! Names are in camel case, units are percent, GiB and milliseconds unless a field says otherwise.

pub(super) mod agent_performance;
pub(super) mod agents;
pub(super) mod alert;
pub(super) mod alert_ack;
pub(super) mod alert_history;
pub(super) mod common;
pub(super) mod deployment_metrics;
pub(super) mod deployments;
pub(super) mod execution;
pub(super) mod executions;
mod hardware;
pub(super) mod models;
pub(super) mod node;
pub(super) mod nodes;
pub(super) mod overview;
mod places;
mod replicas;
pub(super) mod resource;
pub(super) mod resources;
