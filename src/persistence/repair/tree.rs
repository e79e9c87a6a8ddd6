//! LMDB's pages, read as `docs/file-format.md` has them, with every step checked: what is wrong with the database, and which records
//! it leads to. Nothing of it is needed to find a record.

use super::chain::Log;
use super::scan::RawFile;
use crate::persistence::record;
use crate::persistence::wire_message::WireQuarantined;
use crate::persistence::wire_object::from_bytes;
use std::collections::{BTreeMap, BTreeSet};

const NAMES: [&str; 5] = ["heartwood", "sapwood", "meta", "quarantine", "suspended"];
const PAGE_HEADER: usize = 16;
const MAGIC: u32 = 0xbeef_c0de;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const OVERFLOW: u16 = 4;
const DEEPEST: u16 = 32;
const NO_PAGE: u64 = u64::MAX;

/// Where the value of a key lies.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) key: Vec<u8>,
    pub(super) at: u64,
    pub(super) length: u64,
    /// Whether it is a tree of its own.
    is_tree: bool,
}

/// What the pages lead to.
#[derive(Debug, Default)]
pub(super) struct Trees {
    places: BTreeMap<&'static str, Vec<Place>>,
    /// What is wrong, in words.
    pub(super) faults: Vec<String>,
}

impl Trees {
    /// Follows the pages of a file.
    pub(super) fn read(raw: &RawFile) -> Self {
        let mut trees = Self::default();
        let Some((page_size, main)) = trees.find_main(raw) else { return trees };
        let pages = Pages { raw, page_size };
        let named = match pages.follow(&main) {
            Ok(places) => places,
            Err(fault) => {
                trees.faults.push(format!("the list of databases: {fault}"));
                return trees;
            }
        };
        for name in NAMES {
            let place = named.iter().find(|place| place.key == name.as_bytes() && place.is_tree);
            let tree = place.map(|place| raw.read(place.at, place.length));
            let followed = match tree {
                Some(tree) => pages.follow(&tree),
                None => Err("it is missing".into()),
            };
            match followed {
                Ok(places) => _ = trees.places.insert(name, places),
                Err(fault) => trees.faults.push(format!("the database `{name}`: {fault}")),
            }
        }
        trees
    }

    /// The entries of a database that could be followed to its end.
    pub(super) fn of(&self, name: &str) -> Option<&[Place]> {
        self.places.get(name).map(Vec::as_slice)
    }

    /// The page size and the 48 bytes of the main tree, by the newest of the two meta pages.
    fn find_main(&mut self, raw: &RawFile) -> Option<(u64, Vec<u8>)> {
        let meta_at = |at: u64| {
            let page = raw.read(at, 152);
            let size = u64::from(half(&page, 40)?);
            let sizes = [4096, 8192, 16384, 32768];
            let is_meta = half(&page, 16)? == MAGIC && half(&page, 20)? == 1 && sizes.contains(&size);
            is_meta.then(|| Some((number(&page, 144)?, size, page.get(88..136)?.to_vec()))).flatten()
        };
        let first = meta_at(0);
        let sizes = first.as_ref().map_or(vec![4096, 8192, 16384, 32768], |(_, size, _)| vec![*size]);
        let second = sizes.into_iter().find_map(|size| meta_at(size).filter(|(_, own, _)| *own == size));
        for (page, found) in [(0, &first), (1, &second)] {
            if found.is_none() {
                self.faults.push(format!("page {page} is no meta page"));
            }
        }
        let newest = match (first, second) {
            (Some(first), Some(second)) if second.0 > first.0 => second,
            (Some(first), _) => first,
            (None, second) => second?,
        };
        Some((newest.1, newest.2))
    }

