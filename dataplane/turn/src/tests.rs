mod asking;
mod passing;

use proptest::prelude::*;

use crate::fuzz::{Step, agrees_with_the_model, survives};

fn step() -> impl Strategy<Value = Step> {
    let client = 0..6_u8;
    let peer = 0..80_u8;
    let channel = 0..24_u8;
    prop_oneof![
        4 => (client.clone(), any::<bool>()).prop_map(|(client, even)| Step::Allocate { client, even }),
        2 => (client.clone(), prop_oneof![Just(0), 1..5_000_u16])
            .prop_map(|(client, lifetime_s)| Step::Refresh { client, lifetime_s }),
        8 => (client.clone(), peer.clone()).prop_map(|(client, peer)| Step::Permit { client, peer }),
        8 => (client.clone(), channel.clone(), peer.clone())
            .prop_map(|(client, channel, peer)| Step::Bind { client, channel, peer }),
        6 => (client.clone(), channel).prop_map(|(client, channel)| Step::OnChannel { client, channel }),
        6 => (client.clone(), peer.clone()).prop_map(|(client, peer)| Step::Indicate { client, peer }),
        6 => (client, peer).prop_map(|(client, peer)| Step::Peer { client, peer }),
        3 => prop_oneof![0..3_u16, 250..400_u16].prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_machine_agrees_with_the_model(steps in proptest::collection::vec(step(), 1..120)) {
        agrees_with_the_model(&steps);
    }

    #[test]
    fn no_datagram_breaks_it(
        datagrams in proptest::collection::vec(
            (0..0x5000_u16, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..80)), 1..40),
    ) {
        let datagrams: Vec<Vec<u8>> = datagrams.into_iter().map(|(kind, framed, mut bytes)| {
            if framed {
                bytes.truncate(bytes.len() / 4 * 4);
                let mut whole = kind.to_be_bytes().to_vec();
                whole.extend((bytes.len() as u16).to_be_bytes());
                whole.extend([0x21, 0x12, 0xa4, 0x42]);
                whole.extend([4; 12]);
                whole.extend(bytes);
                whole
            } else {
                bytes
            }
        }).collect();
        survives(&datagrams);
    }
}
