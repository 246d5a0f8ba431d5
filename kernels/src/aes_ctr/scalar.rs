//! The reference, by the book (FIPS 197): slow, its timing tells the key, and
//! for tests only.

fn double(a: u8) -> u8 {
    a << 1 ^ if a & 0x80 == 0 { 0 } else { 0x1b }
}

/// The product in GF(2^8) (section 4.2).
fn multiply(a: u8, b: u8) -> u8 {
    let (mut sum, mut a) = (0, a);
    for bit in 0..8 {
        if b >> bit & 1 == 1 {
            sum ^= a;
        }
        a = double(a);
    }
    sum
}

/// The S-box (section 5.1.1): the inverse, which is the 254th power, and an
/// affine map.
fn substitute(a: u8) -> u8 {
    let inverse = (0..254).fold(1, |power, _| multiply(power, a));
    let rotations = (1..5).map(|by| inverse.rotate_left(by));
    rotations.fold(inverse ^ 0x63, |sum, rotated| sum ^ rotated)
}

/// The key schedule (section 5.2), as words of four bytes.
fn expand(key: &[u8]) -> Vec<[u8; 4]> {
    let mut words: Vec<[u8; 4]> = key.as_chunks().0.to_vec();
    let (in_key, mut round_constant) = (words.len(), 1);
    for i in in_key..4 * (in_key + 7) {
        let mut word = words[i - 1];
        if i % in_key == 0 {
            word.rotate_left(1);
            word = word.map(substitute);
            word[0] ^= round_constant;
            round_constant = double(round_constant);
        } else if in_key > 6 && i % in_key == 4 {
            word = word.map(substitute);
        }
        let before = words[i - in_key];
        words.push(core::array::from_fn(|at| word[at] ^ before[at]));
    }
    words
}

/// One block (section 5.1). Byte `4 * column + row`.
pub(super) fn encrypt(key: &[u8], block: [u8; 16]) -> [u8; 16] {
    let words = expand(key);
    let (round_keys, _) = words.as_flattened().as_chunks::<16>();
    let add = |state: [u8; 16], round: usize| -> [u8; 16] {
        core::array::from_fn(|at| state[at] ^ round_keys[round][at])
    };
    let last = round_keys.len() - 1;
    let mut state = add(block, 0);
    for round in 1..=last {
        let bytes = state.map(substitute);
        let shifted: [u8; 16] = core::array::from_fn(|at| bytes[(at + 4 * (at % 4)) % 16]);
        let mixed: [u8; 16] = core::array::from_fn(|at| {
            let column = &shifted[at / 4 * 4..][..4];
            let of = |step: usize| column[(at + step) % 4];
            double(of(0)) ^ double(of(1)) ^ of(1) ^ of(2) ^ of(3)
        });
        state = add(if round == last { shifted } else { mixed }, round);
    }
    state
}

/// Adds the key stream that begins with `first` to `data`.
pub(super) fn apply(key: &[u8], first: &[u8; 16], data: &mut [u8]) {
    let mut block = *first;
    for chunk in data.chunks_mut(16) {
        for (byte, key) in chunk.iter_mut().zip(encrypt(key, block)) {
            *byte ^= key;
        }
        let count = u32::from_be_bytes([block[12], block[13], block[14], block[15]]);
        block[12..].copy_from_slice(&count.wrapping_add(1).to_be_bytes());
    }
}
