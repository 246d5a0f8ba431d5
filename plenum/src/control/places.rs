//! The media plane as the application sees it.

use plenum_abi::{Nanos, TransportConfig, VideoConfig};
use plenum_app::{Counters, Place, Places, Reach, VideoCounters};
use plenum_link::{Link, Slot, Slots};

use crate::channel::WorkerPlace;

/// Slots and what runs in them.
pub(super) struct MediaPlaces<'a> {
    pub(super) link: &'a Link,
    pub(super) slots: &'a mut Slots,
    pub(super) workers: &'a [WorkerPlace],
    pub(super) fingerprint: [u8; 32],
}

pub(super) const fn slot(place: Place) -> Slot {
    Slot {
        worker: place.worker,
        slot: place.slot,
        generation: place.generation,
    }
}

pub(super) const fn place(slot: Slot) -> Place {
    Place {
        worker: slot.worker,
        slot: slot.slot,
        generation: slot.generation,
    }
}

impl Places for MediaPlaces<'_> {
    fn take_conference(&mut self, now: Nanos) -> Option<Place> {
        self.slots.take_conference(now).map(place)
    }

    fn take_leg(&mut self, worker: u32, now: Nanos) -> Option<Place> {
        self.slots.take_leg(worker, now).map(place)
    }

    fn give_back_conference(&mut self, place: Place, now: Nanos) {
        self.slots.give_back_conference(slot(place), now);
    }

    fn give_back_leg(&mut self, place: Place, now: Nanos) {
        self.slots.give_back_leg(slot(place), now);
    }

    fn take_video(&mut self, worker: u32, now: Nanos) -> Option<Place> {
        self.slots.take_video(worker, now).map(place)
    }

    fn give_back_video(&mut self, place: Place, now: Nanos) {
        self.slots.give_back_video(slot(place), now);
    }

    fn reach(&self, worker: u32) -> Option<Reach> {
        let worker = self.workers.get(worker as usize)?;
        (!worker.candidates.is_empty()).then(|| Reach {
            fingerprint: self.fingerprint,
            addresses: worker.candidates.clone(),
        })
    }

    fn rtp_port(&self, place: Place) -> u16 {
        let worker = self.workers.get(place.worker as usize);
        let port = worker.and_then(|worker| worker.rtp_ports.get(place.slot as usize));
        port.copied().unwrap_or(0)
    }

    fn video_rtp_port(&self, place: Place) -> u16 {
        let worker = self.workers.get(place.worker as usize);
        let port = worker.and_then(|worker| worker.video_rtp_ports.get(place.slot as usize));
        port.copied().unwrap_or(0)
    }

    fn counters(&self, place: Place) -> Option<Counters> {
        let counters = self.link.counters(slot(place))?;
        Some(Counters {
            rx_packets: counters.rx_packets,
            rx_bytes: counters.rx_bytes,
            rx_lost: counters.rx_lost,
            rx_jitter_us: counters.rx_jitter_us,
            rx_codec: counters.rx_codec,
            tx_packets: counters.tx_packets,
            tx_bytes: counters.tx_bytes,
            tx_loss_fraction: counters.tx_loss_fraction,
            tx_jitter_us: counters.tx_jitter_us,
            round_trip_us: counters.round_trip_us,
            last_received: counters.last_received,
        })
    }

    fn video_counters(&self, place: Place) -> Option<VideoCounters> {
        let counters = self.link.video_counters(slot(place))?;
        Some(VideoCounters {
            rx_packets: counters.rx_packets,
            rx_bytes: counters.rx_bytes,
            rx_lost: counters.rx_lost,
            rx_jitter_us: counters.rx_jitter_us,
            rx_frames: counters.rx_frames,
            rx_size: counters.rx_size,
            rx_codec: counters.rx_codec,
            rx_decoder_crashes: counters.rx_decoder_crashes,
            tx_bytes: counters.tx_bytes,
            tx_frames: counters.tx_frames,
            tx_size: counters.tx_size,
            tx_allowed_bps: counters.tx_allowed_bps,
            tx_loss_fraction: counters.tx_loss_fraction,
            tx_jitter_us: counters.tx_jitter_us,
            round_trip_us: counters.round_trip_us,
            last_received: counters.last_received,
        })
    }

    fn revision(&self, place: Place) -> Option<u64> {
        Some(self.link.live_leg(slot(place))?.revision)
    }

    fn running_transport(&self, place: Place) -> Option<TransportConfig> {
        self.link.live_transport(slot(place))
    }

    fn running_video(&self, place: Place) -> Option<VideoConfig> {
        self.link.live_video(slot(place))
    }

    fn look_revision(&self, place: Place) -> Option<u64> {
        self.link.look_revision(slot(place))
    }

    fn label_revision(&self, place: Place) -> Option<u64> {
        self.link.label_revision(slot(place))
    }

    fn conference_revision(&self, place: Place) -> Option<u64> {
        Some(self.link.live_conference(slot(place))?.revision)
    }
}
