//! Reads Prometheus' text format into samples.

/// One line of it.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    /// The value.
    pub(crate) value: f64,
}

impl Sample {
    /// Whether it belongs to the family, named without its prefix.
    pub(crate) fn is(&self, family: &str) -> bool {
        self.name.strip_prefix("ollama_proxy_") == Some(family)
    }

    /// Value of a label; empty where it has none.
    pub(crate) fn label(&self, key: &str) -> &str {
        self.labels.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
    }
}

/// Every sample of a page; what is no sample is passed over.
pub(crate) fn parse(page: &str) -> Vec<Sample> {
    page.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = if let Some(inside) = rest.strip_prefix('{') { labels(inside)? } else { (Vec::new(), rest) };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// Labels up to the closing brace, and what follows it.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (key, quoted) = rest.split_once("=\"")?;
        let (value, after) = unquote(quoted)?;
        labels.push((key.to_owned(), value));
        rest = after;
    }
}

/// Text up to the closing quote, and what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                escaped => escaped,
            }),
            plain => value.push(plain),
        }
    }
    None
}
