//! Reports in the shape of a document for fleets: nodes, resources, models, deployments, agents, executions, alerts.
//!
//! Names are in camel case, units are percent, GiB and milliseconds unless a field says otherwise.

pub(super) mod alert;
pub(super) mod alert_ack;
pub(super) mod alert_history;
pub(super) mod common;
