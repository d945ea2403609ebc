"""Programs that do what a child may not, and one that does what servers do; each prints lines of JSON."""

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
def fast(send):
    return send(socket.socket(), [b"x"], [], 0x20000000, ("127.0.0.1", closed)) and None
def listens():
    door = socket.socket(); door.listen(); return door.getsockname()[0] != "0.0.0.0" or None
def datagrams():
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); one.connect(sys.argv[3]); one.send(b"x")
say(tcp=attempt(lambda: socket.create_connection(("127.0.0.1", port), 2) and None),
    other=attempt(lambda: socket.create_connection(("127.0.0.1", closed), 2) and None),
    unix=attempt(lambda: socket.socket(socket.AF_UNIX) and None),
    udp=attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM) and None),
    raw=attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262) and None),
    bind=attempt(lambda: socket.socket().bind(("127.0.0.1", 0))),
    fast=attempt(lambda: fast(lambda door, what, _, flags, to: door.sendto(what[0], flags, to))),
    fast_message=attempt(lambda: fast(socket.socket.sendmsg)),
    listen=attempt(listens), datagrams=attempt(datagrams),
    pair=attempt(lambda: socket.socketpair() and None))
"""
USUAL = """
import asyncio, concurrent.futures, multiprocessing, shutil, sqlite3, subprocess
def files():
    os.mkdir("d"); open("d/a", "w").write("a"); os.replace("d/a", "d/b"); os.symlink("b", "d/l"); os.link("d/b", "d/h")
    shutil.copyfile("d/b", "d/c"); os.statvfs("d"); shutil.rmtree("d")
def database():
    with sqlite3.connect("db") as rows: rows.execute("pragma journal_mode=wal"); rows.execute("create table t(a)")
async def starts():
    child = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    assert (await child.communicate(b"x"))[0] == b"x"
    await asyncio.to_thread(time.sleep, 0.01)
def forks():
    ways = multiprocessing.get_context("fork"); here, there = ways.Pipe()
    child = ways.Process(target=there.send, args=(1,)); child.start(); here.recv(); child.join()
def shell(text): subprocess.run(text, shell=True, check=True, capture_output=True)
GIT = "git init -q r && cd r && git config user.email a && git config user.name b && echo x > f && git add . && \\
git commit -qm one && git checkout -q -b c && git clone -q . ../s && git gc -q && git log"
NODE = '''const fs = require("fs"), cp = require("child_process"), wt = require("worker_threads");
fs.mkdirSync("e"); fs.writeFileSync("e/a", "x"); fs.renameSync("e/a", "e/b");
fs.readdirSync("e"); fs.rmSync("e", {recursive: true});
if (cp.execSync("echo hi").toString() !== "hi\\\\n") process.exit(1);
fs.promises.readFile("db").then(() => new wt.Worker("1", {eval: true}).on("exit", code => process.exit(code)));'''
acts = {"files": files, "database": database, "starts": lambda: asyncio.run(starts()), "forks": forks,
        "threads": lambda: list(concurrent.futures.ThreadPoolExecutor(3).map(str, range(9))) and None,
        "shell": lambda: shell("ls -la /usr | cat; date; sleep 0.01; find . | sort; grep -r a . || true"),
        "timer": lambda: signal.setitimer(signal.ITIMER_REAL, 60) and None}
if shutil.which("git"): acts["git"] = lambda: shell(GIT)
if shutil.which("node"): acts["node"] = lambda: subprocess.run(["node", "-e", NODE], check=True) and None
say(**{name: attempt(act) for name, act in acts.items()})
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
os.write(os.open("program", os.O_CREAT | os.O_WRONLY, 0o700), b"#!/bin/sh\\n")
say(run=attempt(lambda: os.execv("program", ["program"])))
"""
DESCRIPTORS = """
import fcntl
def named(name, *arguments):
    if (answer := getattr(libc, name)(*arguments)) < 0: raise OSError(ctypes.get_errno(), name)
    return answer
signal.signal(signal.SIGIO, signal.SIG_IGN)
made = os.open("made", os.O_CREAT | os.O_RDWR, 0o600)
say(fchmod=attempt(lambda: os.fchmod(made, 0o644)), fchown=attempt(lambda: os.fchown(made, os.getuid(), -1)),
    futimens=attempt(lambda: os.utime(made)), utimensat=attempt(lambda: os.utime("made")),
    fsetxattr=attempt(lambda: os.setxattr(made, "user.mark", b"x")),
    inotify=attempt(lambda: named("inotify_add_watch", named("inotify_init1", 0), b"/usr", 0x20) and None),
    notify=attempt(lambda: fcntl.fcntl(os.open("/usr", 0), fcntl.F_NOTIFY, fcntl.DN_ACCESS) and None),
    lease=attempt(lambda: fcntl.fcntl(os.open("alone", os.O_CREAT), fcntl.F_SETLEASE, fcntl.F_RDLCK) and None),
    attributes=attempt(lambda: fcntl.ioctl(made, 0x40086602, (0x40).to_bytes(8, "little")) and None))
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
