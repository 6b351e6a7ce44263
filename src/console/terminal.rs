//! `inferometer top`: the screen, its keys, and one frame of it as text.

use std::io;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use super::figures::{Figures, list};
use super::screen::{View, draw};
use super::target::{Target, TargetError};

/// The interval of frames without a key.
const BEAT: Duration = Duration::from_millis(500);

/// The size of a frame that goes to no terminal.
const SIZE: (u16, u16) = (110, 40);

/// Shows the program until `q` or Ctrl-C.
///
/// # Errors
/// When the terminal cannot be used.
pub async fn top(target: &Target) -> io::Result<()> {
    let mut terminal = ratatui::try_init()?;
    let shown = show(target, &mut terminal).await;
    ratatui::restore();
    shown
}

async fn show(target: &Target, terminal: &mut ratatui::DefaultTerminal) -> io::Result<()> {
    let (mut figures, mut view, mut keys) = (Figures::default(), View::default(), keys()?);
    let url = target.url();
    loop {
        terminal.draw(|frame| draw(frame, &url, &figures, &mut view))?;
        // A slow answer keeps no key waiting.
        tokio::select! {
            key = keys.recv() => match key {
                None | Some(Key::Quit) => return Ok(()),
                Some(Key::Up) => view.chosen.select_previous(),
                Some(Key::Down) => view.chosen.select_next(),
                Some(Key::Stop) => view.note = stop(target, &mut figures, &view).await,
                Some(Key::Redraw) => {}
            },
            () = async { figures.renew(target).await; tokio::time::sleep(BEAT).await } => {}
        }
    }
}

async fn stop(target: &Target, figures: &mut Figures, view: &View) -> String {
    let exchanges = list(figures.in_flight(), "exchanges");
    let chosen = view.chosen.selected().and_then(|at| exchanges.get(at)).and_then(|one| one["id"].as_str());
    let Some(id) = chosen.map(str::to_owned) else { return "choose an exchange first, with ↑ and ↓".into() };
    let done = target.post(&format!("/dashboard/exchanges/{id}/stop")).await;
    figures.expire();
    done.map_or_else(|error| format!("not stopped: {error}"), |_| "stopped".into())
}

enum Key {
    Quit,
    Up,
    Down,
    Stop,
    /// The terminal has another size.
    Redraw,
}

/// Keys are waited for on a thread of their own, which ends with the process.
fn keys() -> io::Result<mpsc::Receiver<Key>> {
    let (sender, receiver) = mpsc::channel(8);
    let wait = move || {
        while let Ok(event) = event::read() {
            if key(&event).is_some_and(|key| sender.blocking_send(key).is_err()) {
                return;
            }
        }
    };
    std::thread::Builder::new().name("keys".into()).spawn(wait)?;
    Ok(receiver)
}

fn key(event: &Event) -> Option<Key> {
    let Event::Key(key) = event else { return matches!(event, Event::Resize(..)).then_some(Key::Redraw) };
    if key.kind != KeyEventKind::Press {
        return None;
    }
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
        KeyCode::Char('q') | KeyCode::Esc => Some(Key::Quit),
        KeyCode::Char('s') => Some(Key::Stop),
        KeyCode::Up | KeyCode::Char('k') => Some(Key::Up),
        KeyCode::Down | KeyCode::Char('j') => Some(Key::Down),
        _ => None,
    }
}

/// One frame as text, for what is no terminal.
///
/// # Errors
/// Why the program does not answer.
pub async fn once(target: &Target) -> Result<String, TargetError> {
    let mut figures = Figures::default();
    figures.renew(target).await;
    if let Some(trouble) = figures.trouble.take() {
        return Err(trouble);
    }
    let mut terminal = Terminal::new(TestBackend::new(SIZE.0, SIZE.1)).expect("a frame in memory");
    let url = target.url();
    let done = terminal.draw(|frame| draw(frame, &url, &figures, &mut View::default()));
    done.expect("a frame in memory");
    let buffer = terminal.backend().buffer().clone();
    let line = |row: &[ratatui::buffer::Cell]| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>();
    let lines: Vec<_> = buffer.content.chunks(usize::from(SIZE.0)).map(line).collect();
    Ok(lines.iter().map(|line| format!("{}\n", line.trim_end())).collect())
}
