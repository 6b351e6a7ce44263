//! Who may ask the second listener.

mod credentials;
mod exposure;
mod material;
