//! The second listener: metrics, health and a page for people.
//!
//! | path | answer |
//! |---|---|
//! | `/` | the dashboard's page, whose files are below `/assets/`; in a build without it the plain page |
//! | `/plain` | a page without scripts: addresses, backends, models in memory, what is in flight |
//! | `/metrics` | every metric, in Prometheus text format 0.0.4 or `OpenMetrics` 1.0 as asked for; gzip where accepted |
//! | `/livez`, `/-/healthy` | 200: the process runs |
//! | `/readyz`, `/-/ready` | 200 while clients are served, 503 before and while draining; never the backend's state |
//! | `/health` | JSON: status, backends, how many exchanges are in flight |
//! | `/dashboard/*`, `/api/*`, `/openapi.json` | the dashboard API ([`crate::api`]) |
//!
//! GET and HEAD only. Promises: nothing here delays an exchange (metrics are written on threads of their own, two at a
//! time, at a lower priority than those that serve clients); bound to loopback it answers to loopback names only, so
//! that no web site can read it through a browser (DNS rebinding), and of another site's page only a link that is
//! followed is answered; with users in the web configuration file every path but `/livez` and `/readyz`, known or not,
//! needs a password; slow and silent clients and wrong passwords, however many, lock no other client out, and cost a
//! bounded amount of memory and of processor time; no prompt and no answer is shown. Under concurrent scrapes metrics
//! may be a second old. Left out: HTTP/2, a reload endpoint (it would be a POST; SIGHUP does it).

pub mod access;
mod answer;
mod body;
mod embedded;
mod guard;
mod handshake;
mod health;
mod listener;
mod markup;
mod models;
mod negotiate;
mod page;
mod parts;
mod policy;
pub mod ready;
mod routes;
mod scrapes;
mod slots;
mod socket;
mod web_config;

pub use listener::serve;
pub use negotiate::ExpositionFormat;
pub use parts::{Encode, Parts};

#[cfg(test)]
mod tests;
