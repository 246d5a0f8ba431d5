//! What comes of time: session timers (RFC 4028), reliable provisional answers,
//! and ends that the far end does not confirm.

use std::time::Duration;

use rsipstack::sip::{Headers, Method, Request};
use tokio::time::Instant;

use super::leg::{Leg, Phase, Reliable};
use super::{Purpose, UserAgent, unix_now};
use crate::message::{self, Extra};
use crate::{Cause, DialogKey, SessionTimer};

/// A refresh that failed is tried again after so long.
const REFRESH_AGAIN: Duration = Duration::from_secs(3);

impl Leg {
    /// The answer is repeated until its PRACK comes.
    pub(super) fn wait_for_prack(&mut self, response: rsipstack::sip::Response, t1: Duration) {
        self.last_rseq += 1;
        let now = Instant::now();
        self.reliable = Some(Reliable {
            number: self.last_rseq,
            response,
            next: now + t1,
            interval: t1,
            until: now + t1 * 64,
        });
    }

    fn next_due(&self) -> Option<Instant> {
        let reliable = self.reliable.as_ref().map(|r| r.next.min(r.until));
        [self.give_up_at, reliable, self.refresh_at, self.expires_at]
            .into_iter()
            .flatten()
            .min()
    }
}

/// Session-Expires: the interval and who refreshes, where said.
fn session_expires(headers: &Headers) -> Option<(u32, Option<bool>)> {
    let value = message::header(headers, "Session-Expires")?;
    let (seconds, params) = value.split_once(';').unwrap_or((value, ""));
    let caller_refreshes = match message::param(params, "refresher") {
        Some(who) if who.eq_ignore_ascii_case("uac") => Some(true),
        Some(who) if who.eq_ignore_ascii_case("uas") => Some(false),
        _ => None,
    };
    Some((seconds.trim().parse().ok()?, caller_refreshes))
}

impl UserAgent {
    /// Puts the leg into the queue for whatever is due next.
    pub(super) fn arm(&mut self, key: DialogKey) {
        let limit = self.net.config.timers.t1 * 64;
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        match leg.phase {
            Phase::Ending(_) => {
                // The transaction tells first; this is for when it cannot.
                leg.give_up_at
                    .get_or_insert_with(|| Instant::now() + limit + limit / 4);
                leg.refresh_at = None;
                leg.expires_at = None;
            }
            Phase::Established => {
                let timer = leg.dialog.session_timer;
                let age = unix_now().saturating_sub(leg.dialog.refreshed_at_unix_s);
                let left = |after: u32| {
                    Instant::now() + Duration::from_secs(u64::from(after).saturating_sub(age))
                };
                leg.refresh_at = timer
                    .filter(|timer| timer.we_refresh && leg.asking.is_none())
                    .map(|timer| left(timer.interval_s / 2));
                // RFC 4028 section 10: a third before the end, at most 32 s.
                leg.expires_at =
                    timer.map(|timer| left(timer.interval_s - (timer.interval_s / 3).min(32)));
            }
            _ => {
                leg.refresh_at = None;
                leg.expires_at = None;
            }
        }
        let due = leg.next_due();
        if leg.due == due {
            return;
        }
        if let Some(old) = leg.due.take() {
            self.due.remove(&(old, key));
        }
        if let Some(new) = due {
            leg.due = Some(new);
            self.due.insert((new, key));
        }
    }

    /// Does what is due.
    pub(super) fn tick(&mut self) {
        let now = Instant::now();
        while let Some((when, key)) = self.due.first().copied() {
            if when > now {
                return;
            }
            self.due.pop_first();
            if let Some(leg) = self.legs.get_mut(&key) {
                leg.due = None;
                self.leg_due(key, now);
            }
        }
    }

    fn leg_due(&mut self, key: DialogKey, now: Instant) {
        let t2 = self.net.config.timers.t2;
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let passed = |when: Option<Instant>| when.is_some_and(|when| when <= now);
        if passed(leg.give_up_at) {
            let cause = match leg.phase {
                Phase::Ending(cause) => cause,
                // CANCEL was not followed by anything.
                Phase::Calling => Cause::Local,
                _ => Cause::Timeout,
            };
            return self.end(key, cause);
        }
        if let Some(reliable) = &mut leg.reliable {
            if reliable.until <= now {
                // RFC 3262 section 3: nobody confirmed it.
                self.finish_incoming(key, 504, Extra::default());
                return self.end(key, Cause::Timeout);
            }
            if reliable.next <= now {
                let response = reliable.response.clone();
                reliable.interval = (reliable.interval * 2).min(t2.max(reliable.interval));
                reliable.next = now + reliable.interval;
                if let Some(answering) = &leg.answering {
                    answering.transaction.answer(response);
                }
            }
        }
        if passed(leg.expires_at) {
            return self.bye(key, Cause::SessionExpired, "the session expired");
        }
        if passed(leg.refresh_at) {
            return self.refresh(key);
        }
        self.arm(key);
    }

