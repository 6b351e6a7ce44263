//! Who may ask the second listener.

mod canaries;
mod confusion;
mod credentials;
mod every_route;
mod exposure;
mod limits;
pub(crate) mod material;
mod session;
mod socket;
