//! The facts of an NVIDIA card. `None` and empty lists are facts that the card or its driver does not report.

use std::time::Duration;

use super::xid::Xids;

/// All facts of a card besides its identity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Share of time with work, 0 to 1.
    pub utilization: Option<f64>,
    /// Share of time in which its memory was read or written, 0 to 1.
    pub memory_busy: Option<f64>,
    /// Its memory.
    pub memory: Option<GpuMemory>,
    /// Power now, in watts.
    pub power_watts: Option<f64>,
    /// Energy since the driver was loaded, in joules.
    pub energy_joules: Option<f64>,
    /// Power limit, in watts.
    pub power_limit_watts: Option<f64>,
    /// Temperature of the chip, in degrees Celsius.
    pub temperature_celsius: Option<f64>,
    /// Temperature of its memory, in degrees Celsius.
    pub memory_celsius: Option<f64>,
    /// Temperatures at which it throttles or shuts down, in degrees Celsius.
    pub limits_celsius: Vec<(TemperatureLimit, f64)>,
    /// Speed of its first fan relative to its maximum, 0 to 1; above 1 for some fans.
    pub fan: Option<f64>,
    /// Current and maximum clocks.
    pub clocks: Vec<ClockSpeed>,
    /// P-state: 0 is the fastest, 15 the slowest.
    pub performance_state: Option<u32>,
    /// Why its clocks are reduced now; empty means they are not.
    pub throttles: Option<Vec<Throttle>>,
    /// How long its clocks were reduced since the driver was loaded.
    pub throttled: Vec<(ThrottlePolicy, Duration)>,
    /// Share of the video encoder's time, 0 to 1.
    pub encoder: Option<f64>,
    /// Share of the video decoder's time, 0 to 1.
    pub decoder: Option<f64>,
    /// Errors of its memory.
    pub ecc: Ecc,
    /// Remapped rows of its memory (Ampere and newer).
    pub remapped: Remapped,
    /// Retired pages of its memory (before Ampere).
    pub retired: Retired,
    /// Its PCIe link.
    pub pcie: Pcie,
    /// Its links to other cards.
    pub nvlinks: Vec<NvLink>,
    /// The processes that use it.
    pub processes: Option<Vec<GpuProcess>>,
    /// Whether it is partitioned into instances (MIG); `None` where it cannot be.
    pub mig: Option<bool>,
    /// Its instances.
    pub instances: Vec<MigInstance>,
    /// Errors that its driver has reported since this program started; `None` where it does not report them.
    pub xids: Option<Xids>,
}

/// Memory of a card, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuMemory {
    /// In use by programs.
    pub used: u64,
    /// Free.
    pub free: u64,
    /// Reserved by the driver.
    pub reserved: u64,
    /// In total.
    pub total: u64,
}

/// What the card does at a temperature limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemperatureLimit {
    /// It shuts down.
    Shutdown,
    /// The hardware throttles.
    Slowdown,
    /// The driver throttles to stay below.
    Operating,
    /// The same for its memory.
    Memory,
}

impl TemperatureLimit {
    /// The label value.
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

/// The speed of one clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockSpeed {
    /// Which one, as a label: `graphics`, `sm`, `memory`, `video`.
    pub clock: &'static str,
    /// The current speed in hertz.
    pub now_hertz: Option<f64>,
    /// The maximum in hertz.
    pub max_hertz: Option<f64>,
}

/// Why clocks are reduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttle {
    /// The GPU is idle.
    Idle,
    /// Clocks were set by hand.
    ApplicationClocks,
    /// The power limit.
    PowerCap,
    /// The hardware halves its clocks: heat, power brake, or a power spike.
    HardwareSlowdown,
    /// Other cards of its sync boost group.
    SyncBoost,
    /// The driver, because of heat.
    SoftwareThermal,
    /// The hardware, because of heat.
    HardwareThermal,
    /// The power supply requests it.
    PowerBrake,
    /// A display.
    Display,
}

impl Throttle {
    /// Every value.
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

    /// The label value.
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

/// The reason for which time with reduced clocks is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottlePolicy {
    /// The power limit.
    Power,
    /// Heat.
    Thermal,
    /// Other cards of its sync boost group.
    SyncBoost,
    /// The board's limit.
    BoardLimit,
    /// Reliability: the voltage.
    Reliability,
}

impl ThrottlePolicy {
    /// The label value.
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

/// Memory errors detected by ECC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ecc {
    /// Whether ECC is enabled.
    pub enabled: Option<bool>,
    /// Corrected (single-bit) errors since the driver was loaded.
    pub corrected_since_load: Option<u64>,
    /// Uncorrected (double-bit) errors since the driver was loaded.
    pub uncorrected_since_load: Option<u64>,
    /// Corrected errors in the card's life.
    pub corrected_in_life: Option<u64>,
    /// Uncorrected errors in the card's life.
    pub uncorrected_in_life: Option<u64>,
}

/// Memory rows remapped to spare ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remapped {
    /// After corrected errors.
    pub corrected: Option<u64>,
    /// After uncorrected errors.
    pub uncorrected: Option<u64>,
    /// Whether a remapping waits for a reset.
    pub pending: Option<bool>,
    /// Whether a remapping has failed: the card has to be replaced.
    pub failed: Option<bool>,
}

/// Memory pages that are no longer used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retired {
    /// After several single-bit errors.
    pub single_bit: Option<u64>,
    /// After a double-bit error.
    pub double_bit: Option<u64>,
    /// Whether a retirement waits for a reboot.
    pub pending: Option<bool>,
}

/// The card's PCIe link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pcie {
    /// Current generation; lower while idle.
    pub generation: Option<u32>,
    /// Highest generation that both card and board support.
    pub max_generation: Option<u32>,
    /// Current number of lanes.
    pub width: Option<u32>,
    /// Number of lanes that both card and board have.
    pub max_width: Option<u32>,
    /// Replayed transfers.
    pub replays: Option<u64>,
    /// Bytes per second from the card, over the last 20 ms.
    pub sent_per_second: Option<u64>,
    /// Bytes per second to the card, over the last 20 ms.
    pub received_per_second: Option<u64>,
}

/// One link to another card or a switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NvLink {
    /// Its index on this card.
    pub link: u32,
    /// Whether it carries data.
    pub up: bool,
    /// Errors by kind, as a label: `replay`, `recovery`, `crc_flit`, `crc_data`.
    pub errors: Vec<(&'static str, u64)>,
}

/// A process that uses a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuProcess {
    /// Its process id as the driver sees it, which may differ inside a container.
    pub pid: u32,
    /// Memory of the card that it uses, in bytes; `None` where the driver does not report it (Windows, some
    /// containers).
    pub memory_bytes: Option<u64>,
}

/// A MIG instance: a partition that appears as a card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MigInstance {
    /// Its index on the card.
    pub index: u32,
    /// `MIG-…`.
    pub uuid: String,
    /// Its profile, such as `1g.5gb`; empty where the driver does not report it.
    pub profile: String,
    /// Id of its GPU instance; known only while a process runs in it.
    pub gpu_instance: Option<u32>,
    /// Its memory.
    pub memory: Option<GpuMemory>,
    /// The processes that use it.
    pub processes: Option<Vec<GpuProcess>>,
}