    /// Where what the pages lead to is not what the log behind the horizon and the snapshots are.
    pub(super) fn differences(&self, raw: &RawFile, log: &Log, horizon: u64, snapshots: &BTreeSet<u64>) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(places) = self.of("heartwood") {
            raw.progress.begin_comparing(places.len() as u64);
            let crc = |place: &Place| {
                raw.progress.note_record();
                let position = u64::from_be_bytes(place.key.as_slice().try_into().ok()?);
                let bytes = raw.read(place.at, place.length);
                let record = record::decode(&bytes, Some(position)).ok()?;
                Some((position, record.crc, record.chain))
            };
            let held: BTreeMap<u64, (u32, u64)> =
                places.iter().filter_map(crc).map(|(position, crc, chain)| (position, (crc, chain))).collect();
            if held.len() != places.len() {
                faults.push(format!("{} records of the log are damaged", places.len() - held.len()));
            }
            let is_otherwise = |(position, find): (&u64, &super::chain::Linked)| {
                held.get(position).is_some_and(|held| *held != (find.crc, find.right_chain))
            };
            let otherwise = log.records.iter().filter(|of| is_otherwise(*of)).count();
            if otherwise > 0 {
                faults.push(format!("{otherwise} records of the log have a wrong chain value, or are others"));
            }
            let behind = log.records.range(horizon + 1..);
            let missing = behind.filter(|(position, _)| !held.contains_key(position)).count();
            if missing > 0 && held.len() == places.len() {
                faults.push(format!("{missing} records of the log are in no page that the database leads to"));
            }
        }
        if let Some(places) = self.of("sapwood") {
            let damaged = places.iter().filter(|place| !snapshots.contains(&place.at)).count();
            if damaged > 0 {
                faults.push(format!("{damaged} snapshots are damaged"));
            }
        }
        if let Some(places) = self.of("meta")
            && places.first().is_none_or(|place| record::decode(&raw.read(place.at, place.length), None).is_err())
        {
            faults.push("the figures about the world are damaged".into());
        }
        faults
    }

    /// What earlier awakenings set aside, as far as it can be read.
    pub(super) fn quarantine(&self, raw: &RawFile) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let places = self.of("quarantine").unwrap_or_default().iter();
        let entries = places.map(|place| (place.key.clone(), raw.read(place.at, place.length)));
        entries.filter(|(_, value)| from_bytes::<WireQuarantined>(value).is_ok()).collect()
    }

    /// The list of failed messages that wait: number, then where its outcome and its envelope stand.
    pub(super) fn suspended(&self, raw: &RawFile) -> Option<BTreeMap<Vec<u8>, Vec<u8>>> {
        let places = self.of("suspended")?.iter();
        Some(places.map(|place| (place.key.clone(), raw.read(place.at, place.length))).collect())
    }
}

struct Pages<'r> {
    raw: &'r RawFile,
    page_size: u64,
}

impl Pages<'_> {
    /// Every entry of the tree that these 48 bytes tell of.
    fn follow(&self, tree: &[u8]) -> Result<Vec<Place>, String> {
        let short = "its description is cut short";
        let depth = quarter(tree, 6).ok_or(short)?;
        let (entries, root) = (number(tree, 32).ok_or(short)?, number(tree, 40).ok_or(short)?);
        let mut places = Vec::new();
        if depth > DEEPEST {
            return Err("its description is impossible".into());
        }
        if root != NO_PAGE && depth > 0 {
            self.descend(root, depth, &mut BTreeSet::new(), &mut places)?;
        }
        if places.len() as u64 != entries {
            return Err(format!("it has {} entries, not {entries}", places.len()));
        }
        if !places.is_sorted_by(|before, after| before.key < after.key) {
            return Err("its keys are out of order".into());
        }
        Ok(places)
    }

    fn page(&self, page: u64, kind: u16) -> Result<Vec<u8>, String> {
        let at = page.checked_mul(self.page_size).filter(|at| *at < self.raw.length);
        let at = at.ok_or_else(|| format!("page {page} lies behind the end of the file"))?;
        let bytes = self.raw.read(at, self.page_size);
        let is_it = number(&bytes, 0) == Some(page) && quarter(&bytes, 10).is_some_and(|flags| flags & 7 == kind);
        if is_it { Ok(bytes) } else { Err(format!("page {page} is not what it should be")) }
    }

    fn descend(&self, page: u64, depth: u16, seen: &mut BTreeSet<u64>, places: &mut Vec<Place>) -> Result<(), String> {
        let impossible = || format!("page {page} is impossible");
        if !seen.insert(page) {
            return Err(impossible());
        }
        let kind = if depth == 1 { LEAF } else { BRANCH };
        let bytes = self.page(page, kind)?;
        let lower = usize::from(quarter(&bytes, 12).ok_or_else(impossible)?);
        let list = bytes.get(PAGE_HEADER..lower).ok_or_else(impossible)?;
        for place in list.chunks_exact(2) {
            let node = usize::from(u16::from_le_bytes([place[0], place[1]]));
            let (low, flags) = (half(&bytes, node).ok_or_else(impossible)?, quarter(&bytes, node + 4));
            let (flags, key_length) = (flags.ok_or_else(impossible)?, quarter(&bytes, node + 6).unwrap_or_default());
            if kind == BRANCH {
                self.descend(u64::from(low) | u64::from(flags) << 32, depth - 1, seen, places)?;
                continue;
            }
            let value = node + 8 + usize::from(key_length);
            let key = bytes.get(node + 8..value).ok_or_else(impossible)?.to_vec();
            let length = u64::from(low);
            let at = if flags & 1 == 1 {
                let overflow = number(&bytes, value).ok_or_else(impossible)?;
                self.page(overflow, OVERFLOW)?;
                overflow * self.page_size + PAGE_HEADER as u64
            } else if value as u64 + length <= self.page_size {
                page * self.page_size + value as u64
            } else {
                return Err(impossible());
            };
            places.push(Place { key, at, length, is_tree: flags & 2 == 2 });
        }
        Ok(())
    }
}

fn quarter(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
