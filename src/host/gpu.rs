//! What is known of one GPU, whoever made it.

/// One GPU. Every fact that its driver does not tell is `None`; nothing is estimated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gpu {
    /// Its number among those of its driver, from 0, as text.
    pub index: String,
    /// What identifies it for good; empty where the driver has nothing of the kind.
    pub uuid: String,
    /// Its product name; empty where it is not known.
    pub name: String,
    /// Share of time with work, 0 to 1.
    pub utilization: Option<f64>,
    /// Power now, in watts.
    pub power_watts: Option<f64>,
    /// Energy since the driver was loaded, in joules.
    pub energy_joules: Option<f64>,
    /// Temperature of the chip, in degrees Celsius.
    pub temperature_celsius: Option<f64>,
    /// Memory of its own in use, in bytes.
    pub memory_used_bytes: Option<u64>,
    /// All memory of its own, in bytes.
    pub memory_total_bytes: Option<u64>,
}
