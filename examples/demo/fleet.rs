//! Several servers behind one address: three simulated ones that differ in speed, slots and models, of which one dies and
//! comes back, and another fails for a while.

mod node;
mod story;
mod traffic;
mod view;

use std::io;
use std::time::{Duration, Instant};

use node::Node;
use story::Story;
use traffic::Traffic;

use crate::figures::History;
use crate::screen::Screen;
use crate::{Arguments, Proxy, programs};

pub(crate) async fn demo(arguments: &Arguments) -> io::Result<()> {
    let (program, simulator) = programs()?;
    let mut nodes = Vec::new();
    for kind in &node::KINDS {
        nodes.push(Node::start(&simulator, kind).await?);
    }
    let backends: Vec<_> = nodes.iter().map(Node::backend).collect();
    let proxy = Proxy::start(&program, &backends, &arguments.settings(None)?).await?;
    let _traffic = Traffic::start(proxy.clients);
    let addresses = proxy.addresses();

    let (end, mut story) = (arguments.end(), Story::new(Duration::from_secs(arguments.story.max(1))));
    let (mut history, mut screen) = (History::default(), Screen::new());
    let mut states = view::states(&nodes, &history);
    let mut beat = tokio::time::interval(Duration::from_secs(1));
    while end.is_none_or(|end| Instant::now() < end) {
        beat.tick().await;
        if story.go_on(&mut nodes).await? {
            screen.say(|| story.news().to_owned());
        }
        proxy.scrape(&mut history).await?;
        let changed = view::states(&nodes, &history);
        if std::mem::replace(&mut states, changed) != states {
            screen.say(|| view::line(&nodes, &history));
        }
        screen
            .show(|size| view::page(&addresses, story.news(), &nodes, &history, size), || view::line(&nodes, &history));
    }
    Ok(())
}
