//! `plenum turn-status`: what the TURN server of a data folder does, and its drain switch.

use std::io::{self, Write};
use std::path::Path;

use super::desk::{AllocationStatus, Answer, Question, TurnStatus, ask};

/// What is wished.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// Send new clients elsewhere, or take them again.
    pub(crate) drain: Option<bool>,
    /// List who is there.
    pub(crate) allocations: bool,
    /// As JSON, for programs.
    pub(crate) json: bool,
}

/// Asks, and prints what is answered.
///
/// # Errors
/// Nobody serves TURN there, or standard output is closed.
pub(crate) fn run(data_dir: &Path, wish: Wish) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let question = wish.drain.map_or(Question::Status, Question::Drain);
    let answer = ask(data_dir, question)?;
    if wish.json {
        writeln!(out, "{}", serde_json::to_string(&answer)?)?;
    } else if let Answer::Status(status) = &answer {
        print_status(&mut out, status)?;
    }
    if !wish.allocations {
        return Ok(());
    }
    let mut offset = 0;
    loop {
        let limit = usize::MAX;
        let answer = ask(data_dir, Question::Allocations { offset, limit })?;
        let Answer::Allocations(page) = &answer else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        if wish.json {
            writeln!(out, "{}", serde_json::to_string(&answer)?)?;
        } else {
            if offset == 0 {
                print_head(&mut out)?;
            }
            for allocation in &page.allocations {
                print_allocation(&mut out, allocation)?;
            }
        }
        offset += page.allocations.len();
        if page.allocations.is_empty() || offset >= page.total {
            return Ok(());
        }
    }
}

fn print_status(out: &mut impl Write, status: &TurnStatus) -> io::Result<()> {
    let state = match status.draining {
        true => "draining: new clients are sent elsewhere",
        false => "takes clients",
    };
    writeln!(
        out,
        "TURN {state}; at most {} allocations",
        status.allocations_max
    )?;
    for (name, value) in status.total.rows() {
        let each: Vec<String> = status
            .workers
            .iter()
            .filter_map(|worker| worker.rows().into_iter().find(|(row, _)| *row == name))
            .map(|(_, value)| value.to_string())
            .collect();
        let each = match each.len() {
            0 | 1 => String::new(),
            _ => format!("  ({})", each.join(" + ")),
        };
        writeln!(out, "  {name:<18}{value:>16}{each}")?;
    }
    Ok(())
}

fn print_head(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:<26} {:<6} {:<12} {:>9} {:>5} {:>5} {:>14} {:>14}",
        "client",
        "over",
        "relay ports",
        "expires s",
        "perm.",
        "chan.",
        "bytes to peers",
        "to client"
    )
}

fn print_allocation(out: &mut impl Write, it: &AllocationStatus) -> io::Result<()> {
    let ports: Vec<String> = it.relay_ports.iter().map(ToString::to_string).collect();
    writeln!(
        out,
        "{:<26} {:<6} {:<12} {:>9} {:>5} {:>5} {:>14} {:>14}",
        it.client.to_string(),
        if it.stream { "stream" } else { "udp" },
        ports.join(","),
        it.expires_in_s,
        it.permissions,
        it.channels,
        it.bytes_to_peers,
        it.bytes_to_client,
    )
}
