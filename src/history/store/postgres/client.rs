//! A connection whose every statement has an end, for a thread that may wait.
//!
//! The server's own limit on statements is worth nothing where the server is reachable and mute: stopped, or something else
//! that accepts connections. So there is one here too. A connection that has not answered in time is closed.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Config, Error, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How much longer than the server's limit is waited, for the server to say that it gives the statement up.
const GRACE: Duration = Duration::from_millis(500);

/// How long the server may take to take note of the end.
const FAREWELL: Duration = Duration::from_millis(200);

/// Values of a statement.
type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The connection.
pub(super) struct Client {
    /// `None` while it is dropped.
    runtime: Option<Runtime>,
    client: Option<tokio_postgres::Client>,
    connection: Option<JoinHandle<()>>,
    limit: Duration,
}

/// Why there is no connection.
pub(super) enum Unconnected {
    System(std::io::Error),
    Server(Error),
    /// It has not answered in time.
    Mute,
}

impl Client {
    /// Connects within `patience`. The server is expected to give each statement up after `limit`.
    pub(super) fn connect(
        config: &Config,
        tls: MakeRustlsConnect,
        patience: Duration,
        limit: Duration,
    ) -> Result<Self, Unconnected> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Unconnected::System)?;
        let connected = runtime.block_on(async { tokio::time::timeout(patience, config.connect(tls)).await });
        let (client, connection) = match connected {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err(Unconnected::Server(error)),
            Err(_elapsed) => {
                // A look-up of the name may still go on.
                runtime.shutdown_background();
                return Err(Unconnected::Mute);
            }
        };
        let connection = runtime.spawn(async move { drop(connection.await) });
        Ok(Self { runtime: Some(runtime), client: Some(client), connection: Some(connection), limit: limit + GRACE })
    }

    /// Whether it was lost or given up.
    pub(super) fn is_closed(&self) -> bool {
        self.client.as_ref().is_none_or(tokio_postgres::Client::is_closed)
    }

    pub(super) fn query(&mut self, statement: &str, values: Values<'_>) -> Result<Vec<Row>, Error> {
        self.run(async |client| client.query(statement, values).await)
    }

    pub(super) fn query_one(&mut self, statement: &str, values: Values<'_>) -> Result<Row, Error> {
        self.run(async |client| client.query_one(statement, values).await)
    }

    pub(super) fn query_opt(&mut self, statement: &str, values: Values<'_>) -> Result<Option<Row>, Error> {
        self.run(async |client| client.query_opt(statement, values).await)
    }

    pub(super) fn execute(&mut self, statement: &str, values: Values<'_>) -> Result<u64, Error> {
        self.run(async |client| client.execute(statement, values).await)
    }

    pub(super) fn batch_execute(&mut self, statements: &str) -> Result<(), Error> {
        self.run(async |client| client.batch_execute(statements).await)
    }

    /// Sends rows to a `COPY … FROM STDIN (FORMAT binary)`.
    pub(super) fn copy_in<T: ToSql + Sync>(
        &mut self,
        statement: &str,
        kinds: &[Type],
        rows: &[Vec<T>],
    ) -> Result<u64, Error> {
        self.run(async |client| {
            let mut writer = std::pin::pin!(BinaryCopyInWriter::new(client.copy_in(statement).await?, kinds));
            for row in rows {
                let values: Vec<&(dyn ToSql + Sync)> = row.iter().map(|cell| cell as &(dyn ToSql + Sync)).collect();
                writer.as_mut().write(&values).await?;
            }
            writer.finish().await
        })
    }

    /// Begins a transaction, which is rolled back unless it is committed.
    pub(super) fn transaction(&mut self) -> Result<Transaction<'_>, Error> {
        self.batch_execute("BEGIN")?;
        Ok(Transaction { client: self, is_open: true })
    }

    /// Waits for an answer. Without one in time the connection is closed, which is an answer.
    fn run<T>(&mut self, ask: impl AsyncFnOnce(&tokio_postgres::Client) -> Result<T, Error>) -> Result<T, Error> {
        let (runtime, client) = (self.runtime.as_ref(), self.client.as_ref());
        let (runtime, client) = runtime.zip(client).expect("until it is dropped");
        runtime.block_on(async {
            let mut answer = std::pin::pin!(ask(client));
            match tokio::time::timeout(self.limit, answer.as_mut()).await {
                Ok(answer) => answer,
                Err(_elapsed) => {
                    self.connection.iter().for_each(JoinHandle::abort);
                    answer.await
                }
            }
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.client.take());
        if let Some((runtime, connection)) = self.runtime.take().zip(self.connection.take()) {
            drop(runtime.block_on(async { tokio::time::timeout(FAREWELL, connection).await }));
            runtime.shutdown_background();
        }
    }
}

/// A transaction: whatever is done by the connection until it is committed.
pub(super) struct Transaction<'a> {
    client: &'a mut Client,
    is_open: bool,
}

impl Transaction<'_> {
    pub(super) fn commit(mut self) -> Result<(), Error> {
        self.is_open = false;
        self.client.batch_execute("COMMIT")
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open && !self.client.is_closed() {
            drop(self.client.batch_execute("ROLLBACK"));
        }
    }
}

impl Deref for Transaction<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client
    }
}

impl DerefMut for Transaction<'_> {
    fn deref_mut(&mut self) -> &mut Client {
        self.client
    }
}
