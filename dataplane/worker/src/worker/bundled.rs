//! Pictures of browsers: streams that share their leg's transport.

use plenum_abi::{RejectReason, VideoConfig, VideoFlags};
use plenum_rtp::packet::header_extension;

use super::Worker;
use super::pictures::Pictures;
use crate::transports::Bundle;
use crate::video::{VideoInbound, VideoStream};

impl Worker {
    /// What a stream gets of its leg's transport: `None` when it has sockets of its own.
    pub(super) fn bundle_of_stream(
        &self,
        config: &VideoConfig,
    ) -> Result<Option<Bundle>, RejectReason> {
        if !config.flags().contains(VideoFlags::BUNDLED) {
            return Ok(None);
        }
        let transports = self.transports.as_ref().ok_or(RejectReason::Resource)?;
        let bundle = transports.bundle(config.leg.slot, config.leg.generation);
        bundle.map(Some).ok_or(RejectReason::WrongGeneration)
    }

    /// A leg's transport has other keys or another path: so have its streams.
    pub(super) fn tell_streams(&mut self, leg: u32, bundle: Bundle) {
        let now = plenum_uring::now();
        let mut told = false;
        for slot in self.pictures.of_leg(leg) {
            let stream = self.pictures.streams[slot as usize].as_mut();
            if let (Some(stream), Some(record)) = (stream, self.view.video_stream(slot)) {
                stream.set_bundle(now, bundle, record, &self.driver, &mut self.rng);
                told = true;
            }
        }
        if told {
            self.say_leg(leg);
        }
    }

    /// Takes a packet of a bundle, if it is one of the leg's streams of pictures.
    pub(super) fn on_bundled_picture(
        &mut self,
        leg: u32,
        mut inbound: VideoInbound,
    ) -> Result<(), VideoInbound> {
        let bytes = self.driver.bytes(&inbound.lease);
        let transports = self.transports.as_ref();
        let mid_id = transports.map_or(0, |all| all.mid_id(leg));
        let slots = self.pictures.of_leg(leg);
        let streams = slots.filter_map(|slot| Some((slot, self.pictures.stream(slot)?)));
        let Some(slot) = demultiplex(bytes, mid_id, &streams) else {
            return Err(inbound);
        };
        let rid_ids = transports.map_or([0; 2], |all| all.rid_ids(leg));
        if let Some(stream) = self.pictures.stream(slot) {
            inbound.carries = stream.named_in(bytes, rid_ids);
        }
        let counted = header_extension(bytes, transports.map_or(0, |all| all.transport_cc_id(leg)));
        let sequence = counted.and_then(|bytes| bytes.first_chunk().copied());
        let now = inbound.now;
        let opened = |pictures: &Pictures| pictures.stream(slot).map(VideoStream::opened);
        let before = opened(&self.pictures);
        self.at_stream(slot, inbound, VideoStream::on_datagram);
        // Only what is authentic is told of.
        if let Some(sequence) = sequence
            && opened(&self.pictures) != before
        {
            self.pictures
                .note_arrival(leg, now, u16::from_be_bytes(sequence));
        }
        Ok(())
    }

    /// Takes reports of a bundle with streams of pictures. They may be about any of
    /// its streams, and are opened once: by the first.
    pub(super) fn on_bundled_reports(
        &mut self,
        leg: u32,
        inbound: VideoInbound,
    ) -> Result<(), VideoInbound> {
        let Some(first) = self.pictures.of_leg(leg).next() else {
            return Err(inbound);
        };
        let opened = self.at_stream(first, inbound, VideoStream::open_reports);
        let Some(opened) = opened.flatten() else {
            return Ok(());
        };
        for slot in self.pictures.of_leg(leg) {
            let opened = &opened;
            self.beside_stream(slot, |stream, record, inlet| {
                stream.on_compound(opened, record, inlet);
            });
        }
        let bandwidth = self.pictures.bandwidth.get_mut(leg as usize);
        if let Some(Some(bandwidth)) = bandwidth {
            bandwidth.on_reports(opened.now, self.driver.bytes(&opened.lease));
        }
        if let Some(Some(leg)) = self.legs.get_mut(leg as usize) {
            let bytes = self.driver.bytes(&opened.lease);
            leg.on_opened_reports(opened.now, bytes);
        }
        self.driver.release(opened.lease);
        Ok(())
    }
}

/// Whose a packet of a bundle is (RFC 8843 section 9.2): the stream's that it names, or
/// under whose SSRC others came, or that has its payload type.
fn demultiplex<'a>(
    packet: &[u8],
    mid_id: u8,
    streams: &(impl Iterator<Item = (u32, &'a VideoStream)> + Clone),
) -> Option<u32> {
    let first = |wanted: &dyn Fn(&VideoStream) -> bool| {
        let mut streams = streams.clone();
        streams
            .find(|(_, stream)| wanted(stream))
            .map(|(slot, _)| slot)
    };
    let mid = header_extension(packet, mid_id);
    let named = mid.and_then(|mid| {
        first(&|stream| {
            let (tag, rest) = stream.config.mid.split_at(mid.len().min(6));
            mid == tag && !mid.is_empty() && rest.iter().all(|byte| *byte == 0)
        })
    });
    let ssrc = packet.get(8..12)?.first_chunk().copied()?;
    let known = || first(&|stream| stream.knows(u32::from_be_bytes(ssrc)));
    let payload_type = packet[1] & 0x7f;
    let typed = || {
        first(&|stream| {
            let config = &stream.config;
            config.rx_payload(payload_type).is_some() || config.rx_repaired(payload_type).is_some()
        })
    };
    named.or_else(known).or_else(typed)
}
