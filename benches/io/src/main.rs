//! Throw-away first measurement.
#![allow(missing_docs, clippy::all)]
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use std::mem::{size_of, zeroed};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

const PAYLOAD: usize = 172;
const SLOT: usize = 2048;
const BUFS: u16 = 4096;

fn now() -> u64 { clock(libc::CLOCK_MONOTONIC) }
fn cpu() -> u64 { clock(libc::CLOCK_THREAD_CPUTIME_ID) }
fn clock(c: i32) -> u64 {
    unsafe {
        let mut t: libc::timespec = zeroed();
        libc::clock_gettime(c, &mut t);
        t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
    }
}
fn pin(core: usize, rt: bool) {
    unsafe {
        let mut s: libc::cpu_set_t = zeroed();
        libc::CPU_SET(core, &mut s);
        assert_eq!(libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &s), 0);
        libc::prctl(libc::PR_SET_TIMERSLACK, 1u64);
        if rt {
            let p = libc::sched_param { sched_priority: 10 };
            if libc::sched_setscheduler(0, libc::SCHED_FIFO, &p) != 0 { eprintln!("no FIFO"); }
        }
    }
}
fn udp() -> (i32, libc::sockaddr_in) {
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0);
        assert!(fd >= 0);
        let mut a: libc::sockaddr_in = zeroed();
        a.sin_family = libc::AF_INET as _;
        a.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
        let mut l = size_of::<libc::sockaddr_in>() as u32;
        assert_eq!(libc::bind(fd, &a as *const _ as _, l), 0);
        libc::getsockname(fd, &mut a as *mut _ as _, &mut l);
        let b: i32 = 1 << 20;
        libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, &b as *const _ as _, 4);
        libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, &b as *const _ as _, 4);
        (fd, a)
    }
}
fn connect(fd: i32, a: &libc::sockaddr_in) {
    unsafe { assert_eq!(libc::connect(fd, a as *const _ as _, size_of::<libc::sockaddr_in>() as u32), 0); }
}
fn drop_all(fd: i32) {
    unsafe {
        let mut f = libc::sock_filter { code: 6, jt: 0, jf: 0, k: 0 };
        let p = libc::sock_fprog { len: 1, filter: &mut f };
        assert_eq!(libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &p as *const _ as _, size_of::<libc::sock_fprog>() as u32), 0);
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Rx { Uring { defer: bool, fixed: bool, coalesce_us: u32 }, EpollLt, EpollEt, EpollMmsg, EpollNap(u64), Sweep }
#[derive(Clone, Copy, PartialEq, Debug)]
enum Tx { SendTo, Send, SendMmsg, UringSend, UringSendMsg, UringSendConn, UringSendSkip }
#[derive(Clone, Copy)]
struct V { name: &'static str, rx: Rx, tx: Tx, connected: bool, shared: bool }

struct BufRing { base: *mut types::BufRingEntry, mem: *mut u8, tail: u16 }
impl BufRing {
    fn new(ring: &IoUring) -> Self {
        unsafe {
            let len = BUFS as usize * 16;
            let base = libc::mmap(std::ptr::null_mut(), len, 3, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) as *mut types::BufRingEntry;
            let mem = libc::mmap(std::ptr::null_mut(), BUFS as usize * SLOT, 3, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) as *mut u8;
            libc::madvise(mem as _, BUFS as usize * SLOT, libc::MADV_HUGEPAGE);
            ring.submitter().register_buf_ring(base as u64, BUFS, 0).unwrap();
            let mut s = Self { base, mem, tail: 0 };
            for b in 0..BUFS { s.give(b); }
            s.publish();
            s
        }
    }
    fn give(&mut self, bid: u16) {
        unsafe {
            let e = &mut *self.base.add((self.tail & (BUFS - 1)) as usize);
            e.set_addr(self.mem.add(bid as usize * SLOT) as u64);
            e.set_len(SLOT as u32);
            e.set_bid(bid);
        }
        self.tail = self.tail.wrapping_add(1);
    }
    fn publish(&mut self) {
        unsafe { (*(types::BufRingEntry::tail(self.base) as *const std::sync::atomic::AtomicU16)).store(self.tail, Release); }
    }
}

fn run(v: V, n: usize, secs: f64, gap_legs: usize, rt: bool, lat: &mut Vec<u32>) -> (f64, f64, f64, f64, f64) {
    // sockets
    let nw = if v.shared { 1 } else { n };
    let ws: Vec<_> = (0..nw).map(|_| udp()).collect();
    let gs: Vec<_> = (0..n).map(|_| udp()).collect();
    for i in 0..n {
        drop_all(gs[i].0);
        connect(gs[i].0, &ws[i % nw].1);
        if v.connected { connect(ws[i].0, &gs[i].1); }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let gsum = Arc::new(AtomicU64::new(0));
    let gcnt = Arc::new(AtomicU64::new(0));
    let gen_fds: Vec<i32> = gs.iter().map(|g| g.0).collect();
    let dests: Vec<libc::sockaddr_in> = gs.iter().map(|g| g.1).collect();
    let t = {
        let (stop, gsum, gcnt) = (stop.clone(), gsum.clone(), gcnt.clone());
        std::thread::spawn(move || {
            pin(1, rt);
            let interval = 20_000_000 / gap_legs as u64;
            let mut next = now();
            let mut k = 0usize;
            let mut pkt = [0u8; PAYLOAD];
            while !stop.load(Relaxed) {
                let mut t = now();
                while t < next { std::hint::spin_loop(); t = now(); }
                if t > next + 50_000_000 { next = t; }
                next += interval;
                pkt[..8].copy_from_slice(&t.to_le_bytes());
                let leg = (k * 7919) % n;
                k += 1;
                unsafe { libc::send(gen_fds[leg], pkt.as_ptr() as _, PAYLOAD, 0); }
                gsum.fetch_add(now() - t, Relaxed);
                gcnt.fetch_add(1, Relaxed);
            }
        })
    };
    let res = std::thread::scope(|s| s.spawn(|| worker(v, n, secs, &ws, &dests, rt, lat, &gsum, &gcnt)).join().unwrap());
    stop.store(true, Relaxed);
    t.join().unwrap();
    for (fd, _) in ws.iter().chain(&gs) { unsafe { libc::close(*fd); } }
    res
}

fn worker(v: V, n: usize, secs: f64, ws: &[(i32, libc::sockaddr_in)], dests: &[libc::sockaddr_in], rt: bool, lat: &mut Vec<u32>, gsum: &AtomicU64, gcnt: &AtomicU64) -> (f64, f64, f64, f64, f64) {
    pin(0, rt);
    let uring_rx = matches!(v.rx, Rx::Uring { .. });
    let (defer, fixed, coalesce) = match v.rx { Rx::Uring { defer, fixed, coalesce_us } => (defer, fixed, coalesce_us), _ => (true, true, 0) };
    let uring_tx = matches!(v.tx, Tx::UringSend | Tx::UringSendMsg | Tx::UringSendConn | Tx::UringSendSkip);
    let mut ring: Option<IoUring> = None;
    let mut bufs = None;
    let mut mh: libc::msghdr = unsafe { zeroed() };
    mh.msg_namelen = if v.connected { 0 } else { 16 };
    if uring_rx || uring_tx {
        let mut b = IoUring::builder();
        b.setup_cqsize(16384).setup_submit_all().setup_clamp();
        if defer { b.setup_single_issuer().setup_defer_taskrun(); }
        let mut r = b.build(1024).unwrap();
        if fixed { let fds: Vec<i32> = ws.iter().map(|w| w.0).collect(); r.submitter().register_files(&fds).unwrap(); }
        if uring_rx {
            bufs = Some(BufRing::new(&r));
            for (i, w) in ws.iter().enumerate() {
                let e = match (v.connected, fixed) {
                    (false, true) => opcode::RecvMsgMulti::new(types::Fixed(i as u32), &mh, 0).build(),
                    (false, false) => opcode::RecvMsgMulti::new(types::Fd(w.0), &mh, 0).build(),
                    (true, true) => opcode::RecvMulti::new(types::Fixed(i as u32), 0).build(),
                    (true, false) => opcode::RecvMulti::new(types::Fd(w.0), 0).build(),
                }.user_data(i as u64);
                if unsafe { r.submission().push(&e) }.is_err() { r.submit().unwrap(); unsafe { r.submission().push(&e).unwrap(); } }
            }
            r.submit().unwrap();
        }
        ring = Some(r);
    }
    let (once, coalesce) = if coalesce >= 10_000_000 { (true, coalesce - 10_000_000) } else { (false, coalesce) };
    let mut abs = types::Timespec::new();
    fn arm(r: &mut IoUring, abs: &mut types::Timespec, t: u64) {
        *abs = types::Timespec::new().sec(t / 1_000_000_000).nsec((t % 1_000_000_000) as u32);
        let e = opcode::Timeout::new(abs).flags(types::TimeoutFlags::ABS).build().user_data(2 << 32);
        unsafe { r.submission().push(&e).unwrap(); }
        r.submit().unwrap();
    }
    let ep = unsafe { libc::epoll_create1(0) };
    if !uring_rx {
        for (i, w) in ws.iter().enumerate() {
            let mut e = libc::epoll_event { events: (libc::EPOLLIN | if v.rx == Rx::EpollEt || v.rx == Rx::EpollMmsg { libc::EPOLLET } else { 0 }) as u32, u64: i as u64 };
            unsafe { libc::epoll_ctl(ep, libc::EPOLL_CTL_ADD, w.0, &mut e); }
        }
    }
    // memory
    const M: usize = 64;
    let mut rbuf = vec![0u8; M * SLOT];
    let mut names: Vec<libc::sockaddr_in> = vec![unsafe { zeroed() }; M];
    let mut iov: Vec<libc::iovec> = (0..M).map(|i| libc::iovec { iov_base: unsafe { rbuf.as_mut_ptr().add(i * SLOT) } as _, iov_len: SLOT }).collect();
    let mut mm: Vec<libc::mmsghdr> = (0..M).map(|i| unsafe { let mut m: libc::mmsghdr = zeroed(); m.msg_hdr.msg_name = &mut names[i] as *mut _ as _; m.msg_hdr.msg_namelen = 16; m.msg_hdr.msg_iov = &mut iov[i]; m.msg_hdr.msg_iovlen = 1; m }).collect();
    let mut tbuf = vec![0u8; n * SLOT];
    let mut tiov: Vec<libc::iovec> = (0..n).map(|i| libc::iovec { iov_base: unsafe { tbuf.as_mut_ptr().add(i * SLOT) } as _, iov_len: PAYLOAD }).collect();
    let mut tmm: Vec<libc::mmsghdr> = (0..n).map(|i| unsafe { let mut m: libc::mmsghdr = zeroed(); m.msg_hdr.msg_name = &dests[i] as *const _ as _; m.msg_hdr.msg_namelen = 16; m.msg_hdr.msg_iov = &mut tiov[i]; m.msg_hdr.msg_iovlen = 1; m }).collect();
    let tmpl = [7u8; PAYLOAD];
    let mut events: Vec<libc::epoll_event> = vec![libc::epoll_event { events: 0, u64: 0 }; 256];

    let t0 = now();
    let warm = t0 + 300_000_000;
    let end = warm + (secs * 1e9) as u64;
    let mut tick = t0 + 20_000_000;
    if once { arm(ring.as_mut().unwrap(), &mut abs, tick); }
    let (mut rx, mut tx, mut txcpu, mut wakes, mut errs) = (0u64, 0u64, 0u64, 0u64, 0u64);
    let mut cpu0 = 0; let mut started = false; let mut g0 = (0, 0);
    let mut sends_seen = 0u64;
    loop {
        let mut tnow = now();
        if tnow >= end { break; }
        if !started && tnow >= warm {
            started = true; rx = 0; tx = 0; txcpu = 0; wakes = 0; lat.clear(); g0 = (gsum.load(Relaxed), gcnt.load(Relaxed)); cpu0 = cpu();
        }
        if tnow >= tick {
            tick += 20_000_000;
            let c = cpu();
            for i in 0..n { tbuf[i * SLOT..i * SLOT + PAYLOAD].copy_from_slice(&tmpl); }
            match v.tx {
                Tx::SendTo => for i in 0..n { unsafe { let r = libc::sendto(ws[i % ws.len()].0, tbuf.as_ptr().add(i * SLOT) as _, PAYLOAD, 0, &dests[i] as *const _ as _, 16); if r != PAYLOAD as isize { errs += 1 } } },
                Tx::Send => for i in 0..n { unsafe { let r = libc::send(ws[i % ws.len()].0, tbuf.as_ptr().add(i * SLOT) as _, PAYLOAD, 0); if r != PAYLOAD as isize { errs += 1 } } },
                Tx::SendMmsg => { let mut k = 0; while k < n { let m = 64.min(n - k); let r = unsafe { libc::sendmmsg(ws[0].0, &mut tmm[k], m as u32, 0) }; if r <= 0 { errs += 1; break } k += r as usize; } },
                _ => {
                    let r = ring.as_mut().unwrap();
                    let mut k = 0;
                    while k < n {
                        let m = 256.min(n - k);
                        {
                            let mut sq = r.submission();
                            for i in k..k + m {
                                let si = i % ws.len();
                                let p = unsafe { tbuf.as_ptr().add(i * SLOT) };
                                let e = match (v.tx, fixed) {
                                    (Tx::UringSend | Tx::UringSendSkip, true) => opcode::Send::new(types::Fixed(si as u32), p, PAYLOAD as u32).dest_addr(&dests[i] as *const _ as _).dest_addr_len(16).build(),
                                    (Tx::UringSend | Tx::UringSendSkip, false) => opcode::Send::new(types::Fd(ws[si].0), p, PAYLOAD as u32).dest_addr(&dests[i] as *const _ as _).dest_addr_len(16).build(),
                                    (Tx::UringSendConn, true) => opcode::Send::new(types::Fixed(si as u32), p, PAYLOAD as u32).build(),
                                    (Tx::UringSendConn, false) => opcode::Send::new(types::Fd(ws[si].0), p, PAYLOAD as u32).build(),
                                    (_, true) => opcode::SendMsg::new(types::Fixed(si as u32), &tmm[i].msg_hdr).build(),
                                    (_, false) => opcode::SendMsg::new(types::Fd(ws[si].0), &tmm[i].msg_hdr).build(),
                                }.user_data(1 << 32 | i as u64);
                                let e = if v.tx == Tx::UringSendSkip { e.flags(squeue::Flags::SKIP_SUCCESS) } else { e };
                                unsafe { sq.push(&e).unwrap(); }
                            }
                        }
                        r.submit().unwrap();
                        k += m;
                    }
                }
            }
            // uring completions of sends are picked up here, rx left for the rx phase: peek-count is mixed, so charge all found now
            tx += n as u64;
            txcpu += cpu() - c;
            if once { arm(ring.as_mut().unwrap(), &mut abs, tick); }
        }
        tnow = now();
        let to = tick.saturating_sub(tnow);
        let mut on = |leg: usize, p: &[u8], t: u64, lat: &mut Vec<u32>| {
            let _ = leg;
            let s = u64::from_le_bytes(p[..8].try_into().unwrap());
            if lat.len() < lat.capacity() { lat.push((t - s) as u32); }
        };
        match v.rx {
            Rx::Uring { .. } => {
                let r = ring.as_mut().unwrap();
                let ts = types::Timespec::new().nsec(to as u32);
                let mut args = types::SubmitArgs::new();
                if !once { args = args.timespec(&ts); }
                let want = if coalesce > 0 { args = args.min_wait_usec(coalesce); 1024 } else { 1 };
                let _ = r.submitter().submit_with_args(want, &args);
                wakes += 1;
                let t = now();
                let b = bufs.as_mut().unwrap();
                let mut rearm = vec![];
                for c in r.completion() {
                    if c.user_data() >> 32 == 2 { continue; } if c.user_data() >> 32 != 0 { sends_seen += 1; if c.result() < 0 { errs += 1; } continue; }
                    if c.result() < 0 { errs += 1; rearm.push(c.user_data()); continue; }
                    let bid = cqueue::buffer_select(c.flags()).unwrap();
                    let off = if v.connected { 0 } else { 16 + 16 };
                    let p = unsafe { std::slice::from_raw_parts(b.mem.add(bid as usize * SLOT + off), c.result() as usize - off) };
                    on(c.user_data() as usize, p, t, lat);
                    rx += 1;
                    b.give(bid);
                    if !cqueue::more(c.flags()) { rearm.push(c.user_data()); }
                }
                b.publish();
                if !rearm.is_empty() { errs += rearm.len() as u64; }
            }
            Rx::Sweep => {
                std::thread::sleep(std::time::Duration::from_nanos(to));
                wakes += 1;
                for i in 0..ws.len() { loop {
                    let mut l = 16u32;
                    let r = unsafe { libc::recvfrom(ws[i].0, rbuf.as_mut_ptr() as _, SLOT, 0, &mut names[0] as *mut _ as _, &mut l) };
                    if r < 0 { break }
                    on(i, &rbuf, now(), lat); rx += 1;
                } }
            }
            _ => {
                if let Rx::EpollNap(us) = v.rx { if to > us * 1000 { std::thread::sleep(std::time::Duration::from_micros(us)); } }
                let ts = libc::timespec { tv_sec: 0, tv_nsec: to as i64 };
                let k = unsafe { libc::syscall(libc::SYS_epoll_pwait2, ep, events.as_mut_ptr(), 256, &ts, 0usize, 8usize) };
                wakes += 1;
                let t = now();
                for e in events.iter().take(k.max(0) as usize) {
                    let i = e.u64 as usize;
                    let fd = ws[i].0;
                    match v.rx {
                        Rx::EpollMmsg => loop {
                            let m = if v.shared { M } else { 4 };
                            for h in &mut mm[..m] { h.msg_hdr.msg_namelen = 16; }
                            let r = unsafe { libc::recvmmsg(fd, mm.as_mut_ptr(), m as u32, 0, std::ptr::null_mut()) };
                            if r <= 0 { break }
                            for j in 0..r as usize { on(i, &rbuf[j * SLOT..j * SLOT + mm[j].msg_len as usize], t, lat); }
                            rx += r as u64;
                            if (r as usize) < m { break }
                        },
                        _ => loop {
                            let mut l = 16u32;
                            let r = unsafe { if v.connected { libc::recv(fd, rbuf.as_mut_ptr() as _, SLOT, 0) } else { libc::recvfrom(fd, rbuf.as_mut_ptr() as _, SLOT, 0, &mut names[0] as *mut _ as _, &mut l) } };
                            if r < 0 { break }
                            on(i, &rbuf[..r as usize], t, lat); rx += 1;
                            if v.rx != Rx::EpollEt { break }
                        },
                    }
                }
            }
        }
    }
    let total = cpu() - cpu0;
    let g = (gsum.load(Relaxed) - g0.0, gcnt.load(Relaxed) - g0.1);
    let _ = sends_seen;
    if errs > 0 { println!("   errs {errs}"); }
    if (rx as f64) < 0.97 * g.1 as f64 { println!("   LOST: sent {} got {rx}", g.1); }
    unsafe { libc::close(ep); }
    ((total - txcpu) as f64 / rx as f64, txcpu as f64 / tx as f64, total as f64 / (end - warm) as f64 * 100.0, wakes as f64 / rx as f64, g.0 as f64 / g.1 as f64)
}

fn main() {
    let u = |defer, fixed, coalesce_us| Rx::Uring { defer, fixed, coalesce_us };
    let vs = [
        V { name: "uring recvmsg-ms + SEND addr, plain ring, fds", rx: u(false, false, 0), tx: Tx::UringSend, connected: false, shared: false },
        V { name: "uring recvmsg-ms + SEND addr, DEFER, fds", rx: u(true, false, 0), tx: Tx::UringSend, connected: false, shared: false },
        V { name: "uring recvmsg-ms + SEND addr, DEFER, fixed", rx: u(true, true, 0), tx: Tx::UringSend, connected: false, shared: false },
        V { name: "  same, SEND cqe skip", rx: u(true, true, 0), tx: Tx::UringSendSkip, connected: false, shared: false },
        V { name: "uring recvmsg-ms + SENDMSG, DEFER, fixed", rx: u(true, true, 0), tx: Tx::UringSendMsg, connected: false, shared: false },
        V { name: "uring recv-ms + SEND connected, DEFER, fixed", rx: u(true, true, 0), tx: Tx::UringSendConn, connected: true, shared: false },
        V { name: "uring recvmsg-ms + sendto (hybrid)", rx: u(true, true, 0), tx: Tx::SendTo, connected: false, shared: false },
        V { name: "uring recv-ms + send (hybrid) connected", rx: u(true, true, 0), tx: Tx::Send, connected: true, shared: false },
        V { name: "uring recvmsg-ms + SEND addr, coalesce 100us", rx: u(true, true, 100), tx: Tx::UringSend, connected: false, shared: false },
        V { name: "uring recvmsg-ms + sendto, coalesce 100us", rx: u(true, true, 100), tx: Tx::SendTo, connected: false, shared: false },
        V { name: "uring recvmsg-ms + sendto, coalesce 1ms", rx: u(true, true, 1000), tx: Tx::SendTo, connected: false, shared: false },
        V { name: "uring + sendto, TIMEOUT once a tick", rx: u(true, true, 10_000_000), tx: Tx::SendTo, connected: false, shared: false },
        V { name: "uring + SEND addr, TIMEOUT once, coalesce 100us", rx: u(true, true, 10_000_100), tx: Tx::UringSend, connected: false, shared: false },
        V { name: "uring + SEND addr, TIMEOUT once, coalesce 150us", rx: u(true, true, 10_000_150), tx: Tx::UringSend, connected: false, shared: false },
        V { name: "uring + SEND conn, TIMEOUT once, coalesce 150us", rx: u(true, true, 10_000_150), tx: Tx::UringSendConn, connected: true, shared: false },
        V { name: "epoll LT + recvfrom + sendto", rx: Rx::EpollLt, tx: Tx::SendTo, connected: false, shared: false },
        V { name: "epoll ET + recvfrom* + sendto", rx: Rx::EpollEt, tx: Tx::SendTo, connected: false, shared: false },
        V { name: "epoll ET + recvmmsg + sendto", rx: Rx::EpollMmsg, tx: Tx::SendTo, connected: false, shared: false },
        V { name: "epoll LT + recv + send connected", rx: Rx::EpollLt, tx: Tx::Send, connected: true, shared: false },
        V { name: "epoll LT nap 100us + recvfrom + sendto", rx: Rx::EpollNap(100), tx: Tx::SendTo, connected: false, shared: false },
        V { name: "sweep at tick recvfrom + sendto (floor)", rx: Rx::Sweep, tx: Tx::SendTo, connected: false, shared: false },
        V { name: "SHARED epoll ET + recvmmsg + sendmmsg", rx: Rx::EpollMmsg, tx: Tx::SendMmsg, connected: false, shared: true },
        V { name: "SHARED uring recvmsg-ms + sendmmsg", rx: u(true, true, 0), tx: Tx::SendMmsg, connected: false, shared: true },
        V { name: "SHARED uring recvmsg-ms + sendmmsg, coalesce 100us", rx: u(true, true, 100), tx: Tx::SendMmsg, connected: false, shared: true },
        V { name: "SHARED uring recvmsg-ms + SEND addr", rx: u(true, true, 0), tx: Tx::UringSend, connected: false, shared: true },
    ];
    let secs: f64 = std::env::args().nth(1).map_or(0.8, |s| s.parse().unwrap());
    let rt = std::env::var("NORT").is_err();
    println!("{:52} {:>5} {:>7} {:>7} {:>7} {:>6} {:>6} | lat us {:>6} {:>6} {:>7} | gen send ns", "variant", "legs", "rx ns", "tx ns", "rx+tx", "cpu%", "wk/pkt", "p50", "p99", "max");
    let t = now(); for _ in 0..100000 { unsafe { libc::syscall(libc::SYS_getppid); } } println!("getppid {} ns", (now() - t) / 100000);
    let t = now(); for _ in 0..100000 { cpu(); } println!("thread cpu clock {} ns", (now() - t) / 100000);
    let filt = std::env::args().nth(2).unwrap_or_default();
    let sizes: Vec<usize> = std::env::args().nth(3).map_or(vec![4, 100, 400, 1000], |s| s.split(',').map(|x| x.parse().unwrap()).collect());
    for n in sizes {
        for v in vs {
            if !v.name.contains(&filt) { continue; }
            let mut best: Option<((f64, f64, f64, f64, f64), Vec<u32>)> = None;
            for _ in 0..2 {
                let mut lat = Vec::with_capacity(200_000);
                let r = run(v, n, secs, n, rt, &mut lat);
                if best.as_ref().is_none_or(|b| r.0 + r.1 < b.0.0 + b.0.1) { best = Some((r, lat)); }
            }
            let (r, mut lat) = best.unwrap();
            lat.sort();
            let q = |f: f64| lat[((lat.len() - 1) as f64 * f) as usize] as f64 / 1000.0;
            println!("{:52} {:>5} {:>7.0} {:>7.0} {:>7.0} {:>6.1} {:>6.2} |        {:>6.1} {:>6.1} {:>7.1} | {:>6.0}", v.name, n, r.0, r.1, r.0 + r.1, r.2, r.3, q(0.5), q(0.99), q(1.0), r.4);
        }
    }
}
