//! A thousand reloads under load, a tenth of them wrong: no stream is lost, and what is wrong changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::program::{Fleet, table};
use super::storm::{Ended, Fate, chat, ended, server};
use crate::support::client::Client;

const RELOADS: usize = 1_000;
const CLIENTS: usize = 4;

#[test]
fn a_thousand_reloads_of_which_a_tenth_is_wrong_lose_no_stream() {
    let fates: [Arc<Fate>; 3] = Default::default();
    let servers = [server(&fates[0], 40), server(&fates[1], 40), server(&fates[2], 40)];
    let backend = |name: usize, more: &str| table(["one", "other", "third"][name], servers[name].address, more);
    let layouts = [
        [backend(0, ""), backend(1, "")].concat(),
        [backend(1, ""), backend(2, "weight = 2\n")].concat(),
        ["policy = \"least_busy\"\n".to_owned(), backend(0, "drain = true\n"), backend(2, "")].concat(),
    ];
    let fleet = Fleet::start(&layouts[0]);
    fleet.listed(2);
    let (clients, is_over) = (fleet.program.clients, Arc::new(AtomicBool::new(false)));
    let load: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let is_over = is_over.clone();
            std::thread::spawn(move || {
                let mut ends = Vec::new();
                while !is_over.load(Ordering::SeqCst) {
                    ends.push(ended(&Client::connect(clients).send(chat(5_000)).rest().0));
                }
                ends
            })
        })
        .collect();
    let (mut right, mut wrong) = (0, 0);
    for at in 0..RELOADS {
        let is_wrong = at % 10 == 3;
        let toml = if is_wrong { "policy = \"nonsense\"\n" } else { &layouts[at % layouts.len()] };
        let line = fleet.reload(toml);
        let refused = line["message"].as_str().expect("text").contains("not reloaded");
        assert_eq!(refused, is_wrong, "{line}");
        *(if refused { &mut wrong } else { &mut right }) += 1;
    }
    is_over.store(true, Ordering::SeqCst);
    let ends: Vec<_> = load.into_iter().flat_map(|client| client.join().expect("no panic")).collect();
    let whole = ends.iter().filter(|end| **end == Ended::Whole).count();
    println!("{right} reloads and {wrong} that were refused; {whole} of {} streams whole", ends.len());
    assert_eq!((right, wrong), (RELOADS * 9 / 10, RELOADS / 10));
    assert_eq!(whole, ends.len(), "every stream is whole");
    assert!(ends.len() >= CLIENTS);
    for gauge in ["backend_inflight", "router_held_bytes", "active_requests"] {
        fleet.program.wait_for(gauge, &[], 0.0);
    }
}
