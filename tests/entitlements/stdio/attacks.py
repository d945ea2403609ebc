"""Programs that do what a child may not, and say how far they came: each prints one line of JSON."""

from __future__ import annotations

HEAD = """
import ctypes, errno, json, os, signal, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def say(**facts): print(json.dumps(facts), flush=True)
def attempt(act):
    try: return act() or "done"
    except BaseException as problem: return type(problem).__name__
def call(*arguments):
    return "done" if libc.syscall(*arguments) >= 0 else errno.errorcode[ctypes.get_errno()]
def read(path): return open(path, "rb").read() and "read"
"""

FORKS = """
made = []
while len(made) < 80:
    try: child = os.fork()
    except OSError: break
    if not child:
        os.setsid(); signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)
    made.append(child)
say(made=made)
"""
MEMORY = """
say(taken=attempt(lambda: len(bytearray(300 << 20)) and "taken"))
"""
MEMORY_TOGETHER = """
for _ in range(4):
    if not os.fork():
        held = bytearray(b"x" * (30 << 20)); time.sleep(60)
time.sleep(2)
say(survived=True)
"""
SOCKETS = """
port, closed = map(int, sys.argv[1:3])
say(tcp=attempt(lambda: socket.create_connection(("127.0.0.1", port), 2) and None),
    other=attempt(lambda: socket.create_connection(("127.0.0.1", closed), 2) and None),
    unix=attempt(lambda: socket.socket(socket.AF_UNIX) and None),
    udp=attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM) and None),
    raw=attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262) and None),
    bind=attempt(lambda: socket.socket().bind(("127.0.0.1", 0))),
    pair=attempt(lambda: socket.socketpair() and None))
"""
FILES = """
secret, gateway = sys.argv[1:3]
say(secret=attempt(lambda: read(secret)),
    shadow=attempt(lambda: read("/etc/shadow")),
    passwd=attempt(lambda: read("/etc/passwd")),
    environment=attempt(lambda: read(f"/proc/{gateway}/environ")),
    outside=attempt(lambda: open(os.path.join(os.path.dirname(secret), "new"), "w") and None),
    cut=attempt(lambda: os.truncate(secret, 0)),
    mode=attempt(lambda: os.chmod(secret, 0o600)),
    scratch=attempt(lambda: open("note", "w").write("mine") and read("note")))
open("program", "w").write("#!/bin/sh\\n")
os.fchmod(os.open("program", os.O_RDONLY), 0o700)
say(run=attempt(lambda: os.execv("program", ["program"])))
"""
SIGNALS = """
gateway = int(sys.argv[1])
say(kill=attempt(lambda: os.kill(gateway, 0)), keeper=attempt(lambda: os.kill(os.getppid(), 0)),
    own=attempt(lambda: os.kill(os.getpid(), 0)),
    limits=attempt(lambda: __import__("resource").prlimit(gateway, 7) and None))
"""
CALLS = """
say(ptrace=call(101 if os.uname().machine == "x86_64" else 117, 0, 0, 0, 0),
    unshare=attempt(lambda: os.unshare(os.CLONE_NEWUSER)),
    ring=call(425, 0, None),
    fsopen=call(430, b"nothing", 0),
    unknown=call(1000),
    death=call(157 if os.uname().machine == "x86_64" else 167, 1, 0, 0, 0, 0))
"""
INHERITED = """
def is_open(number):
    try: return bool(os.fstat(number))
    except OSError: return False
say(environment=sorted(os.environ), descriptors=[number for number in range(256) if is_open(number)],
    new_privileges=libc.prctl(39, 0, 0, 0, 0), session=os.getsid(0) == os.getpid(), place=os.getcwd(),
    groups=os.getgroups())
"""
FILE_LENGTH = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
say(wrote=attempt(lambda: open("long", "wb").write(bytes(3 << 20)) and None))
"""
SCRATCH = """
for number in range(8):
    open(f"part{number}", "wb").write(os.urandom(1 << 20))
time.sleep(2)
say(survived=True)
"""
OPEN_FILES = """
say(opened=attempt(lambda: [os.open("/dev/null", 0) for _ in range(200)] and None))
"""
PROCESSOR = """
until = time.process_time() + 1.4
while time.process_time() < until: pass
say(survived=True)
"""
STUBBORN = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
say(ready=True)
while True: time.sleep(60)
"""
DIES = """
if not os.fork():
    os.setsid()
    if os.fork(): os._exit(0)
    say(left=os.getpid()); os.close(1); time.sleep(60)
time.sleep(0.3)
os.abort()
"""
FLOODS = """
for number in range(300):
    sys.stderr.write(f"{number}: " + "x" * 65536)
sys.stderr.write("the end")
sys.stderr.flush()
say(flooded=True)
sys.stdout.write("y" * (4 << 20))
sys.stdout.flush()
"""
