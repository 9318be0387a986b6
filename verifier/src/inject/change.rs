//! What a fault does to a value.

/// What happens to a value, a float32: bit 31 is the sign, 30 to 23 the exponent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// It is replaced.
    Value(f32),
    /// It is replaced by what these bits stand for, such as a certain NaN.
    Pattern(u32),
    /// One of its bits is inverted.
    Flip(u8),
    /// The bits of a mask are inverted, each once.
    Flips(u32),
    /// One of its bits is 0, or 1, whatever it was.
    Stuck { bit: u8, is_one: bool },
}

impl Change {
    /// The value as it becomes.
    pub fn apply(self, value: f32) -> f32 {
        let bits = value.to_bits();
        match self {
            Self::Value(new) => new,
            Self::Pattern(new) => f32::from_bits(new),
            Self::Flip(bit) => f32::from_bits(bits ^ (1 << bit)),
            Self::Flips(mask) => f32::from_bits(bits ^ mask),
            Self::Stuck { bit, is_one: true } => f32::from_bits(bits | (1 << bit)),
            Self::Stuck { bit, is_one: false } => f32::from_bits(bits & !(1 << bit)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIAL: [u32; 10] = [
        0x0000_0000, // 0
        0x8000_0000, // −0
        0x0000_0001, // the smallest subnormal number
        0x007f_ffff, // the largest one
        0x0080_0000, // the smallest normal number
        0x3f80_0000, // 1
        0x7f7f_ffff, // the largest number
        0x7f80_0000, // infinity
        0xff80_0000, // −infinity
        0x7fc0_0001, // a NaN with something in its low bits
    ];

    /// The bits after a change, without a float in between that a library might alter.
    fn changed(change: Change, bits: u32) -> u32 {
        change.apply(f32::from_bits(bits)).to_bits()
    }

    #[test]
    fn every_bit_of_special_values_flips_and_sticks_alone() {
        for value in SPECIAL {
            for bit in 0..32u8 {
                let text = |bits: u32| format!("{bits:032b}");
                let expected = |to: &dyn Fn(char) -> char| -> String {
                    let place = 31 - usize::from(bit);
                    let digits = text(value);
                    let digits = digits.chars().enumerate();
                    digits
                        .map(|(at, digit)| if at == place { to(digit) } else { digit })
                        .collect()
                };
                let flipped = text(changed(Change::Flip(bit), value));
                let other = |digit| if digit == '0' { '1' } else { '0' };
                assert_eq!(flipped, expected(&other), "{value:08x} ^ {bit}");
                for is_one in [false, true] {
                    let stuck = text(changed(Change::Stuck { bit, is_one }, value));
                    let digit = if is_one { '1' } else { '0' };
                    assert_eq!(stuck, expected(&|_| digit), "{value:08x} {bit} {digit}");
                }
            }
        }
    }

    #[test]
    fn flips_of_one_are_the_numbers_that_ieee_754_says() {
        let after = |bit| Change::Flip(bit).apply(1.0);
        assert_eq!(
            (after(31), after(30), after(29)),
            (-1.0, f32::INFINITY, 2f32.powi(-64))
        );
        assert_eq!(
            (after(23), after(22), after(0)),
            (0.5, 1.5, 1.0 + f32::EPSILON)
        );
        assert_eq!(Change::Flips(0xc000_0000).apply(1.0), f32::NEG_INFINITY);
        let set = Change::Stuck {
            bit: 22,
            is_one: true,
        };
        assert!(set.apply(f32::INFINITY).is_nan());
        assert_eq!(set.apply(1.5), 1.5);
    }

    #[test]
    fn a_pattern_keeps_every_bit_of_a_nan() {
        for bits in [0x7f80_0001, 0xffff_ffff, 0x7fc0_0000] {
            assert_eq!(changed(Change::Pattern(bits), 0), bits);
        }
        assert_eq!(changed(Change::Value(0.0), 0xffff_ffff), 0);
    }
}
