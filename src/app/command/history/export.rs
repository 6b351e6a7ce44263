//! Writes exchanges as CSV or JSON lines.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};

use super::csv::cell;
use super::files::files;
use super::when::range;
use super::work::progress;
use crate::app::command::report::{CommandReport, Failure};
use crate::cli::{ExportArguments, ExportFormat};
use crate::config::Config;
use crate::exchange::outcome::Outcome;
use crate::exchange::vocabulary::Operation;
use crate::history::query::{Filter, Range, TIME_LIMIT};
use crate::history::timestamp::Timestamp;
use crate::history::{Coded, Field, Reading, ScanError, fields};

/// The exit code of a wrong command line.
const USAGE: u8 = 2;

pub(super) fn report(arguments: &ExportArguments, config: &Config) -> Result<CommandReport, Failure> {
    let (range, filter) = match query(arguments) {
        Ok(query) => query,
        Err(wrong) => return Ok(CommandReport::failed(&wrong.into(), USAGE)),
    };
    let reading = Reading::new(files(config)?, TIME_LIMIT);
    let output: Box<dyn Write> = match &arguments.output {
        Some(path) => {
            let file = File::create_new(path).map_err(|error| format!("{}: {error}", path.display()))?;
            Box::new(BufWriter::new(file))
        }
        None => Box::new(BufWriter::new(io::stdout().lock())),
    };
    match write(&reading, (range, &filter), arguments.format, output) {
        Ok(()) => Ok(CommandReport::default()),
        // Whoever read it has had enough.
        Err(ScanError::Visitor(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(CommandReport::default()),
        Err(ScanError::Visitor(error)) => Err(format!("the exchanges cannot be written: {error}").into()),
        Err(ScanError::Store(error)) => Err(error.into()),
    }
}

fn write(
    reading: &Reading,
    (range, filter): (Range, &Filter),
    format: ExportFormat,
    mut to: Box<dyn Write>,
) -> Result<(), ScanError<io::Error>> {
    let names = fields();
    if format == ExportFormat::Csv {
        writeln!(to, "ended,{}\r", names.join(",")).map_err(ScanError::Visitor)?;
    }
    let mut count = 0_u64;
    let written = std::cell::Cell::new(0);
    reading.scan(
        range,
        filter,
        |id, values| {
            count += 1;
            written.set(count);
            let ended = Timestamp(id.millis());
            match format {
                ExportFormat::Csv => csv(&mut to, ended, &values),
                ExportFormat::Json => json(&mut to, ended, &names, &values),
            }
        },
        |day| progress(&format!("{day}: {} exchanges so far", written.get())),
    )?;
    to.flush().map_err(ScanError::Visitor)
}

/// As RFC 4180 says.
fn csv(to: &mut impl Write, ended: Timestamp, values: &[Field]) -> io::Result<()> {
    write!(to, "{ended}")?;
    for value in values {
        match value {
            Field::Unknown => write!(to, ","),
            Field::Integer(value) => write!(to, ",{value}"),
            Field::Real(value) => write!(to, ",{value}"),
            Field::Text(text) => write!(to, ",{}", cell(text)),
        }?;
    }
    write!(to, "\r\n")
}

/// Numbers beyond what JavaScript counts exactly, which ids are, are texts.
fn json(to: &mut impl Write, ended: Timestamp, names: &[&str], values: &[Field]) -> io::Result<()> {
    const EXACT: i64 = 1 << 53;
    let value = |value: &Field| match value {
        Field::Unknown => serde_json::Value::Null,
        Field::Integer(value) if value.abs() > EXACT => value.to_string().into(),
        Field::Integer(value) => (*value).into(),
        Field::Real(value) => (*value).into(),
        Field::Text(text) => text.clone().into(),
    };
    write!(to, "{{\"ended\":\"{ended}\"")?;
    for (name, field) in names.iter().zip(values) {
        write!(to, ",\"{name}\":{}", value(field))?;
    }
    to.write_all(b"}\n")
}

/// What the arguments mean, or what is wrong with them.
fn query(arguments: &ExportArguments) -> Result<(Range, Filter), String> {
    let range = range(arguments.since.as_deref(), arguments.until.as_deref())?;
    let name = |text: &Option<String>| text.as_deref().map(Into::into);
    let filter = Filter {
        backend: name(&arguments.on),
        model: name(&arguments.model),
        tenant: name(&arguments.tenant),
        client: name(&arguments.client),
        endpoint: name(&arguments.endpoint),
        operation: word::<Operation>("operation", arguments.operation.as_deref())?,
        outcome: word::<Outcome>("outcome", arguments.outcome.as_deref())?,
        failed: arguments.failed,
        ..Filter::default()
    };
    Ok((range, filter))
}

/// A value of a closed set.
fn word<T: Coded>(flag: &str, text: Option<&str>) -> Result<Option<T>, String> {
    let Some(text) = text else { return Ok(None) };
    let known: Vec<_> = T::CODES.iter().map(|(_, value)| value.word()).collect();
    T::from_word(text).map(Some).ok_or_else(|| format!("--{flag} {text}: expected one of {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be_and_are_no_formulas() {
        let text = |text: &str| Field::Text(text.to_owned());
        let values = [text("a,b"), text("say \"x\""), text("=1+1"), text("plain"), Field::Unknown, Field::Integer(-5)];
        let mut written = Vec::new();
        csv(&mut written, Timestamp(0), &values).expect("a vector");
        let expected = "1970-01-01T00:00:00.000Z,\"a,b\",\"say \"\"x\"\"\",\"'=1+1\",plain,,-5\r\n";
        assert_eq!(String::from_utf8(written).expect("text"), expected);
    }
}
