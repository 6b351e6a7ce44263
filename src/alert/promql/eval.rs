//! Evaluates expressions on samples.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use super::expr::{Aggregation, Expr, LOOKBACK, Matching, Operator, Selector};
use super::over_time::over_time;
use super::quantile::{Bucket, quantile};
use crate::alert::labels::Labels;
use crate::alert::samples::{Samples, Series};

/// The value of each series of a result.
pub(in crate::alert) type Vector = BTreeMap<Labels, f64>;

/// One evaluation of many expressions at an instant, in milliseconds since the epoch. What several of them have in common is
/// computed once.
#[derive(Debug)]
pub(in crate::alert) struct Look<'a> {
    samples: &'a Samples,
    at: i64,
    common: &'a [Expr],
    known: Vec<OnceCell<Vector>>,
}

enum Value {
    Scalar(f64),
    Vector(Vector),
}

/// The aggregations that these expressions have more than once.
pub(in crate::alert) fn common<'a>(exprs: impl Iterator<Item = &'a Expr>) -> Vec<Expr> {
    let (mut once, mut more) = (Vec::<&Expr>::new(), Vec::<Expr>::new());
    for expr in exprs {
        expr.aggregations(&mut |it| {
            if !once.contains(&it) {
                once.push(it);
            } else if !more.contains(it) {
                more.push(it.clone());
            }
        });
    }
    more
}

impl<'a> Look<'a> {
    /// At samples, with what expressions have in common.
    pub(in crate::alert) fn at(samples: &'a Samples, at: i64, common: &'a [Expr]) -> Self {
        Self { samples, at, common, known: common.iter().map(|_| OnceCell::new()).collect() }
    }

    /// The samples.
    pub(in crate::alert) fn samples(&self) -> &'a Samples {
        self.samples
    }

    /// The instant.
    pub(in crate::alert) fn instant(&self) -> i64 {
        self.at
    }

    /// The result. A number alone is no result.
    pub(in crate::alert) fn evaluate(&self, expr: &Expr) -> Vector {
        match self.value(expr) {
            Value::Vector(vector) => vector,
            Value::Scalar(_) => Vector::new(),
        }
    }

    fn value(&self, expr: &Expr) -> Value {
        Value::Vector(match expr {
            Expr::Number(number) => return Value::Scalar(*number),
            Expr::Time => return Value::Scalar(self.at as f64 / 1e3),
            Expr::Latest(_) | Expr::Window(..) => {
                self.each(expr).map(|(series, value)| (series.labels().clone(), value)).collect()
            }
            Expr::Quantile(share, inner) => quantiles(*share, self.evaluate(inner)),
            Expr::Aggregate(aggregation, by, inner) => match self.common.iter().position(|it| it == expr) {
                Some(place) => self.known[place].get_or_init(|| self.aggregated(*aggregation, by, inner)).clone(),
                None => self.aggregated(*aggregation, by, inner),
            },
            Expr::Binary(operator, left, right, matching) => match self.sides(*operator, left, right) {
                (Value::Vector(left), Value::Vector(right)) => both(*operator, left, &right, matching),
                (Value::Vector(left), Value::Scalar(right)) => each(*operator, left, |left| (left, right)),
                (Value::Scalar(left), Value::Vector(right)) => each(*operator, right, |right| (left, right)),
                (Value::Scalar(left), Value::Scalar(right)) => {
                    return Value::Scalar(computed(*operator, left, right).unwrap_or(f64::NAN));
                }
            },
        })
    }

    /// Both sides. Where nothing is on the right and so nothing can come of it, the left side is left alone: a guard that
    /// does not hold spares the histogram that it guards.
    fn sides(&self, operator: Operator, left: &Expr, right: &Expr) -> (Value, Value) {
        let right = self.value(right);
        let needs_both = !matches!(operator, Operator::Or | Operator::Unless);
        let left = match &right {
            Value::Vector(right) if right.is_empty() && needs_both => Value::Vector(Vector::new()),
            _ => self.value(left),
        };
        (left, right)
    }

    /// The series that a selector selects, with their values.
    fn each<'b>(&'b self, expr: &'b Expr) -> Box<dyn Iterator<Item = (&'a Series, f64)> + 'b> {
        let samples = self.samples;
        match expr {
            Expr::Latest(selector) => Box::new(
                selected(selector, samples).filter_map(|it| Some((it, samples.newest(it, self.at, LOOKBACK)?))),
            ),
            Expr::Window(function, selector, window) => {
                let of =
                    move |it| over_time(*function, samples.within(it, self.at - window, self.at), *window, self.at);
                Box::new(selected(selector, samples).filter_map(move |it| Some((it, of(it)?))))
            }
            _ => Box::new(std::iter::empty()),
        }
    }

    fn aggregated(&self, aggregation: Aggregation, by: &[String], inner: &Expr) -> Vector {
        match inner {
            // Without labels that would be thrown away at once.
            Expr::Latest(_) | Expr::Window(..) => {
                aggregate(aggregation, self.each(inner).map(|(series, value)| (series.labels().only(by), value)))
            }
            inner => {
                aggregate(aggregation, self.evaluate(inner).iter().map(|(labels, value)| (labels.only(by), *value)))
            }
        }
    }
}

