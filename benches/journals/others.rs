//! SQLite, redb and fjall, each set to have a batch on disk when its commit returns.

use crate::speed::Contender;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use redb::{Durability, TableDefinition};
use rusqlite::Connection;
use std::path::Path;

/// One transaction for each batch, in the write-ahead log, synced at each commit.
pub(crate) struct Sqlite {
    connection: Connection,
    record: Vec<u8>,
    next: i64,
}

impl Sqlite {
    pub(crate) fn open(folder: &Path, record: &[u8]) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let connection = Connection::open(folder.join("log.sqlite")).expect("a database");
        let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).expect("an answer");
        assert_eq!(mode, "wal");
        connection.execute_batch("PRAGMA synchronous = FULL").expect("a setting");
        let level: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).expect("an answer");
        assert_eq!(level, 2);
        let table = "CREATE TABLE log (position INTEGER PRIMARY KEY, record BLOB NOT NULL)";
        connection.execute_batch(table).expect("a table");
        Self { connection, record: record.to_vec(), next: 1 }
    }
}

impl Contender for Sqlite {
    fn name(&self) -> &'static str {
        "SQLite"
    }

    fn write(&mut self, records: u64) {
        let transaction = self.connection.transaction().expect("a transaction");
        let mut insert =
            transaction.prepare_cached("INSERT INTO log (position, record) VALUES (?1, ?2)").expect("a statement");
        for _ in 0..records {
            insert.execute((self.next, &self.record)).expect("a row");
            self.next += 1;
        }
        drop(insert);
        transaction.commit().expect("a commit");
    }
}

const LOG: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("log");

/// One transaction for each batch.
pub(crate) struct Redb {
    database: redb::Database,
    record: Vec<u8>,
    next: u64,
}

impl Redb {
    pub(crate) fn open(folder: &Path, record: &[u8]) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let database = redb::Database::create(folder.join("log.redb")).expect("a database");
        Self { database, record: record.to_vec(), next: 1 }
    }
}

impl Contender for Redb {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn write(&mut self, records: u64) {
        let mut transaction = self.database.begin_write().expect("a transaction");
        transaction.set_durability(Durability::Immediate).expect("a setting");
        let mut table = transaction.open_table(LOG).expect("a table");
        for _ in 0..records {
            table.insert(self.next, self.record.as_slice()).expect("an entry");
            self.next += 1;
        }
        drop(table);
        transaction.commit().expect("a commit");
    }
}

/// One batch in its journal, synced.
pub(crate) struct Fjall {
    log: Keyspace,
    database: Database,
    record: Vec<u8>,
    next: u64,
}

impl Fjall {
    pub(crate) fn open(folder: &Path, record: &[u8]) -> Self {
        let database = Database::builder(folder).open().expect("a database");
        let log = database.keyspace("log", KeyspaceCreateOptions::default).expect("a keyspace");
        Self { log, database, record: record.to_vec(), next: 1 }
    }
}

impl Contender for Fjall {
    fn name(&self) -> &'static str {
        "fjall"
    }

    fn write(&mut self, records: u64) {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for _ in 0..records {
            batch.insert(&self.log, self.next.to_be_bytes(), self.record.as_slice());
            self.next += 1;
        }
        batch.commit().expect("a commit");
    }
}
