//! The part of the page that shows which models are in memory, and for how long.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use super::markup::{age, escaped};
use crate::backend::inventory::{Expiry, Inventory, Resident};
use crate::backend::monitor::Monitor;

/// Models listed for each backend; the others are counted.
const ROWS: usize = 50;

/// The models in memory by backend. Empty where no backend reports them.
pub(super) fn section(monitors: &[Arc<Monitor>], now: SystemTime) -> String {
    let (mut rows, mut notes, mut is_reported) = (String::new(), String::new(), false);
    for monitor in monitors {
        let (backend, inventory) = (&*monitor.backend.name, monitor.inventory());
        let Some(resident) = &inventory.resident else { continue };
        is_reported = true;
        resident.iter().take(ROWS).for_each(|held| row(&mut rows, backend, held, now));
        notes.push_str(&note(backend, &inventory, resident.len()));
    }
    if !is_reported {
        return String::new();
    }
    let head = "<th>Model<th>Backend<th class=\"n\">VRAM<th class=\"n\">Memory<th class=\"n\">Context<th class=\"n\">Leaves in";
    let table = format!("<div class=\"wide\"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>");
    let table = if rows.is_empty() { String::new() } else { table };
    format!("<section><h2>Models in memory</h2>{table}{notes}</section>\n")
}

fn row(out: &mut String, backend: &str, held: &Resident, now: SystemTime) {
    let bytes = |bytes: Option<u64>| bytes.map_or("–".to_owned(), gibibytes);
    let expires = match held.expires {
        None => "–".to_owned(),
        Some(Expiry::Never) => "never".to_owned(),
        // Ollama lets a model that is in use outlive its time.
        Some(Expiry::At(at)) => at.duration_since(now).map_or("in use".to_owned(), age),
    };
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "<tr><td>{}<td>{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{expires}</tr>",
        escaped(&held.name),
        escaped(backend),
        // A reported 0, which is not an absent value: no part of the model is on a GPU.
        if held.vram == Some(0) { "in main memory".to_owned() } else { bytes(held.vram) },
        bytes(held.size),
        held.context.map_or("–".to_owned(), |tokens| tokens.to_string()),
    );
}

/// How many of the backend's models are in memory.
fn note(backend: &str, inventory: &Inventory, loaded: usize) -> String {
    let backend = escaped(backend);
    format!("<p class=\"empty\">{backend}: {loaded} of {} models in memory.</p>", inventory.models.len().max(loaded))
}

/// In the unit in which the memory of graphics cards is given.
fn gibibytes(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::backend::Backend;
    use crate::backend::monitor::Pace;

    fn monitor(inventory: Inventory) -> Arc<Monitor> {
        let backend = Backend { name: "gpu1".into(), address: "gpu.lan:1234".parse().expect("an address") };
        let monitor = Monitor::new(backend, None, Pace::default(), Instant::now());
        monitor.set_inventory(inventory);
        Arc::new(monitor)
    }

    #[test]
    fn each_model_in_memory_is_a_row_with_its_memory_and_its_time() {
        let now = SystemTime::now();
        let held = |name: &str, expires| Resident {
            name: name.into(),
            vram: Some(5 << 30),
            size: Some(6 << 30),
            context: Some(4096),
            expires,
            ..Resident::default()
        };
        let resident = vec![
            held("<b>", Some(Expiry::At(now + Duration::from_secs(185)))),
            held("kept", Some(Expiry::Never)),
            held("used", Some(Expiry::At(now - Duration::from_secs(1)))),
        ];
        let shown = section(&[monitor(Inventory { resident: Some(resident), ..Inventory::default() })], now);
        for text in ["&lt;b&gt;", "5.00 GiB", "6.00 GiB", "4096", "3 m 05 s", "never", "in use", "3 of 3 models"] {
            assert!(shown.contains(text), "{text} in {shown}");
        }
    }

    #[test]
    fn a_model_without_a_share_of_a_gpu_is_in_main_memory_and_an_unknown_share_is_unknown() {
        let held = |vram| Resident { name: "m".into(), vram, size: Some(1 << 30), ..Resident::default() };
        let shown = |vram| {
            let inventory = Inventory { resident: Some(vec![held(vram)]), ..Inventory::default() };
            section(&[monitor(inventory)], SystemTime::now())
        };
        assert!(
            shown(Some(0)).contains("<td class=\"n\">in main memory<td class=\"n\">1.00 GiB"),
            "{}",
            shown(Some(0))
        );
        assert!(shown(None).contains("<td class=\"n\">–<td class=\"n\">1.00 GiB"), "{}", shown(None));
    }

    #[test]
    fn a_backend_that_does_not_report_is_left_out_and_an_empty_memory_is_shown() {
        let now = SystemTime::now();
        assert_eq!(section(&[monitor(Inventory::default())], now), "");
        let empty = section(&[monitor(Inventory { resident: Some(vec![]), ..Inventory::default() })], now);
        assert!(empty.contains("0 of 0 models in memory") && !empty.contains("<table>"), "{empty}");
    }
}
