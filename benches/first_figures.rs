//! First figures, without targets: what a send, a slot read and a slot write cost against plain Luau in the same
//! process, and how many messages a second become durable one by one against bare LMDB in the same run.
//!
//! `cargo bench` prints them. Each line is the median of several rounds.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::print_stdout, unsafe_code)] // it measures, on a terminal

use heed::CommitOrAbort;
use heed::types::Bytes;
use living_workbench::language::{Limits, NoServices, TurnRequest, Vm, genesis_objects};
use living_workbench::object::{
    Argument, Envelope, Image, MethodVersion, Name, Object, ObjectId, Origin, Outcome, Slot, Target, Value,
};
use living_workbench::persistence::{NewWorld, Reply, open};
use living_workbench::systems::TickReplay;
use mlua::Lua;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

const ROUNDS: usize = 7;
/// Operations in one turn.
const OPERATIONS: u32 = 200_000;
/// Messages in one round of the journal.
const MESSAGES: u64 = 100;

fn main() {
    println!("in a turn of {OPERATIONS} operations, per operation, against the same on a plain Luau table:");
    for (what, ours, plain) in [
        ("send", "for i = 1, n do self:nothing() end", "for i = 1, n do t:nothing() end"),
        ("slot read", "local s = 0 for i = 1, n do s += self.x end", "local s = 0 for i = 1, n do s += t.x end"),
        (
            "math.sin",
            "local s = 0 for i = 1, n do s += math.sin(i) end",
            "local s = 0 for i = 1, n do s += math.sin(i) end",
        ),
        (
            "math.pow",
            "local s = 0 for i = 1, n do s += math.pow(i, 0.3) end",
            "local s = 0 for i = 1, n do s += math.pow(i, 0.3) end",
        ),
        ("slot write", "for i = 1, n do self.x = i end", "for i = 1, n do t.x = i end"),
    ] {
        let (plain, ours) = (plain_luau(plain), in_a_turn(ours));
        println!(
            "  {what:<11} {:>7.1} ns   plain {:>7.1} ns   {:.1} times",
            nanos(ours),
            nanos(plain),
            ours.as_secs_f64() / plain.as_secs_f64()
        );
    }
    let folder = std::env::temp_dir().join(format!("living-workbench-bench-{}", std::process::id()));
    let (bare, journal) = (bare_lmdb(&folder.join("bare")), journal(&folder.join("world")));
    let _ = std::fs::remove_dir_all(&folder);
    println!("durable one by one, in {}:", std::env::temp_dir().display());
    println!("  bare LMDB, one put and one sync    {bare:>8.0} a second");
    println!("  a message, envelope durable        {journal:>8.0} a second   {:.2} of bare", journal / bare);
}

fn nanos(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9 / f64::from(OPERATIONS)
}

fn median(mut rounds: Vec<Duration>) -> Duration {
    rounds.sort();
    rounds[rounds.len() / 2]
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn method(source: &str, params: &[&str]) -> Slot {
    Slot::method(MethodVersion {
        number: 1,
        follows: 0,
        params: params.iter().map(|param| name(param)).collect(),
        source: source.to_string(),
        doc: String::new(),
        origin: Origin {
            author: "bench".into(),
            instruction: String::new(),
            contract: Vec::new(),
            verdicts: Vec::new(),
            sequence: 0,
        },
    })
}

fn envelope(selector: &str, args: Vec<Argument>) -> Envelope {
    Envelope {
        message_id: Uuid::nil(),
        correlation_id: None,
        sender_id: "bench".into(),
        target: Target::Name("thing".into()),
        selector: name(selector),
        args,
        issued_at: 0,
        retries: None,
    }
}

fn in_a_turn(body: &str) -> Duration {
    let mut image = Image::default();
    genesis_objects().expect("the first image").into_iter().for_each(|object| image.insert(object));
    let mut thing = Object::new(ObjectId::genesis("thing"));
    thing.name = Some(name("thing"));
    thing.parents = vec![ObjectId::proto()];
    thing.slots.push(name("x"), Slot::value(Value::Number(1.0)));
    thing.slots.push(name("nothing"), method("function(self) end", &[]));
    thing.slots.push(name("run"), method(&format!("function(self, n) {body} end"), &["n"]));
    image.insert(thing);
    let limits = Limits { fuel: i64::MAX, ..Limits::default() };
    let mut vm = Vm::new(limits).expect("a VM");
    let argument = Argument { name: None, value: Value::Number(f64::from(OPERATIONS)).into() };
    let envelope = envelope("run", vec![argument]);
    let request = TurnRequest { world_id: Uuid::nil(), sequence: 1, envelope: &envelope };
    let round = |_| {
        let start = Instant::now();
        let outcome = vm.turn(&image, &request, &mut NoServices);
        let took = start.elapsed();
        assert!(matches!(outcome, Outcome::Completed { .. }), "{outcome:?}");
        took
    };
    median((0..ROUNDS).map(round).collect())
}

fn plain_luau(body: &str) -> Duration {
    let lua = Lua::new();
    let source = format!("local t = {{ x = 1, nothing = function(t) end }} return function(n) {body} end");
    let function: mlua::Function = lua.load(source).eval().expect("plain Luau");
    let round = |_| {
        let start = Instant::now();
        function.call::<()>(OPERATIONS).expect("it runs");
        start.elapsed()
    };
    median((0..ROUNDS).map(round).collect())
}

/// One small record, one transaction, one sync each.
fn bare_lmdb(dir: &Path) -> f64 {
    std::fs::create_dir_all(dir).expect("a folder");
    // SAFETY: nobody else has this new folder open.
    let env = unsafe { heed::EnvOpenOptions::new().map_size(64 << 20).max_dbs(1).open(dir) }.expect("an environment");
    let txn = env.write_txn().expect("a transaction");
    let made = env.create_databases_and_commit(txn, |opener, txn| {
        let db = opener.create_database::<Bytes, Bytes>(txn, Some("log"))?;
        Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(db))
    });
    let db = made.expect("a database").commit().expect("a database");
    let record = [7_u8; 256];
    let mut next = 0_u64;
    let round = |_| {
        let start = Instant::now();
        for _ in 0..MESSAGES {
            next += 1;
            let mut txn = env.write_txn().expect("a transaction");
            db.put(&mut txn, &next.to_be_bytes(), &record).expect("a put");
            txn.commit().expect("a commit");
        }
        start.elapsed()
    };
    MESSAGES as f64 / median((0..ROUNDS).map(round).collect()).as_secs_f64()
}

/// One message after the other, each waited for.
fn journal(dir: &Path) -> f64 {
    let new = NewWorld { world_id: Uuid::from_u128(1), objects: genesis_objects().expect("the first image") };
    let (awakened, alembic) = open(dir, Some(new), 0, &mut TickReplay::new(), || {}).expect("a world");
    let mut next = awakened.next_sequence;
    let argument = Argument { name: Some(name("x")), value: Value::Number(5.0).into() };
    let envelope = Arc::new(envelope("set", vec![argument]));
    let round = |_| {
        let start = Instant::now();
        for _ in 0..MESSAGES {
            alembic.append_envelope(next, envelope.clone()).expect("room");
            while !matches!(alembic.replies().recv(), Ok(Reply::Durable { envelopes, .. }) if envelopes.contains(&next))
            {
            }
            next += 1;
        }
        start.elapsed()
    };
    let rate = MESSAGES as f64 / median((0..ROUNDS).map(round).collect()).as_secs_f64();
    alembic.close();
    rate
}
