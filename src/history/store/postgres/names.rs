//! The numbers of names in the database, which all replicas share.

use hashbrown::HashMap;
use tokio_postgres::Error;

use super::client::Client;
use super::value::without_nul;
use crate::history::store::sqlite::tail::NamesOfFile;

/// Known numbers, by kind and name.
#[derive(Debug, Default)]
pub(super) struct Numbers(HashMap<(String, String), i32>);

impl Numbers {
    /// Makes sure that these names have numbers, and returns these by those of the file.
    pub(super) fn of(&mut self, client: &mut Client, names: NamesOfFile) -> Result<HashMap<i64, i32>, Error> {
        let mut missing: Vec<_> = names.values().filter(|name| !self.0.contains_key(*name)).collect();
        // In one order, so that two replicas never wait for each other.
        missing.sort_unstable();
        for (kind, name) in missing {
            let stored = without_nul(name);
            client
                .execute("INSERT INTO names (kind, name) VALUES ($1, $2) ON CONFLICT DO NOTHING", &[kind, &stored])?;
            let row = client.query_one("SELECT id FROM names WHERE kind = $1 AND name = $2", &[kind, &stored])?;
            self.0.insert((kind.clone(), name.clone()), row.get(0));
        }
        Ok(names.into_iter().filter_map(|(number, name)| Some((number, *self.0.get(&name)?))).collect())
    }
}
