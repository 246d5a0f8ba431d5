//! The specification of both resamplers.

use crate::audio::mix::cut;

/// `ratio` outputs for each window of `input`, one per phase; the phases' taps
/// lie in the order of time, as the windows do.
///
/// # Panics
/// When `input` is not one phase, less one sample, longer than the frame.
pub fn up<const T: usize, const R: usize>(
    output: &mut [i16],
    input: &[i16],
    phases: &[[i16; T]; R],
) {
    assert_eq!((input.len() + 1 - T) * R, output.len());
    for (output, window) in output.chunks_exact_mut(R).zip(input.windows(T)) {
        for (output, taps) in output.iter_mut().zip(phases) {
            let products = window.iter().zip(taps);
            let sum: i32 = products
                .map(|(&x, &tap)| i32::from(x) * i32::from(tap))
                .sum();
            *output = cut((sum + (1 << 13)) >> 14);
        }
    }
}

/// One output for each window of `input`; windows are `ratio` samples apart.
///
/// # Panics
/// When `input` is not all taps, less `ratio` samples, longer than the frame.
pub fn down(output: &mut [i16], input: &[i16], taps: &[i16], ratio: usize) {
    assert_eq!(input.len() + ratio - taps.len(), output.len() * ratio);
    for (output, window) in output
        .iter_mut()
        .zip(input.windows(taps.len()).step_by(ratio))
    {
        let products = window.iter().zip(taps);
        let sum: i64 = products
            .map(|(&x, &tap)| i64::from(x) * i64::from(tap))
            .sum();
        *output = cut(((sum + (1 << 15)) >> 16) as i32);
    }
}

/// What [`down`] says, for machines without a level of their own: eight lanes
/// of 32 bits, which the taps' lane sums allow and compilers know how to use.
pub(super) fn down_in_lanes(output: &mut [i16], input: &[i16], taps: &[i16], ratio: usize) {
    assert_eq!(input.len() + ratio - taps.len(), output.len() * ratio);
    let taps = taps.as_chunks::<8>().0;
    for (n, output) in output.iter_mut().enumerate() {
        let window = input[n * ratio..].as_chunks::<8>().0;
        let mut lanes = [0_i32; 8];
        for (samples, taps) in window.iter().zip(taps) {
            for lane in 0..8 {
                lanes[lane] += i32::from(samples[lane]) * i32::from(taps[lane]);
            }
        }
        let sum: i64 = lanes.iter().copied().map(i64::from).sum();
        *output = cut(((sum + (1 << 15)) >> 16) as i32);
    }
}
