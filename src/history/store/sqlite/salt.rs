//! The salt of a directory's conversations: made once, and kept in `main.db` alone, away from the exchanges.

use rusqlite::{Connection, OptionalExtension};

use crate::history::conversation::Salt;

/// Its key in `meta`.
const KEY: &str = "conversation_salt";

/// Reads the salt; makes one if the file has no salt yet. Call it within an immediate transaction: another process may do the
/// same.
pub(super) fn make(connection: &Connection) -> rusqlite::Result<Salt> {
    if let Some(salt) = read(connection)? {
        return Ok(salt);
    }
    // SQLite's generator, which the system's seeds.
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, randomblob(16))", [KEY])?;
    connection.query_row("SELECT value FROM meta WHERE key = ?1", [KEY], |row| row.get(0)).map(Salt)
}

/// Reads the salt; `None` where none was made.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<Option<Salt>> {
    let select = "SELECT value FROM meta WHERE key = ?1 AND typeof(value) = 'blob' AND length(value) = 16";
    connection.query_row(select, [KEY], |row| row.get(0)).optional().map(|salt| salt.map(Salt))
}
