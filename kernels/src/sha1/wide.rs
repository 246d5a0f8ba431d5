//! The rounds for any width of vector. A message has a lane of its own, so each
//! vector instruction does the same step for all of them.

/// One round (FIPS 180-4 section 6.1.2): the words change places by name.
macro_rules! round {
    ($t:literal, $w:ident, $f:ident, $k:ident, $a:ident $b:ident $c:ident $d:ident $e:ident) => {
        if $t >= 16 {
            let sum = xor(
                xor($w[($t + 13) % 16], $w[($t + 8) % 16]),
                xor($w[($t + 2) % 16], $w[$t % 16]),
            );
            $w[$t % 16] = rotate::<1, 31>(sum);
        }
        let sum = add(add($e, $k), $w[$t % 16]);
        $e = add(add(sum, $f($b, $c, $d)), rotate::<5, 27>($a));
        $b = rotate::<30, 2>($b);
    };
}

/// Rounds by fives, after which every word is in its place again.
macro_rules! rounds {
    (
        $w:ident, $f:ident, $k:ident, [$a:ident $b:ident $c:ident $d:ident $e:ident],
        $t:literal $u:literal $v:literal $x:literal $y:literal $($rest:literal)*
    ) => {
        round!($t, $w, $f, $k, $a $b $c $d $e);
        round!($u, $w, $f, $k, $e $a $b $c $d);
        round!($v, $w, $f, $k, $d $e $a $b $c);
        round!($x, $w, $f, $k, $c $d $e $a $b);
        round!($y, $w, $f, $k, $b $c $d $e $a);
        rounds!($w, $f, $k, [$a $b $c $d $e], $($rest)*);
    };
    ($w:ident, $f:ident, $k:ident, [$($state:ident)+],) => {};
}

/// The eighty rounds of one block. `$w` are the block's sixteen words, a lane to
/// a message; `$state` its five, which are replaced. `add`, `xor`, `choose`,
/// `parity`, `majority`, `rotate` and `splat` are the caller's, for its width.
macro_rules! eighty_rounds {
    ($w:ident, $state:ident) => {{
        let [mut a, mut b, mut c, mut d, mut e] = $state;
        let k = splat(0x5a82_7999);
        rounds!($w, choose, k, [a b c d e], 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
        let k = splat(0x6ed9_eba1);
        rounds!($w, parity, k, [a b c d e], 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);
        let k = splat(0x8f1b_bcdc);
        rounds!($w, majority, k, [a b c d e], 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59);
        let k = splat(0xca62_c1d6);
        rounds!($w, parity, k, [a b c d e], 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79);
        $state = [
            add($state[0], a),
            add($state[1], b),
            add($state[2], c),
            add($state[3], d),
            add($state[4], e),
        ];
    }};
}

pub(super) use {eighty_rounds, round, rounds};
