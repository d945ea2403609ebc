"""The numbers of the kernel's calls that a child may make, for each machine (asm/unistd.h of Linux 6.18).

They are what Python, Node.js, git, a shell and their libraries (glibc, musl) use to compute, to read and write files,
to start processes of their own and, with ports, to connect. What is not here is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

NEWEST = 467
"""open_tree_attr: what came after it was not looked at, and does not exist for a child."""
FLAGS = SimpleNamespace(
    inet=2,
    inet6=10,
    unix=1,
    stream=1,
    tcp=6,
    fast_open=0x20000000,
    new_namespaces=0x7E020000,
)
"""Values of arguments (linux/socket.h, linux/in.h, linux/sched.h: CLONE_NEW*)."""
OF_IOCTL = (0x5401, 0x5402, 0x5403, 0x5404, 0x540F, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS, TCSETS, TCSETSW, TCSETSF, TIOCGPGRP, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX (asm/ioctls.h)."""
OF_FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1031, 1032)
"""F_DUPFD to F_SETLKW, F_OFD_*LK, F_DUPFD_CLOEXEC, F_*PIPE_SZ (linux/fcntl.h). No leases, no F_NOTIFY, no F_SETOWN."""
OF_PRCTL = (2, 3, 4, 15, 16, 23, 38, 39, 0x53564D41)
"""PR_GET_PDEATHSIG, PR_*_DUMPABLE, PR_*_NAME, PR_CAPBSET_READ, PR_*_NO_NEW_PRIVS, PR_SET_VMA (linux/prctl.h)."""


@dataclass(frozen=True)
class Calls:
    """One machine's numbers by name."""

    architecture: int
    allowed: Mapping[str, int]
    of_own_files: Mapping[str, int]
    """Modes, owners, times and attributes, which Landlock does not hold: refused where the gateway's user is theirs."""
    of_a_process: Mapping[str, int]
    """Refused unless the first argument is 0: the caller itself."""
    absent: Mapping[str, int]
    """They answer ENOSYS: a library takes the older call, which can be looked into."""
    by_argument: Mapping[str, int]


def _numbers(written: str) -> Mapping[str, int]:
    return {name: int(number) for name, _, number in (each.partition("=") for each in written.split())}


