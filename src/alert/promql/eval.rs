//! Evaluates expressions on samples.

use std::collections::BTreeMap;

use super::expr::{Aggregation, Expr, LOOKBACK, Matching, Operator, Selector};
use super::over_time::over_time;
use super::quantile::{Bucket, quantile};
use crate::alert::labels::Labels;
use crate::alert::samples::{Samples, Series};

/// The value of each series of a result.
pub(in crate::alert) type Vector = BTreeMap<Labels, f64>;

enum Value {
    Scalar(f64),
    Vector(Vector),
}

/// The result at an instant, in milliseconds since the epoch. A number alone is no result.
pub(in crate::alert) fn evaluate(expr: &Expr, samples: &Samples, at: i64) -> Vector {
    match value(expr, samples, at) {
        Value::Vector(vector) => vector,
        Value::Scalar(_) => Vector::new(),
    }
}

fn value(expr: &Expr, samples: &Samples, at: i64) -> Value {
    Value::Vector(match expr {
        Expr::Number(number) => return Value::Scalar(*number),
        Expr::Time => return Value::Scalar(at as f64 / 1e3),
        Expr::Latest(selector) => {
            let newest = |series: &Series| series.newest(at, LOOKBACK);
            selected(selector, samples).filter_map(|it| Some((it.labels().clone(), newest(it)?))).collect()
        }
        Expr::Window(function, selector, window) => {
            let of = |series: &Series| over_time(*function, &series.within(at - window, at), *window, at);
            selected(selector, samples).filter_map(|it| Some((it.labels().clone(), of(it)?))).collect()
        }
        Expr::Quantile(share, inner) => quantiles(*share, evaluate(inner, samples, at)),
        Expr::Aggregate(aggregation, by, inner) => aggregate(*aggregation, by, evaluate(inner, samples, at)),
        Expr::Binary(operator, left, right, matching) => match (value(left, samples, at), value(right, samples, at)) {
            (Value::Vector(left), Value::Vector(right)) => both(*operator, left, &right, matching),
            (Value::Vector(left), Value::Scalar(right)) => each(*operator, left, |left| (left, right)),
            (Value::Scalar(left), Value::Vector(right)) => each(*operator, right, |right| (left, right)),
            (Value::Scalar(left), Value::Scalar(right)) => {
                return Value::Scalar(computed(*operator, left, right).unwrap_or(f64::NAN));
            }
        },
    })
}

fn selected<'a>(selector: &'a Selector, samples: &'a Samples) -> impl Iterator<Item = &'a Series> {
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

fn aggregate(aggregation: Aggregation, by: &[String], inner: Vector) -> Vector {
    let mut groups: BTreeMap<Labels, (f64, u32)> = BTreeMap::new();
    for (labels, value) in inner {
        let group = groups.entry(labels.only(by)).or_insert((f64::NAN, 0));
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
