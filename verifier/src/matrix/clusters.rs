//! Configurations that gave the same bits.

use super::Pair;

/// Numbers of configurations whose outputs have the same bits in every element, at least two each,
/// in ascending order.
pub fn clusters(pairs: &[Pair]) -> Vec<Vec<usize>> {
    let mut clusters: Vec<Vec<usize>> = Vec::new();
    for pair in pairs {
        let [a, b] = pair.configurations;
        if pair.difference.identical_elements != Some(pair.difference.elements) {
            continue;
        }
        // To have the same bits is transitive, and pairs are in order: one with `a` is there
        // already, unless `a` is its first.
        match clusters.iter_mut().find(|cluster| cluster.contains(&a)) {
            Some(cluster) if cluster.contains(&b) => {}
            Some(cluster) => cluster.push(b),
            None => clusters.push(vec![a, b]),
        }
    }
    clusters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Difference;

    #[test]
    fn those_with_the_same_bits_are_together() {
        let pair = |configurations, identical_elements| Pair {
            configurations,
            difference: Difference {
                elements: 4,
                identical_elements: Some(identical_elements),
                ..Difference::default()
            },
        };
        let pairs = [
            pair([1, 2], 3),
            pair([1, 4], 4),
            pair([1, 6], 4),
            pair([2, 5], 4),
            pair([3, 5], 0),
            pair([4, 6], 4),
        ];
        assert_eq!(clusters(&pairs), [vec![1, 4, 6], vec![2, 5]]);
        assert!(clusters(&pairs[..1]).is_empty());
    }
}
