//! What an NVIDIA card tells of itself. `None` and empty lists are what it, or its driver, does not tell.

use std::time::Duration;

use super::xid::Xids;

/// All that is known of a card beside its identity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Share of time in which something ran, 0 to 1.
    pub utilization: Option<f64>,
    /// Share of time in which its memory was read or written, 0 to 1.
    pub memory_busy: Option<f64>,
    /// Its memory.
    pub memory: Option<Memory>,
    /// What it draws, in watts.
    pub power_watts: Option<f64>,
    /// What it has drawn since the driver was loaded, in joules.
    pub energy_joules: Option<f64>,
    /// What it may draw, in watts.
    pub power_limit_watts: Option<f64>,
    /// Temperature of the chip, in degrees Celsius.
    pub temperature_celsius: Option<f64>,
    /// Temperature of its memory, in degrees Celsius.
    pub memory_celsius: Option<f64>,
    /// Temperatures at which it does something about it, in degrees Celsius.
    pub limits_celsius: Vec<(TemperatureLimit, f64)>,
    /// Speed of its first fan, of what it can; 0 to 1, and above it for some.
    pub fan: Option<f64>,
    /// Clocks, now and at most, in hertz.
    pub clocks: Vec<ClockSpeed>,
    /// P-state: 0 is the fastest, 15 the slowest.
    pub performance_state: Option<u32>,
    /// What holds its clocks down now; empty is nothing.
    pub throttles: Option<Vec<Throttle>>,
    /// How long its clocks were held down, since the driver was loaded.
    pub throttled: Vec<(ThrottlePolicy, Duration)>,
    /// Share of the video encoder's time, 0 to 1.
    pub encoder: Option<f64>,
    /// Share of the video decoder's time, 0 to 1.
    pub decoder: Option<f64>,
    /// Errors of its memory that were found.
    pub ecc: Ecc,
    /// Rows of its memory that were replaced (Ampere and newer).
    pub remapped: Remapped,
    /// Pages of its memory that are not used any more (before Ampere).
    pub retired: Retired,
    /// Its place on the bus.
    pub pcie: Pcie,
    /// Its links to others.
    pub nvlinks: Vec<NvLink>,
    /// Who uses it.
    pub processes: Option<Vec<GpuProcess>>,
    /// Whether it is cut into instances; `None` where it cannot be.
    pub mig: Option<bool>,
    /// Its instances.
    pub instances: Vec<MigInstance>,
    /// Errors that its driver reported since this program watches; `None` where it reports none.
    pub xids: Option<Xids>,
}

/// Memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// In use by programs.
    pub used: u64,
    /// Free.
    pub free: u64,
    /// Kept by the driver.
    pub reserved: u64,
    /// All of it.
    pub total: u64,
}

/// A temperature at which something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemperatureLimit {
    /// The chip is switched off.
    Shutdown,
    /// The hardware slows down.
    Slowdown,
    /// The driver slows it down to stay below.
    Operating,
    /// The same for its memory.
    Memory,
}

impl TemperatureLimit {
    /// As a label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::Slowdown => "slowdown",
            Self::Operating => "operating",
            Self::Memory => "memory",
        }
    }
}

/// One clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockSpeed {
    /// Which one, as a label: `graphics`, `sm`, `memory`, `video`.
    pub clock: &'static str,
    /// Now, in hertz.
    pub now_hertz: Option<f64>,
    /// At most, in hertz.
    pub most_hertz: Option<f64>,
}

/// What holds clocks down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttle {
    /// Nothing to do.
    Idle,
    /// Clocks were set by hand.
    ApplicationClocks,
    /// The power limit.
    PowerCap,
    /// The hardware halves its clocks: heat, power brake, or too much power at once.
    HardwareSlowdown,
    /// It waits for others in its group.
    SyncBoost,
    /// The driver, because of heat.
    SoftwareThermal,
    /// The hardware, because of heat.
    HardwareThermal,
    /// The power supply asked for it.
    PowerBrake,
    /// A display.
    Display,
}

