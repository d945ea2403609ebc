"""The numbers of the kernel's calls that a child may not make, for each machine (asm/unistd.h of Linux 6.18)."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

NEWEST = 467
"""open_tree_attr: what came after it was not looked at."""
FLAGS = SimpleNamespace(
    inet=2,
    inet6=10,
    unix=1,
    stream=1,
    tcp=6,
    new_namespaces=0x7E020000,
    tiocsti=0x5412,
    tioclinux=0x541C,
)
"""Values of arguments (linux/socket.h, linux/in.h, linux/sched.h: CLONE_NEW*, asm/ioctls.h)."""


@dataclass(frozen=True)
class Calls:
    """One machine's numbers. `absent` answer ENOSYS: a library takes the older call, which can be looked into."""

    architecture: int
    refused: frozenset[int]
    of_own_files: frozenset[int]
    """Modes, owners and attributes by path, which Landlock does not hold."""
    of_a_process: frozenset[int]
    """Refused unless the first argument is 0: the caller itself."""
    absent: frozenset[int]
    clone: int
    socket: int
    socketpair: int
    ioctl: int
    prctl: int


def _numbers(**named: int) -> frozenset[int]:
    return frozenset(named.values())


_EVERYWHERE = _numbers(
    io_uring_setup=425,
    io_uring_enter=426,
    io_uring_register=427,
    open_tree=428,
    move_mount=429,
    fsopen=430,
    fsconfig=431,
    fsmount=432,
    fspick=433,
    pidfd_getfd=438,
    process_madvise=440,
    mount_setattr=442,
    quotactl_fd=443,
    process_mrelease=448,
    set_mempolicy_home_node=450,
    statmount=457,
    listmount=458,
    lsm_set_self_attr=460,
    open_tree_attr=467,
)
_ABSENT = _numbers(clone3=435, memfd_secret=447)
_OWN_FILES = _numbers(fchmodat2=452, setxattrat=463, removexattrat=466)

_X86_64 = Calls(
    architecture=0xC000003E,
    refused=_EVERYWHERE
    | _numbers(ptrace=101, syslog=103, personality=135, uselib=134, ustat=136, sysfs=139, setpriority=141)
    | _numbers(vhangup=153, modify_ldt=154, pivot_root=155, sysctl=156, adjtimex=159, chroot=161, acct=163)
    | _numbers(settimeofday=164, mount=165, umount2=166, swapon=167, swapoff=168, reboot=169, sethostname=170)
    | _numbers(setdomainname=171, iopl=172, ioperm=173, create_module=174, init_module=175, delete_module=176)
    | _numbers(get_kernel_syms=177, query_module=178, quotactl=179, nfsservctl=180, lookup_dcookie=212)
    | _numbers(clock_settime=227, mbind=237, set_mempolicy=238, mq_open=240, kexec_load=246, add_key=248)
    | _numbers(request_key=249, keyctl=250, ioprio_set=251, migrate_pages=256, unshare=272, move_pages=279)
    | _numbers(perf_event_open=298, fanotify_init=300, fanotify_mark=301, name_to_handle_at=303)
    | _numbers(open_by_handle_at=304, clock_adjtime=305, setns=308, process_vm_readv=310, process_vm_writev=311)
    | _numbers(kcmp=312, finit_module=313, kexec_file_load=320, bpf=321, userfaultfd=323, shmget=29, shmat=30)
    | _numbers(semget=64, msgget=68),
    of_own_files=_OWN_FILES
    | _numbers(chmod=90, chown=92, lchown=94, setxattr=188, lsetxattr=189, removexattr=197, lremovexattr=198)
    | _numbers(fchownat=260, fchmodat=268, utime=132, utimes=235, futimesat=261),
    of_a_process=_numbers(
        sched_setparam=142, sched_setscheduler=144, sched_setaffinity=203, sched_setattr=314, prlimit64=302
    ),
    absent=_ABSENT | _numbers(memfd_create=319),
    clone=56,
    socket=41,
    socketpair=53,
    ioctl=16,
    prctl=157,
)
_AARCH64 = Calls(
    architecture=0xC00000B7,
    refused=_EVERYWHERE
    | _numbers(lookup_dcookie=18, ioprio_set=30, umount2=39, mount=40, pivot_root=41, nfsservctl=42, chroot=51)
    | _numbers(vhangup=58, quotactl=60, acct=89, personality=92, unshare=97, kexec_load=104, init_module=105)
    | _numbers(delete_module=106, clock_settime=112, syslog=116, ptrace=117, setpriority=140, reboot=142)
    | _numbers(sethostname=161, setdomainname=162, settimeofday=170, adjtimex=171, mq_open=180, msgget=186)
    | _numbers(semget=190, shmget=194, shmat=196, add_key=217, request_key=218, keyctl=219, swapon=224)
    | _numbers(swapoff=225, mbind=235, set_mempolicy=237, migrate_pages=238, move_pages=239, perf_event_open=241)
    | _numbers(fanotify_init=262, fanotify_mark=263, name_to_handle_at=264, open_by_handle_at=265)
    | _numbers(clock_adjtime=266, setns=268, process_vm_readv=270, process_vm_writev=271, kcmp=272)
    | _numbers(finit_module=273, bpf=280, userfaultfd=282, kexec_file_load=294),
    of_own_files=_OWN_FILES
    | _numbers(setxattr=5, lsetxattr=6, removexattr=14, lremovexattr=15, fchmodat=53, fchownat=54),
    of_a_process=_numbers(
        sched_setparam=118, sched_setscheduler=119, sched_setaffinity=122, sched_setattr=274, prlimit64=261
    ),
    absent=_ABSENT | _numbers(memfd_create=279),
    clone=220,
    socket=198,
    socketpair=199,
    ioctl=29,
    prctl=167,
)
KNOWN_ARCHITECTURES = {"x86_64": _X86_64, "aarch64": _AARCH64}
