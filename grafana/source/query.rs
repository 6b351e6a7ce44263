//! PromQL as the panels use it.
//!
//! Promises: every selector carries the dashboard's variables that the metric has labels for; counters and
//! histograms appear only inside `rate` or `increase`; a share never exceeds 1; where there is nothing to divide by, and of
//! no samples at all, there is no value. Left out: queries of one panel alone, which stand there.

/// The variables that select, for a metric that has these labels.
#[derive(Clone, Copy)]
enum Scope {
    Instance,
    Backend,
    Model,
    /// The label `model`, and no `backend`.
    ModelAlone,
    Card,
}

/// A metric: its name, which variables select it, and what else does.
#[derive(Clone, Copy)]
pub(crate) struct Metric {
    prefix: &'static str,
    name: &'static str,
    scope: Scope,
    extra: &'static str,
}

impl Metric {
    /// A metric of the proxy (named without its prefix, as all below) without labels of its own.
    pub(crate) const fn of_instance(name: &'static str) -> Self {
        Self { prefix: "ollama_proxy_", name, scope: Scope::Instance, extra: "" }
    }

    /// A metric of the process or of the scrape itself, named in full.
    pub(crate) const fn of_target(name: &'static str) -> Self {
        Self { prefix: "", ..Self::of_instance(name) }
    }

    /// A metric with the label `backend`.
    pub(crate) const fn of_backend(name: &'static str) -> Self {
        Self { scope: Scope::Backend, ..Self::of_instance(name) }
    }

    /// A metric with the labels `backend` and `model`.
    pub(crate) const fn of_model(name: &'static str) -> Self {
        Self { scope: Scope::Model, ..Self::of_instance(name) }
    }

    /// A metric with the label `model` alone.
    pub(crate) const fn of_model_alone(name: &'static str) -> Self {
        Self { scope: Scope::ModelAlone, ..Self::of_instance(name) }
    }

    /// A metric of a GPU, with the labels `gpu` and `node`.
    pub(crate) const fn of_card(name: &'static str) -> Self {
        Self { scope: Scope::Card, ..Self::of_instance(name) }
    }

    /// What a recording rule makes of a metric of the level `backend_model`. A rate is named without `_total`.
    pub(crate) fn recorded(self, operation: &str) -> String {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        format!("backend_model:{}", Self { name, ..self }.selector(&format!(":{operation}")))
    }

    /// The mean of a histogram's samples.
    pub(crate) fn mean(self, by: &str) -> String {
        let rate = |part| format!("{} (rate({}[$__rate_interval]))", sum(by), self.selector(part));
        ratio(&rate("_sum"), &rate("_count"))
    }

    /// The same with one more matcher, for example `source!="chunks"`.
    pub(crate) const fn with(self, extra: &'static str) -> Self {
        Self { extra, ..self }
    }

    /// The selector: the current values of a gauge.
    pub(crate) fn now(self) -> String {
        self.selector("")
    }

    /// Increase per second, summed by these labels (`""` sums everything).
    pub(crate) fn rate(self, by: &str) -> String {
        format!("{} (rate({}[$__rate_interval]))", sum(by), self.selector(""))
    }

    /// The same over five minutes, where less would be noise.
    pub(crate) fn rate_5m(self, by: &str) -> String {
        format!("{} (rate({}[5m]))", sum(by), self.selector(""))
    }

    /// Increase over the whole time range shown.
    pub(crate) fn in_range(self, by: &str) -> String {
        format!("{} (increase({}[$__range]))", sum(by), self.selector(""))
    }

    /// How often it happened in the whole time range shown. `increase` extrapolates to the edges of its window: one event is a
    /// little more than 1, hence the rounding.
    pub(crate) fn count_in_range(self, by: &str) -> String {
        format!("round({})", self.in_range(by))
    }

