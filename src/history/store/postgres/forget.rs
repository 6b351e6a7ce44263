//! Forgets a tenant, a product or a model in the database. As in the files its number stays, with another name.

use std::time::Duration;

use super::connect::Server;
use crate::history::names::NameKind;
use crate::history::store::error::StoreError;
use crate::history::store::sqlite::forget::{Forgotten, Removed};

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(3600);

/// Removes its exchanges and sums, of all replicas.
///
/// # Errors
/// When the server is away, or refuses.
pub fn forget_on(server: &Server, what: &Forgotten) -> Result<Removed, StoreError> {
    let mut client = server.connect(LIMIT)?;
    let mut run = || {
        let mut transaction = client.transaction()?;
        let select = "SELECT id FROM names WHERE kind = $1 AND name = $2";
        let Some(found) = transaction.query_opt(select, &[&what.kind.as_str(), &what.name])? else {
            return Ok(Removed::default());
        };
        let number: i32 = found.get(0);
        let column = what.kind.as_str();
        let exchanges = transaction.execute(&format!("DELETE FROM exchanges WHERE {column} = $1"), &[&number])?;
        let column = if what.kind == NameKind::Client { "tenant" } else { column };
        let sums = transaction.execute(&format!("DELETE FROM rollups WHERE {column} = $1"), &[&number])?;
        transaction.execute("UPDATE names SET name = 'forgotten ' || id WHERE id = $1", &[&number])?;
        transaction.commit()?;
        Ok(Removed { exchanges, sums, others: 0 })
    };
    run().map_err(|error| server.failed(&error))
}
