//! The observation without the proxy: the same parts that the program joins, without sockets.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use inferometer::backend::catalogue::{Catalogue, DEFAULT_MAX_MODELS};
use inferometer::exchange::names::AsSpelled;
use inferometer::exchange::outcome::End;
use inferometer::exchange::placement::{Placement, PlacementReason};
use inferometer::exchange::record::{Method, Start};
use inferometer::exchange::residency::Residency;
use inferometer::exchange::trace::TraceId;
use inferometer::exchange::vocabulary::Conversation;
use inferometer::exchange::{Observation, ObservationContext, Settings};
use inferometer::history::in_flight::InFlight;
use inferometer::history::recorder::{ConfirmModel, Recorder};
use inferometer::host::energy::Meter;
use inferometer::logs::access::AccessLog;
use inferometer::metrics::{self, Format, Metrics};
use inferometer::wire::budget::DecodeBudget;
use inferometer::wire::reader::{Head, Reported};
use inferometer::wire::request::ModelScanner;
use inferometer::wire::route::Route;

use crate::chunks::{CASES, Case, Exchange, OLLAMA_LAST};

/// Time between two chunks, as the observation sees it.
pub const GAP: Duration = Duration::from_millis(20);

/// Sinks and settings as the program has them, with the access log off by default.
pub struct Observed {
    metrics: Arc<Metrics>,
    catalogue: Arc<Catalogue>,
    sink: (Arc<Metrics>, ((InFlight, AccessLog), Recorder)),
    shared: Rc<ObservationContext>,
    budget: Rc<DecodeBudget>,
    backend: Arc<str>,
    client: Arc<str>,
    /// Exchanges so far: their ids and their traces.
    begun: u64,
    now: Instant,
}

impl Default for Observed {
    fn default() -> Self {
        let catalogue = Arc::new(Catalogue::default());
        let backend: Arc<str> = "127.0.0.1:11434".into();
        let build = metrics::Build { version: "0", revision: "", rustc: "" };
        let settings = metrics::Settings {
            build,
            started: SystemTime::now(),
            max_histograms: metrics::DEFAULT_MAX_HISTOGRAMS,
            max_series: metrics::DEFAULT_MAX_SERIES,
        };
        let metrics = Metrics::new(settings, std::slice::from_ref(&backend), Arc::clone(&catalogue));
        metrics.watch_energy(Arc::<Meter>::default(), vec![Arc::clone(&backend)], None);
        let sink = (Arc::clone(&metrics), ((InFlight::default(), AccessLog::new(false)), Recorder::default()));
        Self {
            metrics,
            catalogue,
            sink,
            budget: DecodeBudget::unlimited(),
            shared: Rc::new(ObservationContext {
                settings: Settings { stall: Some(Duration::from_secs(5)) },
                residency: Arc::new(Residency::default()),
                names: Arc::new(AsSpelled),
            }),
            backend,
            client: "ollama".into(),
            begun: 0,
            now: Instant::now(),
        }
    }
}

impl Observed {
    /// With the access log on, the program's default.
    #[must_use]
    pub fn logged() -> Self {
        let observed = Self::default();
        observed.sink.1.0.1.enable_lines(true);
        observed
    }

    /// With a history, the program's default.
    #[must_use]
    pub fn recorded(recorder: Recorder) -> Self {
        let mut observed = Self::default();
        observed.sink.1.1 = recorder;
        observed
    }

    /// What the history asks for the names of models.
    #[must_use]
    pub fn confirm_any() -> ConfirmModel {
        Box::new(|_, _, name| Some(name.into()))
    }

    /// Sets the time, for whoever measures in real time.
    pub fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    /// Starts an exchange on the only backend.
    fn begin(&mut self, method: Method, route: Route) -> Box<Observation> {
        self.begun += 1;
        let start = Start {
            id: self.begun,
            method,
            route,
            trace: TraceId::from_random(self.begun.into()),
            parent: None,
            client: Some(Arc::clone(&self.client)),
            conversation: Conversation::named(b"one"),
            at: self.now,
        };
        let mut observation = Observation::start(start, &self.shared, &self.budget, &self.sink);
        let placement = Placement {
            backend: Arc::clone(&self.backend),
            reason: PlacementReason::Only,
            attempt: 1,
            queued: Duration::ZERO,
            held: None,
        };
        observation.placed(placement, self.now);
        observation
    }

