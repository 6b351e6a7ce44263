//! A rule: when an alert begins and ends, how grave it is, and what to do then.

/// How grave an alert is, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Something to look at.
    Warning,
    /// Something does not work.
    Critical,
}

impl Severity {
    /// Every severity, ascending.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// Parses the label of an alert.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == word)
    }
}

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// A backend does not do what it should.
    Backend,
    /// Answers come slowly.
    Latency,
    /// A model does not fit what is asked of it.
    Model,
    /// What clients do.
    Client,
    /// This program.
    Proxy,
    /// What is kept of exchanges.
    History,
    /// A GPU.
    Gpu,
    /// The machine.
    Resource,
}

impl Category {
    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::Latency => "latency",
            Self::Model => "model",
            Self::Client => "client",
            Self::Proxy => "proxy",
            Self::History => "history",
            Self::Gpu => "gpu",
            Self::Resource => "resource",
        }
    }
}

/// Who can evaluate a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluated {
    /// This program and Prometheus.
    Here,
    /// Prometheus alone, for this reason.
    ByPrometheus(&'static str),
}

/// A rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name, in camel case.
    pub name: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// What it is about.
    pub category: Category,
    /// Why this threshold and this time.
    pub why: &'static str,
    /// The condition, in PromQL. It holds for each series of the result.
    pub expr: &'static str,
    /// The threshold at which an alert ends, where it is another than the one at which it begins: so what is close to the
    /// limit does not come and go. A number.
    pub clears: Option<&'static str>,
    /// How long the condition must hold, in seconds.
    pub hold: u32,
    /// One line, with the labels and the value in `{{ }}`.
    pub summary: &'static str,
    /// Sentences, with the same.
    pub description: &'static str,
    /// What to do, as slugs of the runbook.
    pub actions: &'static [&'static str],
    /// Who can evaluate it.
    pub evaluated: Evaluated,
}

impl Rule {
    /// Its place in the runbook.
    #[must_use]
    pub fn runbook(&self) -> String {
        format!("prometheus/runbook.md#{}", self.name.to_lowercase())
    }

    /// Its name as words: `InferometerGpuLost` is `Gpu lost`.
    #[must_use]
    pub fn title(&self) -> String {
        title(self.name)
    }

    /// The condition on one line.
    #[must_use]
    pub fn condition(&self) -> String {
        self.expr.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The condition with hysteresis, as Prometheus evaluates it.
    #[must_use]
    pub fn full_expr(&self) -> String {
        let Some(lasting) = self.lasting_expr() else { return self.expr.to_owned() };
        let own = format!("ALERTS{{alertname=\"{}\",alertstate=\"firing\"}}", self.name);
        format!("  {}\nor\n  {lasting}\nand ignoring (alertname, alertstate, severity)\n  {own}", self.expr)
    }

    /// The condition under which an alert that fires goes on; `None` where it is the one under which it begins.
    #[must_use]
    pub fn lasting_expr(&self) -> Option<String> {
        let (before, _) = self.expr.rsplit_once(' ')?;
        self.clears.map(|clears| format!("{before} {clears}"))
    }
}

/// The name of an alert as words, without the name of the program before it.
#[must_use]
pub fn title(name: &str) -> String {
    let mut words = String::new();
    for character in name.strip_prefix("Inferometer").unwrap_or(name).chars() {
        if character.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
            words.push(character.to_ascii_lowercase());
        } else {
            words.push(character);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_name_as_words() {
        assert_eq!(title("InferometerGpuRowRemapPending"), "Gpu row remap pending");
        assert_eq!(title("Watchdog"), "Watchdog");
    }
}
