//! PromQL as the panels use it.
//!
//! Promises: every selector carries the dashboard's variables that the metric has labels for; counters and
//! histograms appear only inside `rate` or `increase`. Left out: queries of one panel alone, which stand there.

/// The variables that select, for a metric that has these labels.
#[derive(Clone, Copy)]
enum Scope {
    Instance,
    Backend,
    Model,
    /// The label `model`, and no `backend`.
    ModelAlone,
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

    /// What a recording rule makes of a metric of the level `backend_model`.
    pub(crate) fn recorded(self, operation: &str) -> String {
        format!("backend_model:{}", self.selector(&format!(":{operation}")))
    }

    /// The mean of a histogram's samples.
    pub(crate) fn mean(self, by: &str) -> String {
        let rate = |part| format!("{} (rate({}[$__rate_interval]))", sum(by), self.selector(part));
        share(&rate("_sum"), &rate("_count"))
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

    /// Increase in each step of the graph.
    pub(crate) fn increase(self, by: &str) -> String {
        format!("{} (increase({}[$__rate_interval]))", sum(by), self.selector(""))
    }

    /// Increase over the whole time range shown.
    pub(crate) fn in_range(self, by: &str) -> String {
        format!("{} (increase({}[$__range]))", sum(by), self.selector(""))
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
        format!("sum by (le) (increase({}[$__rate_interval]))", self.selector("_bucket"))
    }

    fn quantile_over(self, q: f64, by: &str, window: &str) -> String {
        let by = if by.is_empty() { "le".to_owned() } else { format!("le, {by}") };
        format!("histogram_quantile({q}, sum by ({by}) (rate({}[{window}])))", self.selector("_bucket"))
    }

    fn selector(self, suffix: &str) -> String {
        let mut matchers = String::from(r#"job=~"$job", instance=~"$instance""#);
        if matches!(self.scope, Scope::Backend | Scope::Model) {
            matchers.push_str(r#", backend=~"$backend""#);
        }
        if matches!(self.scope, Scope::Model | Scope::ModelAlone) {
            matchers.push_str(r#", model=~"$model""#);
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

/// `part / whole`, without a value where there is no whole.
pub(crate) fn share(part: &str, whole: &str) -> String {
    format!("{part} / ({whole} > 0)")
}

/// Only what happened, of counters that begin at 0 for everything that can: else a legend would be long and all zeros.
/// Where nothing happened, that is said.
pub(crate) fn what_happened(expr: &str, labels: &[&str]) -> String {
    let nothing = labels.iter().fold("vector(0)".to_owned(), |nothing, label| {
        format!(r#"label_replace({nothing}, "{label}", "none", "", "")"#)
    });
    format!("{expr} > 0 or on () {nothing}")
}

/// Gives the series of requests without a model a name that can be read in a legend.
pub(crate) fn named_model(expr: &str) -> String {
    format!(r#"label_replace({expr}, "model", "(no model)", "model", "")"#)
}

fn sum(by: &str) -> String {
    if by.is_empty() { "sum".to_owned() } else { format!("sum by ({by})") }
}
