//! The names nearest to one that nobody knows.

use std::cmp::Reverse;

/// At most three of `names` that resemble `wanted`: edit distance of 2 or less first, then a shared beginning.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let wanted = wanted.to_ascii_lowercase();
    let mut ranked: Vec<(usize, Reverse<usize>, &str)> = names
        .into_iter()
        .filter_map(|name| {
            let distance = strsim::osa_distance(&wanted, name);
            let shared = wanted.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
            let close = distance <= 2 && distance < wanted.len().max(2);
            (close || shared >= 3).then_some((if close { distance } else { 3 }, Reverse(shared), name))
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
}
