//! How this thread computes with float32: a library may switch it to treat numbers below 2^−126 as
//! zero, or to round otherwise, and what is compared afterwards would be compared wrongly.

/// Rounding to nearest, numbers below 2^−126 as they are, as every process begins (System V ABI,
/// AMD64 supplement, 3.2.3: MXCSR is 0x1F80; AArch64: FPCR is 0).
#[expect(unsafe_code, reason = "the register has no function of its own")]
pub fn restore() {
    #[cfg(target_arch = "x86_64")]
    {
        let mode: u32 = 0x1f80;
        // SAFETY: the value is the one that a process begins with; no exception is unmasked.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const mode, options(nostack)) }
    }
    #[cfg(target_arch = "aarch64")]
    {
        // SAFETY: as above.
        unsafe { std::arch::asm!("msr fpcr, {}", in(reg) 0u64, options(nostack)) }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use std::hint::black_box;

    #[test]
    #[expect(unsafe_code, reason = "does what a library might do")]
    fn small_numbers_are_numbers_again() {
        let is_zero = || black_box(f32::from_bits(1)) * black_box(1.0) == 0.0;
        assert!(!is_zero());
        let flush_to_zero: u32 = 0x9fc0;
        // SAFETY: no exception is unmasked.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const flush_to_zero) }
        assert!(is_zero());
        super::restore();
        assert!(!is_zero());
    }
}
