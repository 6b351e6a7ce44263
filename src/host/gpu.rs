//! The facts that GPUs of all vendors share.

/// One GPU. A fact that its driver does not report is `None`; nothing is estimated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gpu {
    /// Its index within its driver, from 0, as text.
    pub index: String,
    /// Its permanent id; empty where the driver has none.
    pub uuid: String,
    /// Its product name; empty where it is unknown.
    pub name: String,
    /// Share of time with work, 0 to 1.
    pub utilization: Option<f64>,
    /// Power now, in watts.
    pub power_watts: Option<f64>,
    /// Energy since the driver was loaded, in joules.
    pub energy_joules: Option<f64>,
    /// Temperature of the chip, in degrees Celsius.
    pub temperature_celsius: Option<f64>,
    /// Dedicated memory in use, in bytes.
    pub memory_used_bytes: Option<u64>,
    /// Dedicated memory in total, in bytes.
    pub memory_total_bytes: Option<u64>,
    /// Speed of its fan relative to its maximum, 0 to 1; above 1 for some fans.
    pub fan: Option<f64>,
}
