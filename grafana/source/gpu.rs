//! The GPUs: are they well, what do they do, and what throttles them.

use super::column::{plain, wide, worded};
use super::layout::Dashboard;
use super::panel::{GRAPH, Panel, Unit};
use super::query::{Metric, occurred};
use super::shared::{UP_LOST, state_tile};
use serde_json::Value;

const UP: Metric = Metric::of_card("gpu_up");
const BUSY: Metric = Metric::of_card("gpu_utilization_ratio");
const MEMORY_BUSY: Metric = Metric::of_card("gpu_memory_busy_ratio");
const MEMORY_USED: Metric = Metric::of_card("gpu_memory_used_bytes");
const MEMORY_TOTAL: Metric = Metric::of_card("gpu_memory_total_bytes");
const POWER: Metric = Metric::of_card("gpu_power_watts");
const POWER_LIMIT: Metric = Metric::of_card("gpu_power_limit_watts");
const TEMPERATURE: Metric = Metric::of_card("gpu_temperature_celsius");
const MEMORY_TEMPERATURE: Metric = Metric::of_card("gpu_memory_temperature_celsius");
const CORE_CLOCK: Metric = Metric::of_card("gpu_clock_hertz").with(r#"clock="sm""#);
const MEMORY_CLOCK: Metric = Metric::of_card("gpu_clock_hertz").with(r#"clock="memory""#);
const THROTTLED: Metric = Metric::of_card("gpu_throttled").with(r#"reason!="idle""#);
const SLOWED: Metric = Metric::of_card("gpu_throttled").with(r#"reason!~"idle|application_clocks|display""#);
const THROTTLED_SECONDS: Metric = Metric::of_card("gpu_throttled_seconds_total");
const ECC: Metric = Metric::of_card("gpu_ecc_errors_since_load_total");
const UNCORRECTED: Metric = Metric::of_card("gpu_ecc_errors_since_load_total").with(r#"severity="uncorrected""#);
const XIDS: Metric = Metric::of_card("gpu_xid_errors_total");
const BAD_XIDS: Metric = Metric::of_card("gpu_xid_errors_total").with(r#"class!="application""#);
const LAST_XID: Metric = Metric::of_card("gpu_last_xid");
const REMAP_PENDING: Metric = Metric::of_card("gpu_row_remap_pending");
const REMAP_FAILED: Metric = Metric::of_card("gpu_row_remap_failed");
const PCIE: Metric = Metric::of_card("gpu_pcie_bytes_per_second");
const REPLAYS: Metric = Metric::of_card("gpu_pcie_replays_total");
const NVLINK_ERRORS: Metric = Metric::of_card("gpu_nvlink_errors_total");
const PROCESSES: Metric = Metric::of_card("gpu_processes");
const PROCESS_MEMORY: Metric = Metric::of_card("gpu_process_memory_bytes");
const MIG_USED: Metric = Metric::of_card("gpu_mig_memory_used_bytes");
const ENCODER: Metric = Metric::of_card("gpu_encoder_utilization_ratio");
const DECODER: Metric = Metric::of_card("gpu_decoder_utilization_ratio");

const THROTTLES: &[(&str, &str, &str)] = &[("0", "–", "transparent"), ("1", "throttled", "orange")];

/// How a card is called; its full name is in the table.
const CARD: &str = "{{node}} GPU {{gpu}}";

pub(super) fn dashboard() -> Value {
    Dashboard::new(
        "inferometer-gpu",
        "Inferometer / GPU health",
        "The GPUs of the machine underneath: load, memory, power, heat, what throttles them, and their errors. What \
         a card does not report stays empty.",
    )
    .tiles(tiles())
    .line(6, vec![cards()])
    .heading("Load and memory")
    .line(GRAPH, load())
    .heading("Errors and throttling")
    .line(GRAPH, errors())
    .folded("Power, heat and clocks", vec![(GRAPH, power_and_heat())])
    .folded("Processes", vec![(GRAPH, users())])
    .folded("Links", vec![(GRAPH, links())])
    .folded("Video engines and MIG instances", vec![(GRAPH, rare())])
    .build()
}

/// Share of the memory that is in use.
fn used(aggregate: &str) -> String {
    format!("{aggregate}({} / {})", MEMORY_USED.now(), MEMORY_TOTAL.now())
}

fn tiles() -> Vec<Panel> {
    let count = |title, what, counter: Metric, colour| {
        Panel::tile(title, what, Unit::Count)
            .query(&counter.count_in_range(""), "events")
            .thresholds("green", &[(1.0, colour)])
            .filled()
    };
    vec![
        state_tile("GPUs", "LOST as soon as one of the cards does not answer any more.", UP, UP_LOST),
        Panel::tile("Busy", "Share of time in which something ran on the cards, their mean.", Unit::Share)
            .query(&format!("avg({})", BUSY.now()), "busy")
            .neutral(),
        Panel::tile(
            "Fullest memory",
            "Memory in use of the fullest card; orange from 95 %, where the alert stands.",
            Unit::Share,
        )
        .query(&used("max"), "used")
        .thresholds("green", &[(0.95, "orange")]),
        Panel::tile("Power", "What all cards draw.", Unit::Watts)
            .query(&format!("sum({})", POWER.now()), "power")
            .neutral(),
        Panel::tile("Hottest", "Temperature of the hottest card.", Unit::Celsius)
            .query(&format!("max({})", TEMPERATURE.now()), "temperature")
            .thresholds("green", &[(80.0, "orange"), (88.0, "red")]),
        Panel::tile("Throttled", "Cards whose clocks heat, power or protection holds down now.", Unit::Count)
            .query(&format!("sum(max by (instance, gpu_uuid) ({}))", SLOWED.now()), "cards")
            .thresholds("green", &[(1.0, "orange")])
            .filled(),
        count(
            "Memory errors",
            "Errors of memory in the time range shown that could not be corrected.",
            UNCORRECTED,
            "red",
        ),
        count(
            "XIDs",
            "Errors of cards in the time range shown that the driver reported; those of programs left out.",
            BAD_XIDS,
            "red",
        ),
    ]
}

fn cards() -> Panel {
    let by_card = |expr: String| format!("max by (node, gpu, gpu_name, gpu_uuid) ({expr})");
    Panel::table(
        "Cards at a glance",
        "Every card that is there or was; the last XID is that since the proxy was started.",
    )
    .label_column("node", "Node", wide(100))
    .label_column("gpu", "GPU", wide(50))
    .label_column("gpu_name", "Name", wide(190))
    .label_column("gpu_uuid", "UUID", wide(320))
    .column("State", &by_card(UP.now()), Unit::Count, worded(UP_LOST))
    .column("Busy", &by_card(BUSY.now()), Unit::Share, plain())
    .column("Memory used", &by_card(MEMORY_USED.now()), Unit::Bytes, plain())
    .column("Memory", &by_card(MEMORY_TOTAL.now()), Unit::Bytes, plain())
    .column("Power", &by_card(POWER.now()), Unit::Watts, plain())
    .column("Temperature", &by_card(TEMPERATURE.now()), Unit::Celsius, plain())
    .column("Last XID", &by_card(format!("{} > 0", LAST_XID.now())), Unit::Count, plain())
    .sorted_by("Memory used")
}

fn load() -> Vec<Panel> {
    vec![
        Panel::series(
            "Utilisation",
            "Share of time in which something ran on the card. A card in MIG instances does not report it.",
            Unit::Share,
        )
        .query(&BUSY.now(), CARD),
        Panel::series("Memory by card", "Share of each card's memory that is in use.", Unit::Share)
            .query(&used(""), CARD)
            .limit_at(0.95),
        Panel::series("Memory traffic", "Share of time in which the card's memory was read or written.", Unit::Share)
            .query(&MEMORY_BUSY.now(), CARD),
    ]
}

fn errors() -> Vec<Panel> {
    vec![
        Panel::events("XIDs by class", "Errors that the driver reported, by card and by what they are about.")
            .query(&XIDS.events(&["node", "gpu", "class"]), "{{event}}"),
        Panel::events("ECC errors", "Errors of memory that were found, by card, corrected or not.")
            .query(&ECC.events(&["node", "gpu", "severity"]), "{{event}}"),
        Panel::timeline(
            "Throttled by",
            "What throttled each card's clocks in the time range shown, while it had work; reasons that did not occur are left out.",
        )
        .query(&occurred(&THROTTLED.now(), &["node", "gpu", "reason"]), "{{event}}")
        .words(THROTTLES)
        .thresholds("transparent", &[(1.0, "orange")]),
    ]
}

fn power_and_heat() -> Vec<Panel> {
    let named = |what: &str| format!("{CARD} {what}");
    vec![
        Panel::series("Power by card", "What each card draws, and what it may.", Unit::Watts)
            .query(&POWER.now(), CARD)
            .query(&POWER_LIMIT.now(), &named("limit"))
            .limit("limit"),
        Panel::series("Temperature by card", "Of each card's chip.", Unit::Celsius).query(&TEMPERATURE.now(), CARD),
        Panel::series("Memory temperature", "Of each card's memory, where it is reported.", Unit::Celsius)
            .query(&MEMORY_TEMPERATURE.now(), CARD),
        Panel::series("Core clock", "Of each card's processors.", Unit::Hertz).query(&CORE_CLOCK.now(), CARD),
        Panel::series("Memory clock", "Of each card's memory.", Unit::Hertz).query(&MEMORY_CLOCK.now(), CARD),
        Panel::series(
            "Time throttled",
            "Share of time in which each reason throttled clocks; the card that it throttled most.",
            Unit::Share,
        )
        .query(
            &format!("clamp_max(max by (reason) ({}), 1)", THROTTLED_SECONDS.rate("node, gpu, reason")),
            "{{reason}}",
        ),
    ]
}

fn users() -> Vec<Panel> {
    let role = format!("{CARD} {{{{role}}}}");
    vec![
        Panel::series(
            "Memory by process",
            "Memory of each card that the inference server's processes hold, and all others.",
            Unit::Bytes,
        )
        .query(&PROCESS_MEMORY.now(), &role)
        .stacked()
        .wide(12),
        Panel::series("Processes by card", "Processes that use each card, by what they do.", Unit::Count)
            .query(&PROCESSES.now(), &role)
            .wide(12),
    ]
}

fn links() -> Vec<Panel> {
    vec![
        Panel::series(
            "PCIe traffic",
            "Bytes a second on each card's link, both directions, over the 20 ms before a reading.",
            Unit::BytesPerSecond,
        )
        .query(&format!("sum by (node, gpu) ({})", PCIE.now()), CARD)
        .wide(6),
        Panel::events("PCIe replays", "Transfers that had to be repeated, by card.")
            .query(&REPLAYS.events(&["node", "gpu"]), "{{event}}")
            .wide(6),
        Panel::events("NVLink errors", "Errors on the links between cards, by card and kind, over all of its links.")
            .query(&NVLINK_ERRORS.events(&["node", "gpu", "kind"]), "{{event}}")
            .wide(6),
        Panel::series(
            "Memory to be repaired",
            "1 where a row of a card's memory waits for a reset to be replaced (pending), or could not be (failed).",
            Unit::Count,
        )
        .query(&REMAP_PENDING.now(), &format!("{CARD} pending"))
        .query(&REMAP_FAILED.now(), &format!("{CARD} failed"))
        .wide(6),
    ]
}

fn rare() -> Vec<Panel> {
    vec![
        Panel::series("Video engines", "Share of time of the busier of the video encoder and decoder.", Unit::Share)
            .query(&format!("max by (node, gpu) ({} or {})", ENCODER.now(), DECODER.now()), CARD)
            .wide(12),
        Panel::series("MIG instances", "Memory in use in each instance of a card that is cut into some.", Unit::Bytes)
            .query(&MIG_USED.now(), &format!("{CARD} {{{{mig_profile}}}} {{{{mig_uuid}}}}"))
            .wide(12),
    ]
}