    /// An exchange on a listed model, up to the head of its response.
    pub fn answering(&mut self, case: &Case, model: &str, status: u16) -> Box<Observation> {
        self.catalogue.admit(model);
        let route = Route::of("POST", case.path);
        let mut observation = self.begin(Method::Post, route);
        read_request(&mut observation, route, &format!("{{\"model\":\"{model}\",\"stream\":true}}"));
        observation.forwarded(self.now);
        observation.request_uploaded(self.now);
        observation.responded(&head(case, status), self.tick());
        observation
    }

    /// A whole exchange, from its route to its record in every metric family.
    pub fn exchange(&mut self, exchange: &Exchange) {
        self.answered(exchange, 200);
    }

    /// The same, answered with this status.
    pub fn answered(&mut self, exchange: &Exchange, status: u16) {
        let route = Route::of(exchange.method, exchange.path);
        let mut observation = self.begin(Method::parse(exchange.method), route);
        read_request(&mut observation, route, exchange.request);
        observation.forwarded(self.now);
        observation.request_uploaded(self.now);
        let content_type = Some(exchange.kind.as_bytes());
        let head = Head { status, content_type, content_encoding: None, reported: Reported::default() };
        observation.responded(&head, self.tick());
        for piece in exchange.response {
            observation.response_frame(piece.as_bytes(), self.tick());
        }
        observation.finish(End::Complete, status, self.tick(), Duration::from_micros(50));
    }

    /// Advances the time by [`GAP`], without reading a clock, whose cost is not to be counted.
    pub fn tick(&mut self) -> Instant {
        self.now += GAP;
        self.now
    }

    /// The exposition in the text format.
    #[must_use]
    pub fn scrape(&self) -> Vec<u8> {
        self.metrics.encode(Format::Text)
    }

    /// Creates as many series as the label caps allow: every listed model on every endpoint, with every common end.
    pub fn fill(&mut self) {
        let models: Vec<String> =
            (0..DEFAULT_MAX_MODELS).map(|model| format!("registry/model-{model:03}:latest")).collect();
        for model in &models {
            for case in CASES {
                for (status, end, whole) in [
                    (200, End::Complete, true),
                    (200, End::Complete, false),
                    (200, End::ClientLeft, false),
                    (500, End::Complete, false),
                ] {
                    let mut observation = self.answering(case, model, status);
                    for _ in 0..3 {
                        observation.response_frame(case.element.as_bytes(), self.tick());
                    }
                    if whole {
                        observation.response_frame(OLLAMA_LAST.as_bytes(), self.tick());
                    }
                    observation.finish(end, status, self.tick(), Duration::from_micros(50));
                }
            }
        }
    }
}

/// The head of a response.
#[must_use]
pub fn head(case: &Case, status: u16) -> Head<'static> {
    Head { status, content_type: Some(case.kind.as_bytes()), content_encoding: None, reported: Reported::default() }
}

/// A request's body, in one piece. Like the proxy, scans only what may name a model.
fn read_request(observation: &mut Observation, route: Route, body: &str) {
    let mut scanner = route.names_model.then(Box::<ModelScanner>::default);
    observation.request_piece(body.len());
    if let Some(scanner) = &mut scanner {
        scanner.read(body.as_bytes());
        observation.requested(&scanner.facts());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunks::EXCHANGES;

    #[test]
    fn whole_exchanges_are_counted_by_their_model() {
        for exchange in EXCHANGES {
            let mut observed = Observed::default();
            observed.exchange(exchange);
            let text = String::from_utf8(observed.scrape()).expect("text");
            let completed = text.lines().find(|line| line.starts_with("ollama_proxy_requests_total{"));
            let named = completed.is_some_and(|line| line.contains("model=\"llama3.2"));
            assert_eq!(named, exchange.method == "POST", "{}: {completed:?}", exchange.name);
        }
    }

    #[test]
    fn chunks_of_the_main_dialects_are_seen_as_tokens() {
        for name in ["Ollama chat", "OpenAI chat"] {
            let case = Case::named(name).expect("a case of this name");
            let mut observed = Observed::default();
            let mut observation = observed.answering(case, "llama3.2", 200);
            for piece in case.pieces(3) {
                observation.response_frame(&piece, observed.tick());
            }
            observation.finish(End::ClientLeft, 200, observed.tick(), Duration::ZERO);
            let text = String::from_utf8(observed.scrape()).expect("text");
            let gaps = text.lines().find(|line| line.contains("inter_token") && line.contains("_count{"));
            assert!(gaps.is_some_and(|line| line.ends_with(" 2")), "{name}: {gaps:?}");
        }
    }
}
