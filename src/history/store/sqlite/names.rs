//! The names of one file. Each file has its own numbers, so that it can be read, copied and removed alone.

use hashbrown::HashMap;
use rusqlite::Connection;

use crate::history::names::{NameId, NameKind, Names};

/// The numbers that names have in a file, by their numbers in this process.
#[derive(Debug, Default)]
pub(super) struct FileNames {
    /// By [`NameId::index`]; 0 is not known yet.
    numbers: Vec<i64>,
}

impl FileNames {
    /// Makes sure that the file has these names. Call it within the transaction that uses them.
    pub(super) fn store(
        &mut self,
        connection: &Connection,
        names: &Names,
        ids: impl Iterator<Item = NameId>,
    ) -> rusqlite::Result<()> {
        for id in ids.filter(|id| id.is_some()) {
            if self.number(id).is_some() {
                continue;
            }
            let Some((kind, name)) = names.kind_and_name(id) else { continue };
            connection.execute("INSERT OR IGNORE INTO names (kind, name) VALUES (?1, ?2)", (kind.as_str(), &*name))?;
            let select = "SELECT id FROM names WHERE kind = ?1 AND name = ?2";
            let number = connection.query_row(select, (kind.as_str(), &*name), |row| row.get(0))?;
            if self.numbers.len() <= id.index() {
                self.numbers.resize(id.index() + 1, 0);
            }
            self.numbers[id.index()] = number;
        }
        Ok(())
    }

    /// The number in the file.
    pub(super) fn number(&self, id: NameId) -> Option<i64> {
        self.numbers.get(id.index()).copied().filter(|number| *number != 0)
    }

    /// Forgets them: after a transaction that was not committed.
    pub(super) fn forget(&mut self) {
        self.numbers.clear();
    }
}

/// The numbers in this process of all names of a file.
pub(super) fn read(connection: &Connection, names: &Names) -> rusqlite::Result<HashMap<i64, NameId>> {
    let mut select = connection.prepare("SELECT id, kind, name FROM names")?;
    let mut rows = select.query([])?;
    let mut found = HashMap::new();
    while let Some(row) = rows.next()? {
        let (number, kind, name) = (row.get(0)?, row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?);
        if let Some(kind) = NameKind::ALL.into_iter().find(|known| known.as_str() == kind) {
            found.insert(number, names.intern(kind, name));
        }
    }
    Ok(found)
}
