//! Where cards stand: x and y of the slots, and the places beside a prototype for clones that have none.

use super::Mirror;
use crate::language::is_built_in;
use crate::object::{ObjectId, Objects, Value, lookup};
use std::collections::{BTreeMap, BTreeSet};

/// Gap between a prototype and the clones beside it, and between those, in world units.
const GAP: f32 = 24.0;
/// Largest coordinate that is drawn; beyond it `f32` places are too coarse to see.
const FARTHEST: f64 = 1.0e6;

/// Which objects stand beside which: those that inherit both x and y, by the object they take them from.
#[derive(Debug, Default)]
pub struct Seating {
    host_of: BTreeMap<ObjectId, ObjectId>,
    guests: BTreeMap<ObjectId, BTreeSet<ObjectId>>,
}

impl Seating {
    /// Follows what happened to `touched`. Answers the objects whose place may have changed with it.
    pub fn update(&mut self, mirror: &Mirror, touched: &BTreeSet<ObjectId>) -> BTreeSet<ObjectId> {
        let mut moved = BTreeSet::new();
        for id in touched {
            let before = self.host_of.get(id).copied();
            let after = host(mirror, *id);
            if before == after {
                continue;
            }
            if let Some(host) = before
                && let Some(guests) = self.guests.get_mut(&host)
            {
                guests.remove(id);
                moved.extend(guests.iter().copied());
            }
            match after {
                Some(host) => {
                    let guests = self.guests.entry(host).or_default();
                    guests.insert(*id);
                    moved.extend(guests.iter().copied());
                    self.host_of.insert(*id, host);
                }
                None => drop(self.host_of.remove(id)),
            }
        }
        moved
    }

    /// Left upper corners of the objects' cards in world units, y downwards. `size_of` tells sizes of cards.
    pub fn places(
        &self,
        mirror: &Mirror,
        of: &BTreeSet<ObjectId>,
        size_of: &dyn Fn(ObjectId) -> [f32; 2],
    ) -> BTreeMap<ObjectId, [f32; 2]> {
        let mut places: BTreeMap<ObjectId, [f32; 2]> = of.iter().map(|id| (*id, slots_place(mirror, *id))).collect();
        let hosts: BTreeSet<ObjectId> = of.iter().filter_map(|id| self.host_of.get(id).copied()).collect();
        for host in hosts {
            // Beside a prototype that shows no card there is room from its very place on.
            let right = if is_built_in(host) { 0.0 } else { size_of(host)[0] + GAP };
            let mut above = 0.0;
            for guest in self.guests.get(&host).into_iter().flatten() {
                if let Some(place) = places.get_mut(guest) {
                    *place = [place[0] + right, place[1] + above];
                }
                above += size_of(*guest)[1] + GAP;
            }
        }
        places
    }
}

fn host(mirror: &Mirror, id: ObjectId) -> Option<ObjectId> {
    let object = mirror.image().object(id)?;
    let own = |slot: &str| object.slots.get(slot).is_some_and(|slot| slot.as_value().is_some());
    if own("x") || own("y") {
        return None;
    }
    let holders = ["x", "y"].map(|slot| lookup(mirror.image(), id, slot).map(|found| found.holder));
    let others = || holders.into_iter().flatten().filter(|holder| *holder != id);
    // Beside a card, where one of the two has one.
    others().find(|holder| !is_built_in(*holder)).or_else(|| others().next())
}

fn slots_place(mirror: &Mirror, id: ObjectId) -> [f32; 2] {
    ["x", "y"].map(|slot| number(mirror, id, slot).unwrap_or(0.0).clamp(-FARTHEST, FARTHEST) as f32)
}

/// The finite number that the object answers `slot` with.
pub(super) fn number(mirror: &Mirror, id: ObjectId, slot: &str) -> Option<f64> {
    match lookup(mirror.image(), id, slot)?.slot.as_value()? {
        Value::Number(number) if number.is_finite() => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::mirror::tests::{completed, object, set, settled, told};
    use super::*;
    use crate::object::Change;

    const SIZE: [f32; 2] = [184.0, 96.0];

    fn at(seating: &Seating, mirror: &Mirror, id: ObjectId) -> [f32; 2] {
        seating.places(mirror, &BTreeSet::from([id]), &|_| SIZE)[&id]
    }

    #[test]
    fn clones_without_a_place_stand_beside_their_prototype() {
        let point = object("point", &[ObjectId::proto()], &[("x", Value::Number(100.0)), ("y", Value::Number(-40.0))]);
        let (a, b) = (object("a", &[point.id], &[]), object("b", &[point.id], &[]));
        let (first, second) = if a.id < b.id { (a.id, b.id) } else { (b.id, a.id) };
        let mut mirror = told(vec![point.clone(), a, b]);
        let mut seating = Seating::default();
        seating.update(&mirror, &mirror.take_touched_for_test());
        assert_eq!(at(&seating, &mirror, point.id), [100.0, -40.0]);
        assert_eq!(at(&seating, &mirror, first), [308.0, -40.0]);
        assert_eq!(at(&seating, &mirror, second), [308.0, 80.0]);

        let _ = mirror.take_touched();
        let first_object = mirror.image().object(first).unwrap().to_object();
        mirror.learn(settled(1, completed(vec![set(&first_object, "x", Value::Number(7.0))])));
        let moved = seating.update(&mirror, &mirror.take_touched_for_test());
        assert!(moved.contains(&second), "the others close up");
        assert_eq!(at(&seating, &mirror, first), [7.0, -40.0]);
        assert_eq!(at(&seating, &mirror, second), [308.0, -40.0]);

        mirror.learn(settled(2, completed(vec![Change::Delete(Box::new(point), None)])));
        seating.update(&mirror, &mirror.image().ids().into_iter().collect());
        assert_eq!(at(&seating, &mirror, second), [0.0, 0.0], "nothing is left to stand beside");
    }

    #[test]
    fn half_a_place_is_enough_to_stand_beside() {
        let half = object("half", &[ObjectId::proto()], &[("y", Value::Number(50.0))]);
        let clone = object("clone", &[half.id], &[]);
        let mirror = told(vec![half.clone(), clone.clone()]);
        let mut seating = Seating::default();
        seating.update(&mirror, &mirror.take_touched_for_test());
        assert_eq!(at(&seating, &mirror, half.id), [0.0, 50.0]);
        assert_eq!(at(&seating, &mirror, clone.id), [208.0, 50.0]);
    }

    #[test]
    fn odd_numbers_are_no_places() {
        for (value, expected) in [(f64::NAN, 0.0), (f64::INFINITY, 0.0), (1e300, 1e6), (-1e300, -1e6)] {
            let odd = object("odd", &[ObjectId::proto()], &[("x", Value::Number(value))]);
            let mirror = told(vec![odd.clone()]);
            assert_eq!(at(&Seating::default(), &mirror, odd.id), [expected, 0.0]);
        }
    }

    impl Mirror {
        fn take_touched_for_test(&self) -> BTreeSet<ObjectId> {
            self.clone().take_touched()
        }
    }
}
