//! What is known of the program, asked for no more often than it changes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::target::{Target, TargetError};

/// Each question with how often it is asked. Together some 60 a minute, of the 100 that an asker without credentials has.
const QUESTIONS: [(&str, Duration); 5] = [
    ("/dashboard/exchanges/in-flight", Duration::from_secs(2)),
    ("/dashboard/stats", Duration::from_secs(5)),
    ("/dashboard/exchanges?limit=10&inference=true", Duration::from_secs(10)),
    ("/dashboard/models", Duration::from_secs(15)),
    ("/dashboard/series?metrics=requests,failed&inference=true&period=1h", Duration::from_secs(10)),
];

/// The last answers.
#[derive(Debug, Default)]
pub(super) struct Figures {
    answers: [Option<Value>; QUESTIONS.len()],
    asked: [Option<Instant>; QUESTIONS.len()],
    /// Pieces of each exchange at an age, and its pace since.
    seen: HashMap<String, (f64, f64, Option<f64>)>,
    /// Why the last question had no answer.
    pub(super) trouble: Option<TargetError>,
}

impl Figures {
    /// Asks what is due.
    pub(super) async fn renew(&mut self, target: &Target) {
        for (at, (path, every)) in QUESTIONS.iter().enumerate() {
            let is_due = self.asked[at].is_none_or(|asked| asked.elapsed() >= *every);
            if !is_due {
                continue;
            }
            // Noted after the answer: one that a key kept from coming is asked for again.
            let answer = target.get(path).await;
            self.asked[at] = Some(Instant::now());
            match answer {
                Ok(answer) => {
                    self.answers[at] = Some(answer);
                    self.trouble = None;
                }
                // A program that keeps no history has the rest.
                Err(TargetError::Refused(status, _)) if status.as_u16() == 503 => self.answers[at] = None,
                Err(error) => {
                    self.trouble = Some(error);
                    return;
                }
            }
        }
        self.follow();
    }

    /// Works out the pace of what goes on.
    fn follow(&mut self) {
        let mut seen = HashMap::new();
        for exchange in list(self.in_flight(), "exchanges") {
            let (Some(id), Some(age), Some(pieces)) =
                (exchange["id"].as_str(), exchange["age_ms"].as_f64(), exchange["pieces"].as_f64())
            else {
                continue;
            };
            let entry = match self.seen.get(id) {
                Some((before, at, _)) if age - at >= 900.0 => (pieces, age, Some((pieces - before) / (age - at) * 1e3)),
                Some(entry) => *entry,
                None => (pieces, age, None),
            };
            seen.insert(id.to_owned(), entry);
        }
        self.seen = seen;
    }

    /// Pieces a second; `None` before it is known.
    pub(super) fn pace(&self, id: &str) -> Option<f64> {
        self.seen.get(id)?.2
    }

    pub(super) fn in_flight(&self) -> &Value {
        self.answer(0)
    }

    pub(super) fn stats(&self) -> &Value {
        self.answer(1)
    }

    /// `Null` where no history is kept.
    pub(super) fn ends(&self) -> &Value {
        self.answer(2)
    }

    pub(super) fn models(&self) -> &Value {
        self.answer(3)
    }

    /// Of generations and embeddings in the last hour, as the page's first screen has it; `None` where no history is kept.
    pub(super) fn in_last_hour(&self, metric: &str) -> Option<f64> {
        let found = list(self.answer(4), "series").iter().find(|one| one["metric"] == metric)?;
        let known: Vec<f64> = list(found, "values").iter().filter_map(Value::as_f64).collect();
        (!known.is_empty()).then(|| known.iter().sum())
    }

    fn answer(&self, at: usize) -> &Value {
        self.answers[at].as_ref().unwrap_or(&Value::Null)
    }

    /// Has an exchange asked for at once.
    pub(super) fn expire(&mut self) {
        self.asked[0] = None;
    }
}

/// The entries of a list; of what is unknown there are none.
pub(super) fn list<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map_or(&[], Vec::as_slice)
}