fn selected<'a, 'b>(selector: &'b Selector, samples: &'a Samples) -> impl Iterator<Item = &'a Series> + use<'a, 'b> {
    let fits =
        |series: &&Series| selector.matchers.iter().all(|matcher| matcher.fits(series.labels().get(&matcher.name)));
    samples.of(&selector.metric).iter().filter(fits)
}

fn quantiles(share: f64, buckets: Vector) -> Vector {
    let mut histograms: BTreeMap<Labels, Vec<Bucket>> = BTreeMap::new();
    for (labels, count) in buckets {
        let bound = match labels.get("le") {
            "+Inf" => Some(f64::INFINITY),
            bound => bound.parse().ok(),
        };
        if let Some(bound) = bound {
            histograms.entry(labels.without("le")).or_default().push((bound, count));
        }
    }
    histograms.into_iter().map(|(labels, buckets)| (labels, quantile(share, buckets))).collect()
}

/// Values with the labels of their groups.
fn aggregate(aggregation: Aggregation, inner: impl Iterator<Item = (Labels, f64)>) -> Vector {
    let mut groups: BTreeMap<Labels, (f64, u32)> = BTreeMap::new();
    for (group, value) in inner {
        let group = groups.entry(group).or_insert((f64::NAN, 0));
        group.0 = match aggregation {
            _ if group.1 == 0 => value,
            Aggregation::Sum | Aggregation::Avg => group.0 + value,
            Aggregation::Max => group.0.max(value),
            Aggregation::Count => group.0,
        };
        group.1 += 1;
    }
    let end = |(total, count): (f64, u32)| match aggregation {
        Aggregation::Sum | Aggregation::Max => total,
        Aggregation::Avg => total / f64::from(count),
        Aggregation::Count => f64::from(count),
    };
    groups.into_iter().map(|(labels, group)| (labels, end(group))).collect()
}

/// Each series with a number. A comparison keeps the series that it holds for, with their values.
fn each(operator: Operator, vector: Vector, sides: impl Fn(f64) -> (f64, f64)) -> Vector {
    let of = |(labels, value): (Labels, f64)| {
        let (left, right) = sides(value);
        if operator.is_comparison() {
            holds(operator, left, right).then_some((labels, value))
        } else {
            computed(operator, left, right).map(|value| (labels, value))
        }
    };
    vector.into_iter().filter_map(of).collect()
}

/// Two sides, whose series belong together where the labels agree.
fn both(operator: Operator, left: Vector, right: &Vector, matching: &Matching) -> Vector {
    let key = |labels: &Labels| match matching {
        Matching::All => labels.clone(),
        Matching::On(names) => labels.only(names),
    };
    match operator {
        Operator::And | Operator::Unless => {
            let known: std::collections::BTreeSet<_> = right.keys().map(key).collect();
            left.into_iter().filter(|(labels, _)| known.contains(&key(labels)) == (operator == Operator::And)).collect()
        }
        Operator::Or => {
            let known: std::collections::BTreeSet<_> = left.keys().map(key).collect();
            let others = right.iter().filter(|(labels, _)| !known.contains(&key(labels)));
            let others: Vec<_> = others.map(|(labels, value)| (labels.clone(), *value)).collect();
            left.into_iter().chain(others).collect()
        }
        operator => {
            let by_key: BTreeMap<_, _> = right.iter().map(|(labels, value)| (key(labels), *value)).collect();
            let of = |(labels, left): (Labels, f64)| {
                let matched = key(&labels);
                let right = *by_key.get(&matched)?;
                if operator.is_comparison() {
                    holds(operator, left, right).then_some((labels, left))
                } else {
                    Some((matched, computed(operator, left, right)?))
                }
            };
            left.into_iter().filter_map(of).collect()
        }
    }
}

fn holds(operator: Operator, left: f64, right: f64) -> bool {
    match operator {
        Operator::Equal => left == right,
        Operator::Greater => left > right,
        Operator::GreaterOrEqual => left >= right,
        Operator::Less => left < right,
        Operator::LessOrEqual => left <= right,
        _ => false,
    }
}

fn computed(operator: Operator, left: f64, right: f64) -> Option<f64> {
    Some(match operator {
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Power => left.powf(right),
        _ => return None,
    })
}
