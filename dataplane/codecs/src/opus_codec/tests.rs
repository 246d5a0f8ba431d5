use super::*;

/// A SILK packet's first payload byte: voice flags, then the redundancy flag.
#[test]
fn the_redundancy_flag_of_rfc6716_4_2_3() {
    // Wideband SILK of 10, 20, 40 and 60 ms, mono, one frame.
    for (config, flag, samples) in [
        (8, 0x40, 480),
        (9, 0x40, 960),
        (10, 0x20, 1_920),
        (11, 0x10, 2_880),
    ] {
        let toc = config << 3;
        assert_eq!(redundant_samples(&[toc, flag]), Some(samples));
        assert_eq!(redundant_samples(&[toc, !flag]), None);
        // Stereo: the side channel's flags follow the middle's.
        let side = match config {
            8 | 9 => 0x10,
            10 => 0x04,
            _ => 0x01,
        };
        assert_eq!(redundant_samples(&[toc | 4, side]), Some(samples));
        assert_eq!(redundant_samples(&[toc | 4, flag]), Some(samples));
        assert_eq!(redundant_samples(&[toc | 4, !(flag | side)]), None);
    }
    // Hybrid has it, CELT has not.
    assert_eq!(redundant_samples(&[13 << 3, 0x40]), Some(960));
    for config in 16..32 {
        assert_eq!(redundant_samples(&[config << 3, 0xff]), None);
    }
}

#[test]
fn the_first_frame_of_rfc6716_3_2() {
    let toc = 9 << 3;
    assert_eq!(first_frame(toc, &[7]), Some(&[7][..]));
    assert_eq!(first_frame(toc | 1, &[7, 8]), Some(&[7, 8][..]));
    assert_eq!(first_frame(toc | 2, &[1, 7, 8]), Some(&[7][..]));
    let mut long = vec![252, 1];
    long.resize(2 + 256, 9);
    assert_eq!(first_frame(toc | 2, &long).map(<[u8]>::len), Some(256));
    long.pop();
    assert_eq!(first_frame(toc | 2, &long), None);
    // Code 3: constant and variable bit rate, with and without padding.
    assert_eq!(first_frame(toc | 3, &[2, 7, 8]), Some(&[7, 8][..]));
    assert_eq!(first_frame(toc | 3, &[0x42, 255, 3, 7]), Some(&[7][..]));
    assert_eq!(
        first_frame(toc | 3, &[0x83, 1, 2, 7, 8, 8, 9]),
        Some(&[7][..])
    );
    assert_eq!(
        first_frame(toc | 3, &[0xc3, 1, 1, 2, 7, 8, 8, 9]),
        Some(&[7][..])
    );
    assert_eq!(first_frame(toc | 3, &[0x81, 7]), Some(&[7][..]));
    for cut in [&[][..], &[0x42], &[0x42, 255], &[0x83, 1], &[0x82, 9, 1]] {
        let first = first_frame(toc | 3, cut);
        assert_eq!(first, None, "{cut:?}");
    }
}
