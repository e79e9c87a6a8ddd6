//! The names nearest to one that nobody knows.

use std::cmp::Reverse;

/// At most three of `names` that resemble `wanted`: an edit distance of 2 or less first, then a shared beginning. What
/// differs is a third of the longer word at most.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let wanted = wanted.to_ascii_lowercase();
    let mut ranked: Vec<(usize, Reverse<usize>, &str)> = names
        .into_iter()
        .filter_map(|name| {
            let distance = strsim::osa_distance(&wanted, name);
            let shared = wanted.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
            let longest = wanted.chars().count().max(name.len());
            let close = distance <= 2 && distance * 3 <= longest;
            let begins_so = shared >= 3 && (wanted.len() - shared) * 3 <= wanted.len();
            (close || begins_so).then_some((if close { distance } else { 3 }, Reverse(shared), name))
        })
        .collect();
    ranked.sort();
    ranked.dedup();
    ranked.into_iter().take(3).map(|(_, _, name)| name.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_come_first() {
        let names = ["move_by", "move_to", "describe", "set", "x"];
        assert_eq!(nearest("mve_by", names), ["move_by"]);
        assert_eq!(nearest("move", names), ["move_by", "move_to"]);
        assert_eq!(nearest("Set", names), ["set"]);
        assert!(nearest("zzz", names).is_empty());
    }

    #[test]
    fn what_differs_in_more_than_a_third_is_not_near() {
        assert!(nearest("nope", ["copy"]).is_empty());
        assert!(nearest("ab", ["cd", "x"]).is_empty());
        assert!(nearest("described_at_length", ["describe"]).is_empty());
        assert_eq!(nearest("fly", ["flyy"]), ["flyy"]);
        assert_eq!(nearest("cloen", ["clone"]), ["clone"]);
        assert_eq!(nearest("remove_it", ["remove_slot"]), ["remove_slot"]);
    }
}
