//! The log put together from records that were found in any order: of several for one position the one that its neighbours'
//! chain values confirm.

use super::scan::Find;
use super::{Span, spans};
use crate::persistence::record::{self, Kind};
use crate::persistence::writer::LogEnd;
use std::collections::{BTreeMap, BTreeSet};

/// A record of the log in its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Linked {
    pub(super) at: u64,
    pub(super) length: u64,
    pub(super) crc: u32,
    /// Its chain value by right; its field may be damaged.
    pub(super) right_chain: u64,
    /// How many records before it are confirmed one by the other.
    run: u64,
}

/// The log, as far as it was found.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) records: BTreeMap<u64, Linked>,
    /// Position of its last record, which may be lost.
    pub(super) end: u64,
    /// Records that don't follow the one that was found before them.
    pub(super) unlinked: BTreeSet<u64>,
    /// Positions and chain values of records that never were of this log.
    foreign: BTreeSet<(u64, u64)>,
}

/// What is known of chain values beside the records themselves.
struct Known<'k> {
    ends: &'k [LogEnd],
    /// Where the log ends, if that is certain.
    known_end: Option<LogEnd>,
    sight: Option<LogEnd>,
}

impl Known<'_> {
    fn confirms(&self, position: u64, chain: u64) -> bool {
        self.ends.iter().chain(&self.sight).any(|end| end.position == position && end.chain == chain)
    }

    /// The greater, the more speaks for a record.
    fn rank(&self, position: u64, linked: &Linked) -> (bool, u64) {
        (self.confirms(position, linked.right_chain), linked.run)
    }

    fn contradicts(&self, position: u64, chain: u64) -> bool {
        // Where the database tells the end of its log, that is the log.
        let end = self.known_end.or(self.sight);
        end.is_some_and(|end| end.position == position && end.chain != chain)
    }
}

impl Log {
    /// Puts the log together. `ends` are ends that it had at some time; `sight` is one that it had for certain.
    pub(super) fn of(finds: &[Find], known_end: Option<LogEnd>, sight: Option<LogEnd>, ends: &[LogEnd]) -> Self {
        let known_end = known_end.filter(|end| sight.is_none_or(|sight| sight.position <= end.position));
        let known = Known { ends, known_end, sight };
        let (nodes, foreign) = nodes(finds, &known);
        let mut records = BTreeMap::new();
        let mut unlinked = BTreeSet::new();
        let mut after: Option<(u64, Linked)> = None;
        for (position, candidates) in nodes.iter().rev() {
            let leads = |linked: &&Linked| match &after {
                Some((next, of)) if *next == position + 1 => {
                    record::chain(linked.right_chain, *next, of.crc) == of.right_chain
                }
                _ => false,
            };
            let leading: Vec<&Linked> = candidates.iter().filter(leads).collect();
            let is_linked = !leading.is_empty();
            let able = if is_linked { leading } else { candidates.iter().collect() };
            let chosen = able.into_iter().max_by_key(|linked| known.rank(*position, linked));
            let Some(chosen) = chosen else { continue };
            if let Some((next, _)) = &after
                && *next == position + 1
                && !is_linked
            {
                unlinked.insert(*next);
            }
            records.insert(*position, chosen.clone());
            after = Some((*position, chosen.clone()));
        }
        let end = records.last_key_value().map_or(0, |(position, _)| *position);
        Self { records, end, unlinked, foreign }
    }

    /// Whether a log ended so that never was this one.
    pub(super) fn is_foreign(&self, end: LogEnd) -> bool {
        self.foreign.contains(&(end.position, end.chain))
    }

    /// Position of the last record that was found.
    pub(super) fn last(&self) -> u64 {
        self.records.last_key_value().map_or(0, |(position, _)| *position)
    }

    /// Whether more positions in a row are empty than a log can lose.
    pub(super) fn is_too_wide(&self, widest: u64) -> bool {
        let before = std::iter::once(0).chain(self.records.keys().copied());
        before.zip(self.records.keys()).any(|(before, position)| position - before > widest)
    }

    /// Positions of which nothing was found.
    pub(super) fn lost(&self) -> Vec<Span> {
        spans((1..=self.end).filter(|position| !self.records.contains_key(position)))
    }

    pub(super) fn count_lost(&self) -> u64 {
        self.end - self.records.len() as u64
    }
}

/// Candidates for each position, each with the value that it has by right.
fn nodes(finds: &[Find], known: &Known<'_>) -> (BTreeMap<u64, Vec<Linked>>, BTreeSet<(u64, u64)>) {
    let is_of_log = |find: &&Find| !matches!(find.kind, Kind::Snapshot | Kind::Tombstone | Kind::Meta);
    let is_before_end = |find: &&Find| known.known_end.is_none_or(|end| find.position <= end.position);
    let mut nodes: BTreeMap<u64, Vec<Linked>> = BTreeMap::new();
    for find in finds.iter().filter(is_of_log).filter(is_before_end).filter(|find| find.position > 0) {
        let candidates = nodes.entry(find.position).or_default();
        if !candidates.iter().any(|other| (other.crc, other.right_chain) == (find.crc, find.chain)) {
            let (at, length, crc) = (find.at, find.length, find.crc);
            candidates.push(Linked { at, length, crc, right_chain: find.chain, run: 0 });
        }
    }
    // Of a log that never was the world's, what follows it isn't either.
    let mut foreign: BTreeSet<(u64, u64)> = BTreeSet::new();
    for position in nodes.keys().copied().collect::<Vec<_>>() {
        let before = match nodes.get(&(position - 1)) {
            Some(before) => before.iter().map(|linked| (linked.right_chain, linked.run)).collect(),
            None if position == 1 => vec![(0, 0)],
            None => Vec::new(),
        };
        let follows = |chain: u64| {
            let next = nodes.get(&(position + 1)).into_iter().flatten();
            known.confirms(position, chain)
                || next.into_iter().any(|next| record::chain(chain, position + 1, next.crc) == next.right_chain)
        };
        let mut candidates = nodes.get(&position).cloned().unwrap_or_default();
        for at in 0..candidates.len() {
            let linked = candidates[at].clone();
            let by_right = |(chain, run): &(u64, u64)| (record::chain(*chain, position, linked.crc), *run);
            let links: Vec<(u64, u64)> = before.iter().map(by_right).collect();
            let own = links.iter().filter(|(chain, _)| *chain == linked.right_chain).map(|(_, run)| run + 1).max();
            match own {
                Some(run) => candidates[at].run = run,
                // Where what comes next follows the right value, only the field that holds it is damaged here.
                None => {
                    for (chain, run) in links.into_iter().filter(|(chain, _)| follows(*chain)) {
                        candidates.push(Linked { right_chain: chain, run: run + 1, ..linked.clone() });
                    }
                }
            }
        }
        let is_foreign = |linked: &Linked| {
            let follows = |(_, chain): &(u64, u64)| record::chain(*chain, position, linked.crc) == linked.right_chain;
            let mut before = foreign.range((position - 1, 0)..(position, 0));
            known.contradicts(position, linked.right_chain) || linked.run == 0 && before.any(follows)
        };
        let (others, own): (Vec<Linked>, Vec<Linked>) = candidates.into_iter().partition(is_foreign);
        foreign.extend(others.iter().map(|linked| (position, linked.right_chain)));
        nodes.insert(position, own);
    }
    nodes.retain(|_, candidates| !candidates.is_empty());
    (nodes, foreign)
}
