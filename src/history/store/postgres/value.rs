//! Values of SQLite as PostgreSQL has them, and back.

use std::borrow::Cow;
use std::error::Error;
use std::time::{Duration, SystemTime};

use rusqlite::types::Value;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::history::rollup::Step;

/// A value of a file, for a column of whatever type fits.
#[derive(Debug)]
pub(super) struct Cell(pub(super) Value);

impl ToSql for Cell {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (&self.0, ty) {
            (Value::Null, _) => Ok(IsNull::Yes),
            // Milliseconds since the epoch.
            (Value::Integer(millis), &Type::TIMESTAMPTZ) => timestamp(*millis).to_sql(ty, out),
            (Value::Integer(value), &Type::INT2) => i16::try_from(*value)?.to_sql(ty, out),
            (Value::Integer(value), &Type::INT4) => i32::try_from(*value)?.to_sql(ty, out),
            (Value::Integer(value), _) => value.to_sql(ty, out),
            (Value::Real(value), _) => value.to_sql(ty, out),
            (Value::Text(text), _) => without_nul(text).to_sql(ty, out),
            (Value::Blob(bytes), _) => bytes.to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        matches!(
            *ty,
            Type::INT2 | Type::INT4 | Type::INT8 | Type::FLOAT8 | Type::TEXT | Type::BYTEA | Type::TIMESTAMPTZ
        )
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Cell {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(match *ty {
            Type::INT2 => Value::Integer(i16::from_sql(ty, raw)?.into()),
            Type::INT4 => Value::Integer(i32::from_sql(ty, raw)?.into()),
            Type::INT8 => Value::Integer(i64::from_sql(ty, raw)?),
            Type::FLOAT8 => Value::Real(f64::from_sql(ty, raw)?),
            Type::BYTEA => Value::Blob(raw.into()),
            _ => Value::Text(String::from_sql(ty, raw)?),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Value::Null))
    }

    fn accepts(ty: &Type) -> bool {
        <Self as ToSql>::accepts(ty) && *ty != Type::TIMESTAMPTZ
    }
}

/// A text as PostgreSQL takes it: it has no character 0.
pub(super) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// Of milliseconds since the epoch.
pub(super) fn timestamp(millis: i64) -> SystemTime {
    let since = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 { SystemTime::UNIX_EPOCH - since } else { SystemTime::UNIX_EPOCH + since }
}

/// As a column has it.
pub(super) fn seconds_of(step: Step) -> i32 {
    i32::try_from(step.seconds()).expect("at most an hour")
}