impl Throttle {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Idle,
        Self::ApplicationClocks,
        Self::PowerCap,
        Self::HardwareSlowdown,
        Self::SyncBoost,
        Self::SoftwareThermal,
        Self::HardwareThermal,
        Self::PowerBrake,
        Self::Display,
    ];

    /// As a label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::ApplicationClocks => "application_clocks",
            Self::PowerCap => "power_cap",
            Self::HardwareSlowdown => "hardware_slowdown",
            Self::SyncBoost => "sync_boost",
            Self::SoftwareThermal => "software_thermal",
            Self::HardwareThermal => "hardware_thermal",
            Self::PowerBrake => "power_brake",
            Self::Display => "display",
        }
    }
}

/// What time below full clocks is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottlePolicy {
    /// The power limit.
    Power,
    /// Heat.
    Thermal,
    /// Others in its group.
    SyncBoost,
    /// The board's limit.
    BoardLimit,
    /// Reliability: the voltage.
    Reliability,
}

impl ThrottlePolicy {
    /// As a label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Power => "power",
            Self::Thermal => "thermal",
            Self::SyncBoost => "sync_boost",
            Self::BoardLimit => "board_limit",
            Self::Reliability => "reliability",
        }
    }
}

/// Errors of memory that were found by their check bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ecc {
    /// Whether they are looked for.
    pub enabled: Option<bool>,
    /// One bit, corrected, since the driver was loaded.
    pub corrected_since_load: Option<u64>,
    /// Two bits, not corrected, since the driver was loaded.
    pub uncorrected_since_load: Option<u64>,
    /// One bit, corrected, in the card's life.
    pub corrected_in_life: Option<u64>,
    /// Two bits, not corrected, in the card's life.
    pub uncorrected_in_life: Option<u64>,
}

/// Rows of memory that were replaced by spare ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remapped {
    /// After errors that could be corrected.
    pub corrected: Option<u64>,
    /// After errors that could not.
    pub uncorrected: Option<u64>,
    /// Whether one waits for a reset to be replaced.
    pub pending: Option<bool>,
    /// Whether one could not be replaced: the card is to be exchanged.
    pub failed: Option<bool>,
}

/// Pages of memory that are no longer used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retired {
    /// After several errors of one bit.
    pub single_bit: Option<u64>,
    /// After an error of two bits.
    pub double_bit: Option<u64>,
    /// Whether one waits for a restart to be left out.
    pub pending: Option<bool>,
}

/// The card's place on the bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pcie {
    /// Generation of the link now; it falls when there is nothing to do.
    pub generation: Option<u32>,
    /// Generation that card and board can both do.
    pub most_generation: Option<u32>,
    /// Lanes now.
    pub width: Option<u32>,
    /// Lanes that card and board both have.
    pub most_width: Option<u32>,
    /// Transfers that had to be repeated.
    pub replays: Option<u64>,
    /// Bytes a second from the card, over the last 20 ms.
    pub sent_per_second: Option<u64>,
    /// Bytes a second to the card, over the last 20 ms.
    pub received_per_second: Option<u64>,
}

/// One link to another card or a switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NvLink {
    /// Its number on this card.
    pub link: u32,
    /// Whether it carries data.
    pub up: bool,
    /// Errors by kind, as a label: `replay`, `recovery`, `crc_flit`, `crc_data`.
    pub errors: Vec<(&'static str, u64)>,
}

/// A process that uses a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuProcess {
    /// Its number, as the driver sees it; inside a container others may be seen.
    pub pid: u32,
    /// Memory of the card that it holds, in bytes; unknown where the driver keeps it (Windows, some containers).
    pub memory_bytes: Option<u64>,
}

/// A part of a card that looks like a card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MigInstance {
    /// Its number on the card.
    pub index: u32,
    /// `MIG-…`.
    pub uuid: String,
    /// Its size, as `1g.5gb`; empty where the driver does not say.
    pub profile: String,
    /// Number of its GPU instance, where a process of its own tells.
    pub gpu_instance: Option<u32>,
    /// Its memory.
    pub memory: Option<Memory>,
    /// Who uses it.
    pub processes: Option<Vec<GpuProcess>>,
}
