//! The names of GPU facts, whoever made the card.

use crate::metrics::host::exposition::{Kind, Name};

/// One line a family: kind, name, labels besides a card's own, help. A card's own labels come first.
macro_rules! names {
    ($($id:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(pub(super) static $id: Name = Name {
            name: concat!("ollama_proxy_", $name),
            help: $help,
            kind: Kind::$kind,
            labels: &["gpu", "gpu_uuid", "gpu_name", "node" $(, $label)*],
        };)+

        /// Every name here but those without a card.
        const OF_CARDS: [&Name; [$($name),+].len()] = [$(&$id),+];
    };
}

names! {
    UP: Gauge "gpu_up" [] "Whether the card answers; 0 for one that did and fell off the bus or needs a reset.";
    INFO: Gauge "gpu_info" ["pci_bus_id", "driver", "cuda"]
        "Where the card is and what drives it; the value is 1.";
    MEMORY_BUSY: Gauge "gpu_memory_busy_ratio" [] "Share of time in which the card's memory was read or written.";
    MEMORY_RESERVED: Gauge "gpu_memory_reserved_bytes" [] "Memory of the card that its driver keeps for itself.";
    POWER_LIMIT: Gauge "gpu_power_limit_watts" [] "What the card may draw.";
    MEMORY_TEMPERATURE: Gauge "gpu_memory_temperature_celsius" [] "Temperature of the card's memory.";
    TEMPERATURE_LIMIT: Gauge "gpu_temperature_limit_celsius" ["limit"]
        "Temperature at which the card is slowed down or switched off.";
    FAN: Gauge "gpu_fan_speed_ratio" [] "Speed of the card's first fan, of its full speed.";
    CLOCK: Gauge "gpu_clock_hertz" ["clock"] "The card's clocks.";
    CLOCK_MAX: Gauge "gpu_clock_max_hertz" ["clock"] "The card's clocks at most.";
    PERFORMANCE_STATE: Gauge "gpu_performance_state" [] "The card's P-state: 0 is the fastest.";
    THROTTLED: Gauge "gpu_throttled" ["reason"] "Whether this holds the card's clocks down now.";
    THROTTLED_SECONDS: Counter "gpu_throttled_seconds_total" ["reason"]
        "Time in which this held the card's clocks down, since its driver was loaded.";
    ENCODER: Gauge "gpu_encoder_utilization_ratio" [] "Share of the video encoder's time.";
    DECODER: Gauge "gpu_decoder_utilization_ratio" [] "Share of the video decoder's time.";
    ECC_ENABLED: Gauge "gpu_ecc_enabled" [] "Whether the card looks for errors of its memory.";
    ECC_ERRORS: Counter "gpu_ecc_errors_total" ["severity"] "Errors of the card's memory, in its life.";
    ECC_ERRORS_SINCE_LOAD: Counter "gpu_ecc_errors_since_load_total" ["severity"]
        "Errors of the card's memory since its driver was loaded.";
    REMAPPED_ROWS: Counter "gpu_remapped_rows_total" ["severity"]
        "Rows of the card's memory that were replaced by spare ones, in its life.";
    ROW_REMAP_PENDING: Gauge "gpu_row_remap_pending" [] "Whether a row waits for a reset to be replaced.";
    ROW_REMAP_FAILED: Gauge "gpu_row_remap_failed" [] "Whether a row could not be replaced.";
    RETIRED_PAGES: Counter "gpu_retired_pages_total" ["severity"]
        "Pages of the card's memory that are no longer used, in its life.";
    PAGE_RETIREMENT_PENDING: Gauge "gpu_page_retirement_pending" []
        "Whether a page waits for a restart to be left out.";
    PCIE_GENERATION: Gauge "gpu_pcie_link_generation" []
        "Generation of the card's link now; it falls when there is nothing to do.";
    PCIE_GENERATION_MAX: Gauge "gpu_pcie_link_generation_max" [] "Generation of the card's link at most.";
    PCIE_WIDTH: Gauge "gpu_pcie_link_lanes" [] "Lanes of the card's link now.";
    PCIE_WIDTH_MAX: Gauge "gpu_pcie_link_lanes_max" [] "Lanes of the card's link at most.";
    PCIE_REPLAYS: Counter "gpu_pcie_replays_total" [] "Transfers that had to be repeated on the card's link.";
    PCIE_RATE: Gauge "gpu_pcie_bytes_per_second" ["direction"]
        "Bytes per second on the card's link over 20 ms before the reading.";
    NVLINK_UP: Gauge "gpu_nvlink_up" ["link"] "Whether the link to another card carries data.";
    NVLINK_ERRORS: Counter "gpu_nvlink_errors_total" ["link", "kind"] "Errors on the link to another card.";
    PROCESSES: Gauge "gpu_processes" ["role"]
        "Processes that use the card; those of the inference server by what they do, others as `other`.";
    PROCESS_MEMORY: Gauge "gpu_process_memory_bytes" ["role"] "Memory of the card that these processes hold.";
    MIG_ENABLED: Gauge "gpu_mig_enabled" [] "Whether the card is cut into instances.";
    MIG_MEMORY_USED: Gauge "gpu_mig_memory_used_bytes" ["mig_uuid", "mig_profile"]
        "Memory of the card's instance in use.";
    MIG_MEMORY_TOTAL: Gauge "gpu_mig_memory_total_bytes" ["mig_uuid", "mig_profile"] "Memory of the card's instance.";
    XID_ERRORS: Counter "gpu_xid_errors_total" ["class"]
        "Errors that the driver reported (XIDs) since this program watches.";
    LAST_XID: Gauge "gpu_last_xid" [] "Number of the last error that the driver reported; 0 where there was none.";
}

pub(super) static INFERENCE_MEMORY: Name = Name {
    name: "ollama_proxy_inference_process_gpu_memory_bytes",
    help: "Memory of all cards that the inference server's processes hold.",
    kind: Kind::Gauge,
    labels: &["role"],
};

/// Every name.
pub(super) static ALL: [&Name; OF_CARDS.len() + 1] = {
    let mut all = [&INFERENCE_MEMORY; OF_CARDS.len() + 1];
    let mut at = 0;
    while at < OF_CARDS.len() {
        all[at] = OF_CARDS[at];
        at += 1;
    }
    all
};
