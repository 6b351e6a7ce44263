//! The GPUs: are they well, what do they do, and what slows them down.

use super::layout::Dashboard;
use super::panel::{Panel, Unit};
use super::query::Metric;
use serde_json::{Value, json};

const UP: Metric = Metric::of_instance("gpu_up");
const BUSY: Metric = Metric::of_instance("gpu_utilization_ratio");
const MEMORY_BUSY: Metric = Metric::of_instance("gpu_memory_busy_ratio");
const MEMORY_USED: Metric = Metric::of_instance("gpu_memory_used_bytes");
const MEMORY_TOTAL: Metric = Metric::of_instance("gpu_memory_total_bytes");
const POWER: Metric = Metric::of_instance("gpu_power_watts");
const POWER_LIMIT: Metric = Metric::of_instance("gpu_power_limit_watts");
const TEMPERATURE: Metric = Metric::of_instance("gpu_temperature_celsius");
const MEMORY_TEMPERATURE: Metric = Metric::of_instance("gpu_memory_temperature_celsius");
const CLOCK: Metric = Metric::of_instance("gpu_clock_hertz").with(r#"clock=~"sm|memory""#);
const THROTTLED: Metric = Metric::of_instance("gpu_throttled").with(r#"reason!="idle""#);
const HELD_DOWN: Metric = Metric::of_instance("gpu_throttled").with(r#"reason!~"idle|application_clocks|display""#);
const THROTTLED_SECONDS: Metric = Metric::of_instance("gpu_throttled_seconds_total");
const ECC: Metric = Metric::of_instance("gpu_ecc_errors_since_load_total");
const UNCORRECTED: Metric = Metric::of_instance("gpu_ecc_errors_since_load_total").with(r#"severity="uncorrected""#);
const XIDS: Metric = Metric::of_instance("gpu_xid_errors_total");
const BAD_XIDS: Metric = Metric::of_instance("gpu_xid_errors_total").with(r#"class!="application""#);
const LAST_XID: Metric = Metric::of_instance("gpu_last_xid");
const REMAP_PENDING: Metric = Metric::of_instance("gpu_row_remap_pending");
const REMAP_FAILED: Metric = Metric::of_instance("gpu_row_remap_failed");
const PCIE: Metric = Metric::of_instance("gpu_pcie_bytes_per_second");
const REPLAYS: Metric = Metric::of_instance("gpu_pcie_replays_total");
const NVLINK_ERRORS: Metric = Metric::of_instance("gpu_nvlink_errors_total");
const PROCESSES: Metric = Metric::of_instance("gpu_processes");
const PROCESS_MEMORY: Metric = Metric::of_instance("gpu_process_memory_bytes");
const MIG_USED: Metric = Metric::of_instance("gpu_mig_memory_used_bytes");
const ENCODER: Metric = Metric::of_instance("gpu_encoder_utilization_ratio");
const DECODER: Metric = Metric::of_instance("gpu_decoder_utilization_ratio");

const UP_DOWN: &[(&str, &str, &str)] = &[("0", "LOST", "red"), ("1", "UP", "green")];
const HELD: &[(&str, &str, &str)] = &[("0", "–", "transparent"), ("1", "held down", "orange")];

/// How a card is called.
const CARD: &str = "{{instance}} GPU {{gpu}}";

pub(super) fn dashboard() -> Value {
    Dashboard::new(
        "inferometer-gpu",
        "Inferometer / GPU health",
        "The GPUs of the machine underneath: load, memory, power, heat, what holds them down, and their errors. What \
         a card does not tell stays empty.",
    )
    .line(4, stats())
    .line(7, vec![cards()])
    .heading("Load and memory")
    .line(8, load())
    .heading("Power, heat and speed")
    .line(8, power_and_heat())
    .heading("Errors")
    .line(8, errors())
    .heading("Who uses them")
    .line(8, users())
    .heading("Links")
    .line(8, links())
    .build()
}

fn of(metric: Metric) -> (String, String) {
    (metric.now(), CARD.to_owned())
}

/// Share of the memory that is free.
fn headroom(aggregate: &str) -> String {
    format!("{aggregate}(1 - {} / {})", MEMORY_USED.now(), MEMORY_TOTAL.now())
}

fn stats() -> Vec<Panel> {
    let any = [(1.0, "red")];
    vec![
        Panel::stat("GPUs", "LOST as soon as one of the cards does not answer any more.", Unit::Count)
            .query(&format!("min({})", UP.now()), "cards")
            .words(UP_DOWN)
            .thresholds("red", &[(1.0, "green")])
            .filled(),
        Panel::stat("Busy", "Share of time in which the cards worked, their mean.", Unit::Share)
            .query(&format!("avg({})", BUSY.now()), "busy")
            .thresholds("blue", &[]),
        Panel::stat(
            "Memory headroom",
            "Free memory of the fullest card; red below 5 %, about where the alert stands.",
            Unit::Share,
        )
        .query(&headroom("min"), "free")
        .thresholds("red", &[(0.05, "orange"), (0.15, "green")]),
        Panel::stat("Power", "What all cards draw.", Unit::Watts)
            .query(&format!("sum({})", POWER.now()), "power")
            .thresholds("blue", &[]),
        Panel::stat("Hottest", "Temperature of the hottest card.", Unit::Celsius)
            .query(&format!("max({})", TEMPERATURE.now()), "temperature")
            .thresholds("green", &[(80.0, "orange"), (88.0, "red")]),
        Panel::stat("Held down", "Cards that heat, power or protection holds down now.", Unit::Count)
            .query(&format!("sum(max by (instance, gpu_uuid) ({}))", HELD_DOWN.now()), "cards")
            .thresholds("green", &[(1.0, "orange")])
            .filled(),
        Panel::stat("Memory errors", "Errors of memory that could not be corrected.", Unit::Count)
            .query(&UNCORRECTED.increase(""), "errors")
            .thresholds("green", &any)
            .filled(),
        Panel::stat("XIDs", "Errors of cards that the driver reported; those of programs left out.", Unit::Count)
            .query(&BAD_XIDS.increase(""), "XIDs")
            .thresholds("green", &any)
            .filled(),
    ]
}

fn cards() -> Panel {
    let by_card = |expr: String| format!("max by (instance, gpu, gpu_name, gpu_uuid) ({expr})");
    let none = || json!([]);
    Panel::table("Cards at a glance", "Every card that is there or was.")
        .label_column("instance", "Proxy", none())
        .label_column("gpu", "GPU", none())
        .label_column("gpu_name", "Name", none())
        .label_column("gpu_uuid", "UUID", none())
        .column("Up", &by_card(UP.now()), Unit::Count, none())
        .column("Busy", &by_card(BUSY.now()), Unit::Share, none())
        .column("Memory used", &by_card(MEMORY_USED.now()), Unit::Bytes, none())
        .column("Memory", &by_card(MEMORY_TOTAL.now()), Unit::Bytes, none())
        .column("Power", &by_card(POWER.now()), Unit::Watts, none())
        .column("Temperature", &by_card(TEMPERATURE.now()), Unit::Celsius, none())
        .column("Last XID", &by_card(LAST_XID.now()), Unit::Count, none())
        .sorted_by("Memory used")
}

fn load() -> Vec<Panel> {
    let (busy, card) = of(BUSY);
    vec![
        Panel::series(
            "Utilisation",
            "Share of time in which something ran on the card. A card in MIG instances does not tell.",
            Unit::Share,
        )
        .query(&busy, &card),
        Panel::series("Memory by card", "Memory in use on each card.", Unit::Bytes).query(&MEMORY_USED.now(), &card),
        Panel::series("Memory headroom by card", "Share of each card's memory that is free.", Unit::Share)
            .query(&headroom(""), &card),
        Panel::series("Memory traffic", "Share of time in which the card's memory was read or written.", Unit::Share)
            .query(&MEMORY_BUSY.now(), &card),
        Panel::series("Video engines", "Share of time of the video encoder and decoder.", Unit::Share)
            .query(&ENCODER.now(), &format!("{card} encoder"))
            .query(&DECODER.now(), &format!("{card} decoder")),
        Panel::series("MIG instances", "Memory in use in each instance of a card that is cut into some.", Unit::Bytes)
            .query(&MIG_USED.now(), &format!("{card} {{{{mig_profile}}}} {{{{mig_uuid}}}}")),
    ]
}

fn power_and_heat() -> Vec<Panel> {
    let named = |what: &str| format!("{CARD} {what}");
    vec![
        Panel::series("Power by card", "What each card draws, and what it may.", Unit::Watts)
            .query(&POWER.now(), &named("draws"))
            .query(&POWER_LIMIT.now(), &named("limit")),
        Panel::series("Temperatures", "Of each card's chip, and of its memory where it tells.", Unit::Celsius)
            .query(&TEMPERATURE.now(), &named("chip"))
            .query(&MEMORY_TEMPERATURE.now(), &named("memory")),
        Panel::series("Clocks", "Of the processors and the memory of each card.", Unit::Hertz)
            .query(&CLOCK.now(), &named("{{clock}}")),
        Panel::timeline("Held down by", "What holds a card's clocks down, while it has work.")
            .query(&THROTTLED.now(), &named("{{reason}}"))
            .words(HELD)
            .thresholds("transparent", &[(1.0, "orange")]),
        Panel::series("Time held down", "Share of time in which each reason held clocks down.", Unit::Share)
            .query(&THROTTLED_SECONDS.rate("instance, gpu, reason"), &named("{{reason}}")),
    ]
}

fn errors() -> Vec<Panel> {
    let named = |what: &str| format!("{CARD} {what}");
    vec![
        Panel::series("XIDs by class", "Errors that the driver reported, by what they are about.", Unit::Count)
            .query(&XIDS.increase("instance, gpu, class"), &named("{{class}}"))
            .bars(),
        Panel::series("ECC errors", "Errors of memory that were found, corrected or not.", Unit::Count)
            .query(&ECC.increase("instance, gpu, severity"), &named("{{severity}}"))
            .bars(),
        Panel::series(
            "Memory to be repaired",
            "1 where a row of memory waits for a reset to be replaced, or could not be.",
            Unit::Count,
        )
        .query(&REMAP_PENDING.now(), &named("pending"))
        .query(&REMAP_FAILED.now(), &named("failed")),
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
        .stacked(),
        Panel::series("Processes", "Processes that use each card, by what they do.", Unit::Count)
            .query(&PROCESSES.now(), &role),
    ]
}

fn links() -> Vec<Panel> {
    vec![
        Panel::series(
            "PCIe traffic",
            "Bytes a second on each card's link, over the 20 ms before a reading.",
            Unit::BytesPerSecond,
        )
        .query(&PCIE.now(), &format!("{CARD} {{{{direction}}}}")),
        Panel::series("PCIe replays", "Transfers that had to be repeated.", Unit::Count)
            .query(&REPLAYS.increase("instance, gpu"), CARD)
            .bars(),
        Panel::series("NVLink errors", "Errors on the links between cards.", Unit::Count)
            .query(
                &NVLINK_ERRORS.increase("instance, gpu, link, kind"),
                &format!("{CARD} link {{{{link}}}} {{{{kind}}}}"),
            )
            .bars(),
    ]
}
