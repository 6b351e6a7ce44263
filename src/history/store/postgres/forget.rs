//! Forgets a tenant, a product or a model in the database. As in the files its number stays, with another name.

use std::time::Duration;

use super::connect::Server;
use crate::history::names::NameKind;
use crate::history::store::error::StoreError;
use crate::history::store::mirrored;
use crate::history::store::sqlite::forget::{Forgotten, OBJECTS, Removed, TEXTS};

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(3600);

/// Removes its exchanges, sums, events and jobs, of all replicas.
///
/// # Errors
/// When the server is away, or refuses.
pub fn forget_on(server: &Server, what: &Forgotten) -> Result<Removed, StoreError> {
    let mut client = server.connect(LIMIT)?;
    let mut run = || {
        let mut transaction = client.transaction()?;
        let select = "SELECT id FROM names WHERE kind = $1 AND name = $2";
        let mut removed = Removed::default();
        if let Some(found) = transaction.query_opt(select, &[&what.kind.as_str(), &what.name])? {
            let number: i32 = found.get(0);
            let column = what.kind.as_str();
            removed.exchanges =
                transaction.execute(&format!("DELETE FROM exchanges WHERE {column} = $1"), &[&number])?;
            let column = if what.kind == NameKind::Client { "tenant" } else { column };
            removed.sums = transaction.execute(&format!("DELETE FROM rollups WHERE {column} = $1"), &[&number])?;
            transaction.execute("UPDATE names SET name = 'forgotten ' || id WHERE id = $1", &[&number])?;
        }
        let is_mirrored = |table: &str| mirrored::all().iter().any(|it| it.name == table);
        for (table, column, _) in TEXTS.into_iter().filter(|(.., kinds)| kinds.contains(&what.kind)) {
            removed.others +=
                transaction.execute(&format!("DELETE FROM {table} WHERE {column} = $1"), &[&what.name])?;
        }
        let value = serde_json::Value::from(what.name.as_str()).to_string();
        for (table, column) in OBJECTS.into_iter().filter(|(table, _)| is_mirrored(table)) {
            let delete = format!("DELETE FROM {table} WHERE strpos({column}, $1) > 0");
            removed.others += transaction.execute(&delete, &[&value])?;
        }
        transaction.commit()?;
        Ok(removed)
    };
    run().map_err(|error| server.failed(&error))
}
