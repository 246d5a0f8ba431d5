//! What a module gives up before it reads the first byte of a stranger.
//!
//! | asked for | answer |
//! |---|---|
//! | memory that is not code, waiting, the clock, writing what is open, threads | as ever |
//! | another program, a socket, another process or its memory | the process is killed |
//! | all else: files, new descriptors, priorities, settings of the kernel | `EPERM` |
//!
//! The list of what is allowed is short; what no codec has a reason to ask for is
//! taken as a sign that it is not the codec any more that runs. Nothing of it needs
//! a privilege, none of it can be undone, and every thread is under it. The limits
//! of the process are lowered as well: no file can grow, no core is written (it
//! would hold pictures of people).

use std::collections::BTreeMap;
use std::io;

use rustix::process::{Resource, Rlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Why the sandbox cannot be closed.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel knows no such thing, or refuses.
    #[error("the video module's sandbox cannot be closed: {0}")]
    Refused(#[from] seccompiler::Error),
    /// The filter cannot be made.
    #[error("the video module's sandbox cannot be made: {0}")]
    Filter(#[from] seccompiler::BackendError),
    /// The processor is not one that it was written for.
    #[error("the video module has no sandbox for this processor")]
    Processor,
    /// A limit of the process cannot be lowered.
    #[error("a limit of the video module cannot be lowered: {0}")]
    Limit(#[source] io::Error),
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// System calls of which nothing but their number matters.
const ALLOWED: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_write,
    libc::SYS_writev,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    // clone3 carries its flags in memory, where no filter can see them: the second
    // filter says that there is no such call, and the C library takes clone.
    libc::SYS_clone3,
];

/// What no codec has a reason for.
const FATAL: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_bpf,
    libc::SYS_mount,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_kexec_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
];

/// A rule on the bits of one argument.
fn bits(argument: u8, mask: u64, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    let operator = SeccompCmpOp::MaskedEq(mask);
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Qword, operator, value)?;
    SeccompRule::new(vec![condition])
}

fn compile(
    rules: Rules,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, SandboxError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|_| SandboxError::Processor)?;
    let filter = SeccompFilter::new(rules, otherwise, matched, arch)?;
    Ok(BpfProgram::try_from(filter)?)
}

fn unconditional(calls: &[i64]) -> Rules {
    calls.iter().map(|call| (*call, Vec::new())).collect()
}

/// The filters, in the order in which they are put on. Of their answers to a call
/// the strictest counts.
fn filters() -> Result<[BpfProgram; 3], SandboxError> {
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    let no_code = libc::PROT_EXEC as u64;
    let thread = libc::CLONE_THREAD as u64;
    let mut allowed = unconditional(ALLOWED);
    allowed.insert(libc::SYS_mmap, vec![bits(2, no_code, 0)?]);
    allowed.insert(libc::SYS_mprotect, vec![bits(2, no_code, 0)?]);
    allowed.insert(libc::SYS_clone, vec![bits(0, thread, thread)?]);
    // A thread that panics ends the process by a signal to itself.
    let own = u64::from(std::process::id());
    allowed.insert(libc::SYS_tgkill, vec![bits(0, u64::MAX, own)?]);
    // Both the fatal and the missing have to be let through here.
    for call in FATAL {
        allowed.insert(*call, Vec::new());
    }
    let absent = unconditional(&[libc::SYS_clone3]);
    Ok([
        compile(allowed, refused, SeccompAction::Allow)?,
        compile(
            absent,
            SeccompAction::Allow,
            SeccompAction::Errno(libc::ENOSYS as u32),
        )?,
        compile(
            unconditional(FATAL),
            SeccompAction::Allow,
            SeccompAction::KillProcess,
        )?,
    ])
}

/// Closes the sandbox on every thread of the process, for good.
///
/// # Errors
/// [`SandboxError`]; some of it may hold already then, and the process should end.
pub fn close() -> Result<(), SandboxError> {
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    for resource in [Resource::Core, Resource::Fsize] {
        rustix::process::setrlimit(resource, nothing)
            .map_err(|error| SandboxError::Limit(error.into()))?;
    }
    // The last filter put on would refuse the next: the strict one comes last.
    let [allowed, absent, fatal] = filters()?;
    for filter in [fatal, absent, allowed] {
        seccompiler::apply_filter_all_threads(&filter)?;
    }
    Ok(())
}