_X86_64 = Calls(
    architecture=0xC000003E,
    allowed=_numbers(
        """
        read=0 readv=19 pread64=17 preadv=295 preadv2=327 write=1 writev=20 pwrite64=18 pwritev=296 pwritev2=328
        open=2 creat=85 openat=257 close=3 close_range=436 lseek=8 stat=4 fstat=5 lstat=6 newfstatat=262 statx=332
        statfs=137 fstatfs=138 access=21 faccessat=269 faccessat2=439 readlink=89 readlinkat=267 getcwd=79 chdir=80
        fchdir=81 umask=95 getdents=78 getdents64=217 mkdir=83 mkdirat=258 rmdir=84 unlink=87 unlinkat=263 rename=82
        renameat=264 renameat2=316 link=86 linkat=265 symlink=88 symlinkat=266 truncate=76 ftruncate=77 fallocate=285
        fsync=74 fdatasync=75 sync_file_range=277 msync=26 fadvise64=221 readahead=187 flock=73 copy_file_range=326
        sendfile=40 splice=275 tee=276 vmsplice=278 getxattr=191 lgetxattr=192 fgetxattr=193 listxattr=194
        llistxattr=195 flistxattr=196 dup=32 dup2=33 dup3=292 pipe=22 pipe2=293 eventfd=284 eventfd2=290 signalfd=282
        signalfd4=289 timerfd_create=283 timerfd_settime=286 timerfd_gettime=287 epoll_create=213 epoll_create1=291
        epoll_ctl=233 epoll_wait=232 epoll_pwait=281 epoll_pwait2=441 poll=7 ppoll=271 select=23 pselect6=270 mmap=9
        mprotect=10 munmap=11 mremap=25 brk=12 madvise=28 mincore=27 mlock=149 mlock2=325 munlock=150
        pkey_mprotect=329 pkey_alloc=330 pkey_free=331 membarrier=324 futex=202 futex_waitv=449 set_robust_list=273
        set_tid_address=218 rseq=334 arch_prctl=158 restart_syscall=219 sched_yield=24 sched_getaffinity=204
        sched_getparam=143 sched_getscheduler=145 sched_getattr=315 sched_get_priority_max=146
        sched_get_priority_min=147 sched_rr_get_interval=148 getcpu=309 fork=57 vfork=58 execve=59 execveat=322
        exit=60 exit_group=231 wait4=61 waitid=247 pidfd_open=434 pidfd_send_signal=424 kill=62 tkill=200 tgkill=234
        rt_sigqueueinfo=129 rt_tgsigqueueinfo=297 rt_sigaction=13 rt_sigprocmask=14 rt_sigreturn=15 rt_sigpending=127
        rt_sigtimedwait=128 rt_sigsuspend=130 sigaltstack=131 pause=34 alarm=37 getitimer=36 setitimer=38
        timer_create=222 timer_settime=223 timer_gettime=224 timer_getoverrun=225 timer_delete=226 nanosleep=35
        clock_nanosleep=230 clock_gettime=228 clock_getres=229 gettimeofday=96 time=201 times=100 getpid=39
        getppid=110 gettid=186 getuid=102 geteuid=107 getgid=104 getegid=108 getresuid=118 getresgid=120 getgroups=115
        getpgrp=111 getpgid=121 setpgid=109 getsid=124 setsid=112 getpriority=140 getrlimit=97 setrlimit=160
        getrusage=98 sysinfo=99 uname=63 getrandom=318 capget=125 ioprio_get=252 connect=42 getsockname=51
        getpeername=52 getsockopt=55 setsockopt=54 shutdown=48 recvfrom=45 recvmsg=47 recvmmsg=299
        """
    ),
    of_own_files=_numbers(
        """
        chmod=90 fchmod=91 fchmodat=268 chown=92 fchown=93 lchown=94 fchownat=260 utime=132 utimes=235 futimesat=261
        utimensat=280 setxattr=188 lsetxattr=189 fsetxattr=190 removexattr=197 lremovexattr=198 fremovexattr=199
        """
    ),
    of_a_process=_numbers(
        "sched_setparam=142 sched_setscheduler=144 sched_setaffinity=203 sched_setattr=314 prlimit64=302"
    ),
    absent=_numbers("clone3=435 openat2=437 memfd_create=319 memfd_secret=447 fchmodat2=452"),
    by_argument=_numbers(
        "clone=56 socket=41 socketpair=53 sendto=44 sendmsg=46 sendmmsg=307 ioctl=16 fcntl=72 prctl=157"
    ),
)
_AARCH64 = Calls(
    architecture=0xC00000B7,
    allowed=_numbers(
        """
        read=63 readv=65 pread64=67 preadv=69 preadv2=286 write=64 writev=66 pwrite64=68 pwritev=70 pwritev2=287
        openat=56 close=57 close_range=436 lseek=62 fstat=80 newfstatat=79 statx=291 statfs=43 fstatfs=44 faccessat=48
        faccessat2=439 readlinkat=78 getcwd=17 chdir=49 fchdir=50 umask=166 getdents64=61 mkdirat=34 unlinkat=35
        renameat=38 renameat2=276 linkat=37 symlinkat=36 truncate=45 ftruncate=46 fallocate=47 fsync=82 fdatasync=83
        sync_file_range=84 msync=227 fadvise64=223 readahead=213 flock=32 copy_file_range=285 sendfile=71 splice=76
        tee=77 vmsplice=75 getxattr=8 lgetxattr=9 fgetxattr=10 listxattr=11 llistxattr=12 flistxattr=13 dup=23 dup3=24
        pipe2=59 eventfd2=19 signalfd4=74 timerfd_create=85 timerfd_settime=86 timerfd_gettime=87 epoll_create1=20
        epoll_ctl=21 epoll_pwait=22 epoll_pwait2=441 ppoll=73 pselect6=72 mmap=222 mprotect=226 munmap=215 mremap=216
        brk=214 madvise=233 mincore=232 mlock=228 mlock2=284 munlock=229 pkey_mprotect=288 pkey_alloc=289
        pkey_free=290 membarrier=283 futex=98 futex_waitv=449 set_robust_list=99 set_tid_address=96 rseq=293
        restart_syscall=128 sched_yield=124 sched_getaffinity=123 sched_getparam=121 sched_getscheduler=120
        sched_getattr=275 sched_get_priority_max=125 sched_get_priority_min=126 sched_rr_get_interval=127 getcpu=168
        execve=221 execveat=281 exit=93 exit_group=94 wait4=260 waitid=95 pidfd_open=434 pidfd_send_signal=424
        kill=129 tkill=130 tgkill=131 rt_sigqueueinfo=138 rt_tgsigqueueinfo=240 rt_sigaction=134 rt_sigprocmask=135
        rt_sigreturn=139 rt_sigpending=136 rt_sigtimedwait=137 rt_sigsuspend=133 sigaltstack=132 getitimer=102
        setitimer=103 timer_create=107 timer_settime=110 timer_gettime=108 timer_getoverrun=109 timer_delete=111
        nanosleep=101 clock_nanosleep=115 clock_gettime=113 clock_getres=114 gettimeofday=169 times=153 getpid=172
        getppid=173 gettid=178 getuid=174 geteuid=175 getgid=176 getegid=177 getresuid=148 getresgid=150 getgroups=158
        getpgid=155 setpgid=154 getsid=156 setsid=157 getpriority=141 getrlimit=163 setrlimit=164 getrusage=165
        sysinfo=179 uname=160 getrandom=278 capget=90 ioprio_get=31 connect=203 getsockname=204 getpeername=205
        getsockopt=209 setsockopt=208 shutdown=210 recvfrom=207 recvmsg=212 recvmmsg=243
        """
    ),
    of_own_files=_numbers(
        """
        fchmod=52 fchmodat=53 fchown=55 fchownat=54 utimensat=88 setxattr=5 lsetxattr=6 fsetxattr=7 removexattr=14
        lremovexattr=15 fremovexattr=16
        """
    ),
    of_a_process=_numbers(
        "sched_setparam=118 sched_setscheduler=119 sched_setaffinity=122 sched_setattr=274 prlimit64=261"
    ),
    absent=_numbers("clone3=435 openat2=437 memfd_create=279 memfd_secret=447 fchmodat2=452"),
    by_argument=_numbers(
        "clone=220 socket=198 socketpair=199 sendto=206 sendmsg=211 sendmmsg=269 ioctl=29 fcntl=25 prctl=167"
    ),
)
KNOWN_ARCHITECTURES = {"x86_64": _X86_64, "aarch64": _AARCH64}