    fn refresh(&mut self, key: DialogKey) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        if leg.answering.is_some() || leg.asking.is_some() {
            // Whatever goes on refreshes the session too, or its end is near.
            return self.refresh_again(key);
        }
        leg.refresh_at = None;
        if leg.dialog.peer_allows_update {
            let extra = self.session_wish(key).with("Supported", "timer");
            let body = Vec::new();
            self.send_within(key, Method::Update, Purpose::Refresh, extra, "", body);
            self.wait_for_refresh(key);
        } else {
            let sdp = leg.dialog.local_sdp.clone();
            self.send_reinvite(key, sdp, true);
        }
    }

    /// A refresh failed: it is tried again until the session ends.
    pub(super) fn refresh_again(&mut self, key: DialogKey) {
        self.arm(key);
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        if leg.refresh_at.is_none() {
            return;
        }
        leg.refresh_at = Some(Instant::now() + REFRESH_AGAIN);
        if let Some(old) = leg.due.take() {
            self.due.remove(&(old, key));
        }
        leg.due = leg.next_due();
        if let Some(due) = leg.due {
            self.due.insert((due, key));
        }
    }

    /// While a refresh is out only the end of the session is due.
    fn wait_for_refresh(&mut self, key: DialogKey) {
        if let Some(leg) = self.legs.get_mut(&key)
            && let Some(expires) = leg.expires_at
        {
            if let Some(old) = leg.due.replace(expires) {
                self.due.remove(&(old, key));
            }
            self.due.insert((expires, key));
        }
    }

    /// 422's headers, where a wish is below our minimum.
    pub(super) fn session_too_small(&self, headers: &Headers) -> Option<Extra> {
        let minimum = self.net.config.min_session_expires_s;
        let (seconds, _) = session_expires(headers)?;
        // Who does not know the timer would not understand 422 (section 9).
        let knows = message::lists(headers, "Supported", "timer")
            || message::lists(headers, "Require", "timer");
        (seconds < minimum && knows).then(|| Extra::default().with("Min-SE", minimum.to_string()))
    }

    /// Session-Expires for a request of ours.
    pub(super) fn session_wish(&self, key: DialogKey) -> Extra {
        let config = &self.net.config;
        let leg = self.legs.get(&key);
        let least = leg.and_then(|leg| leg.min_se).unwrap_or(0);
        let least = least.max(config.min_session_expires_s);
        let agreed = leg.and_then(|leg| leg.dialog.session_timer);
        let seconds = agreed.map_or(config.session_expires_s, |timer| timer.interval_s);
        let seconds = seconds.max(least);
        let value = match agreed {
            Some(timer) if timer.we_refresh => format!("{seconds};refresher=uac"),
            Some(_) => format!("{seconds};refresher=uas"),
            None => seconds.to_string(),
        };
        Extra::default()
            .with("Session-Expires", value)
            .with("Min-SE", least.to_string())
    }

    /// Agrees on the session timer as the one that is asked (section 9), and counts
    /// as a refresh. Gives the headers of the 2xx.
    pub(super) fn agree_session(&mut self, key: DialogKey, request: &Request) -> Extra {
        let config = &self.net.config;
        let headers = &request.headers;
        let knows = message::lists(headers, "Supported", "timer")
            || message::lists(headers, "Require", "timer");
        let wish = session_expires(headers);
        let least = message::header(headers, "Min-SE")
            .and_then(|value| value.split(';').next()?.trim().parse().ok())
            .unwrap_or(0);
        let least = config.min_session_expires_s.max(least);
        let seconds = match wish {
            Some((seconds, _)) => seconds.max(least),
            None => config.session_expires_s.max(least),
        };
        let caller_refreshes = match wish {
            _ if !knows => false,
            Some((_, Some(caller))) => caller,
            _ => true,
        };
        if let Some(leg) = self.legs.get_mut(&key) {
            leg.dialog.session_timer = Some(SessionTimer {
                interval_s: seconds,
                we_refresh: !caller_refreshes,
            });
            leg.dialog.refreshed_at_unix_s = unix_now();
        }
        let who = if caller_refreshes { "uac" } else { "uas" };
        let extra = Extra::default().with("Session-Expires", format!("{seconds};refresher={who}"));
        match knows && caller_refreshes {
            true => extra.with("Require", "timer"),
            false => extra,
        }
    }

    /// Takes the session timer from a 2xx to a request of ours (section 7.2).
    pub(super) fn take_session(&mut self, key: DialogKey, headers: &Headers) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let wished = self.net.config.session_expires_s;
        leg.dialog.session_timer = Some(match session_expires(headers) {
            Some((interval_s, caller_refreshes)) => SessionTimer {
                interval_s: interval_s.max(self.net.config.min_session_expires_s),
                we_refresh: caller_refreshes.unwrap_or(true),
            },
            // The far end does not know the timer: we keep watch alone.
            None => SessionTimer {
                interval_s: wished,
                we_refresh: true,
            },
        });
        leg.dialog.refreshed_at_unix_s = unix_now();
    }
}
