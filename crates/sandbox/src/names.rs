//! Made-up ids. Counted, not random: one seed and one order of calls give the same ids.

/// Counts ids upwards from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    seed: u64,
    next: u64,
}

impl Names {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, next: 0 }
    }

    /// The seed, as a base for numbers that a platform counts itself.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// A number that was not given out before.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A decimal id of `digits` digits (at least 10), as Graph's node ids and Telegram's user ids look.
    pub(crate) fn digits(&mut self, first: char, digits: usize) -> String {
        let number = mix(self.seed).wrapping_add(self.number()) % 1_000_000_000;
        format!("{first}{number:0width$}", width = digits.saturating_sub(1))
    }

    /// A token-like text of `len` letters and digits.
    pub(crate) fn token(&mut self, len: usize) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut state = mix(self.seed ^ (self.number() << 20));
        (0..len)
            .map(|_| {
                state = mix(state);
                let at = usize::try_from(state % LETTERS.len() as u64).unwrap_or_default();
                LETTERS.get(at).copied().map_or('A', char::from)
            })
            .collect()
    }
}

/// A number that looks like no neighbour of `value` (the finaliser of SplitMix64). Nothing here is secret.
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_repeat_and_depend_on_nothing_but_the_seed() {
        let (mut one, mut twin) = (Names::new(7), Names::new(7));
        let made: Vec<_> = (0..1000).map(|_| one.digits('7', 15)).collect();
        assert_eq!(made, (0..1000).map(|_| twin.digits('7', 15)).collect::<Vec<_>>());
        assert_eq!(made.iter().collect::<std::collections::BTreeSet<_>>().len(), 1000);
        assert!(made.iter().all(|id| id.len() == 15), "{:?}", made.first());
        assert_ne!(one.token(35), one.token(35));
    }
}