    /// How often it happened in each step, named by the values of these labels in the label `event`. Label values without an
    /// event in the time range shown are left out, as counters begin at 0 for everything that can happen; where nothing
    /// happened at all, the one series is `none`.
    pub(crate) fn events(self, by: &[&str]) -> String {
        let (labels, counter) = (by.join(", "), self.selector(""));
        let happened = format!("sum by ({labels}) (increase({counter}[$__range] @ end())) > 0");
        let none = format!("0 * sum(increase({counter}[$__rate_interval])) unless on () ({happened})");
        let named = named_event(&format!("{} and ({happened})", in_each_step(&counter, &labels)), by);
        format!(r#"{named} or label_replace({none}, "event", "none", "", "")"#)
    }

    /// A quantile of a histogram.
    pub(crate) fn quantile(self, q: f64, by: &str) -> String {
        self.quantile_over(q, by, "$__rate_interval")
    }

    /// A quantile of a histogram over the whole time range shown.
    pub(crate) fn quantile_in_range(self, q: f64, by: &str) -> String {
        self.quantile_over(q, by, "$__range")
    }

    /// The buckets of a histogram, for a heatmap.
    pub(crate) fn buckets(self) -> String {
        in_each_step(&self.selector("_bucket"), "le")
    }

    fn quantile_over(self, q: f64, by: &str, window: &str) -> String {
        let by = if by.is_empty() { "le".to_owned() } else { format!("le, {by}") };
        format!("histogram_quantile({q}, sum by ({by}) (rate({}[{window}]))) >= 0", self.selector("_bucket"))
    }

    fn selector(self, suffix: &str) -> String {
        let mut matchers = String::from(r#"job=~"$job", instance=~"$instance""#);
        if matches!(self.scope, Scope::Backend | Scope::Model) {
            matchers.push_str(r#", backend=~"$backend""#);
        }
        if matches!(self.scope, Scope::Model | Scope::ModelAlone) {
            matchers.push_str(r#", model=~"$model""#);
        }
        if matches!(self.scope, Scope::Card) {
            matchers.push_str(r#", gpu=~"$gpu""#);
        }
        if !self.extra.is_empty() {
            matchers.push_str(", ");
            matchers.push_str(self.extra);
        }
        format!("{}{}{suffix}{{{matchers}}}", self.prefix, self.name)
    }
}

/// How many wait at a backend, or are worked on, by labels that `backend` is among: the backend's own figure where it
/// tells one, else the requests in flight that have come so far.
pub(crate) fn at_the_backend(told: Metric, in_phase: Metric, by: &str) -> String {
    format!("sum by ({by}) ({}) or on (backend) sum by ({by}) ({})", told.now(), in_phase.now())
}

/// `part / whole`, without a value where there is no whole. Two rates of the same requests extrapolate differently, so that
/// all of them may come out as a little more than all: never more than 1.
pub(crate) fn share(part: &str, whole: &str) -> String {
    format!("clamp_max({part} / ({whole} > 0), 1)")
}

/// `part / whole` of two different things, without a value where there is no whole.
pub(crate) fn ratio(part: &str, whole: &str) -> String {
    format!("{part} / ({whole} > 0)")
}

/// What series of requests without a model are called: it sorts after every model, so that those keep their colours.
pub(crate) const NO_MODEL: &str = "– no model";

/// Gives the series of requests without a model a name that can be read in a legend.
pub(crate) fn named_model(expr: &str) -> String {
    format!(r#"label_replace({expr}, "model", "{NO_MODEL}", "model", "")"#)
}

/// Only the series that were above 0 at some moment of the time range shown, of a gauge with these labels, named by their
/// values in the label `event`; where none was, the one series is `none`.
pub(crate) fn occurred(gauge: &str, by: &[&str]) -> String {
    let labels = by.join(", ");
    let occurred = format!("max by ({labels}) (max_over_time({gauge}[$__range] @ end())) > 0");
    let none = format!("0 * max({gauge}) unless on () ({occurred})");
    let named = named_event(&format!("max by ({labels}) ({gauge}) and ({occurred})"), by);
    format!(r#"{named} or label_replace({none}, "event", "none", "", "")"#)
}

/// The growth of a counter in each step of an event panel: whole numbers, each event in exactly one step.
///
/// A panel's step is its interval, and `$__rate_interval` is that and one scrape more. So the last sample of one window is the
/// first of the next, and nothing falls between them, as it would with `increase` over `$__interval`. `rate` divides
/// by the time between the first sample and the last, which is one step.
fn in_each_step(counter: &str, by: &str) -> String {
    format!("round(sum by ({by}) (rate({counter}[$__rate_interval])) * $__interval_ms / 1000)")
}

/// Joins the values of these labels in the label `event`; `node` and `gpu` are the name of a card.
fn named_event(expr: &str, by: &[&str]) -> String {
    let (expr, parts) = match by {
        ["node", "gpu", rest @ ..] => {
            (format!(r#"label_join({expr}, "card", " GPU ", "node", "gpu")"#), [&["card"], rest].concat())
        }
        _ => (expr.to_owned(), by.to_vec()),
    };
    let joined = parts.iter().map(|part| format!(r#""{part}""#)).collect::<Vec<_>>().join(", ");
    let named = format!(r#"label_join({expr}, "event", ", ", {joined})"#);
    if parts == ["model"] { format!(r#"label_replace({named}, "event", "{NO_MODEL}", "event", "")"#) } else { named }
}

fn sum(by: &str) -> String {
    if by.is_empty() { "sum".to_owned() } else { format!("sum by ({by})") }
}
