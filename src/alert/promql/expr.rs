//! Expressions.

/// How old the newest sample of a series may be, in milliseconds.
pub(super) const LOOKBACK: i64 = 300_000;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::alert) enum Expr {
    Number(f64),
    /// The newest sample of each series.
    Latest(Selector),
    /// A function of the samples of a window of this many milliseconds.
    Window(OverTime, Selector, i64),
    /// A quantile of histograms.
    Quantile(f64, Box<Expr>),
    /// The time of the evaluation, in seconds.
    Time,
    /// One series for each set of values of the labels.
    Aggregate(Aggregation, Vec<String>, Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>, Matching),
}

/// Which series of one metric.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::alert) struct Selector {
    pub(in crate::alert) metric: String,
    pub(in crate::alert) matchers: Vec<Matcher>,
}

/// A label whose value is one of these, or none of them.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::alert) struct Matcher {
    pub(super) name: String,
    pub(super) values: Vec<String>,
    pub(super) is_one_of_them: bool,
}

impl Matcher {
    pub(super) fn fits(&self, value: &str) -> bool {
        self.values.iter().any(|known| known == value) == self.is_one_of_them
    }
}

/// By which labels series of two sides belong together.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::alert) enum Matching {
    All,
    On(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::alert) enum OverTime {
    Rate,
    Increase,
    Avg,
    Max,
    Count,
}

impl OverTime {
    const fn is_of_counters(self) -> bool {
        matches!(self, Self::Rate | Self::Increase)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::alert) enum Aggregation {
    Sum,
    Max,
    Avg,
    Count,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::alert) enum Operator {
    Or,
    And,
    Unless,
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Subtract,
    Multiply,
    Divide,
    Power,
}

impl Operator {
    /// How strongly it binds.
    pub(super) const fn rank(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Equal | Self::Greater | Self::GreaterOrEqual | Self::Less | Self::LessOrEqual => 3,
            Self::Subtract => 4,
            Self::Multiply | Self::Divide => 5,
            Self::Power => 6,
        }
    }

    pub(super) const fn is_comparison(self) -> bool {
        self.rank() == 3
    }
}

impl Expr {
    /// Calls `found` with every selector, the milliseconds that it looks back, and whether it is of a counter.
    pub(in crate::alert) fn selectors<'a>(&'a self, found: &mut impl FnMut(&'a Selector, i64, bool)) {
        match self {
            Self::Number(_) | Self::Time => {}
            Self::Latest(selector) => found(selector, LOOKBACK, false),
            Self::Window(function, selector, window) => found(selector, *window, function.is_of_counters()),
            Self::Quantile(_, inner) | Self::Aggregate(_, _, inner) => inner.selectors(found),
            Self::Binary(_, left, right, _) => {
                left.selectors(found);
                right.selectors(found);
            }
        }
    }

    /// Calls `found` with every aggregation, the outer ones first.
    pub(in crate::alert) fn aggregations<'a>(&'a self, found: &mut impl FnMut(&'a Self)) {
        match self {
            Self::Number(_) | Self::Time | Self::Latest(_) | Self::Window(..) => {}
            Self::Quantile(_, inner) => inner.aggregations(found),
            Self::Aggregate(_, _, inner) => {
                found(self);
                inner.aggregations(found);
            }
            Self::Binary(_, left, right, _) => {
                left.aggregations(found);
                right.aggregations(found);
            }
        }
    }

    /// The number that the value of the result is compared with; `None` if it is compared with no number.
    pub(in crate::alert) fn threshold(&self) -> Option<f64> {
        match self {
            Self::Binary(operator, left, right, _) if operator.is_comparison() => match **right {
                Self::Number(number) => Some(number),
                _ => left.threshold(),
            },
            Self::Binary(Operator::And | Operator::Or | Operator::Unless, left, _, _) => left.threshold(),
            _ => None,
        }
    }

    /// The parts that say whether enough was seen: what is compared with a least number of requests or streams, beside the
    /// comparison that makes the result.
    pub(in crate::alert) fn guards<'a>(&'a self, found: &mut Vec<&'a Self>) {
        match self {
            Self::Number(_) | Self::Time | Self::Latest(_) | Self::Window(..) => {}
            Self::Quantile(_, inner) | Self::Aggregate(_, _, inner) => inner.guards(found),
            Self::Binary(Operator::GreaterOrEqual, _, right, _) if is_many(right) => found.push(self),
            Self::Binary(_, left, right, _) => {
                left.guards(found);
                right.guards(found);
            }
        }
    }
}

/// The least number of a guard. Fewer than these say how much something is, not how often it was seen.
fn is_many(right: &Expr) -> bool {
    matches!(right, Expr::Number(number) if *number >= 5.0)
}
