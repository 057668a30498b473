"""A real Slurm with two nodes on this machine, for as long as the tests need it."""

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
# Without systemd and control groups; both nodes carry this machine's name and differ by their port.
CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={dir}/munge/munge.socket
CredType=cred/munge
StateSaveLocation={dir}/state
SlurmdSpoolDir={dir}/spool.%n
SlurmctldPidFile={dir}/slurmctld.pid
SlurmdPidFile={dir}/slurmd.%n.pid
SlurmctldLogFile={dir}/slurmctld.log
SlurmdLogFile={dir}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,sched_min_interval=100000,batch_sched_delay=0,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=2
MinJobAge=300
GresTypes=gpu
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={n1_port} CPUs=2 RealMemory=2000 Gres=gpu:2
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={n2_port} CPUs=2 RealMemory=2000 Gres=gpu:2
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""
GRES = """\
NodeName=n1 Name=gpu File=/dev/null
NodeName=n1 Name=gpu File=/dev/zero
NodeName=n2 Name=gpu File=/dev/null
NodeName=n2 Name=gpu File=/dev/zero
"""


def why_not() -> str:
    """Why no Slurm can be started here; empty when one can."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [name for name in PROGRAMS if not shutil.which(name, path=path)]
    if missing:
        return f"{', '.join(missing)} not installed (apt-get: slurmctld slurmd slurm-client munge)"
    return "" if os.geteuid() == 0 else "Slurm's daemons need root"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def reachable_directory() -> Iterator[Path]:
    """A new directory that another user can reach, as munged must.

    Not pytest's: /tmp/pytest-of-USER is the user's alone, and every pytest that starts sees to it.
    """
    with tempfile.TemporaryDirectory(prefix="asr-dro-slurm-", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o755)
        yield Path(name)


@contextlib.contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Wait until no other process is in here with the same file."""
    with open(lock, "a", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


class OneMachineSlurm:
    """Starts munged, slurmctld and two slurmd below ``directory``; ends them on exit."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.daemons: list[subprocess.Popen] = []
        self.env = dict(
            os.environ,
            SLURM_CONF=str(directory / "slurm.conf"),
            PATH=os.environ["PATH"] + ":/usr/sbin:/sbin",
        )

    def __enter__(self) -> "OneMachineSlurm":
        try:
            self.configure()
            self.start_munged()
            self.start("slurmctld", "-D")
            for node in ("n1", "n2"):
                self.start("slurmd", "-D", "-N", node)
            self.wait_until_idle()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.call("scancel", "--user=root")
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.end_strays()

    def end_strays(self) -> None:
        """Kill what a daemon has left behind: all that carries this configuration."""
        mark = b"SLURM_CONF=" + os.fsencode(self.directory / "slurm.conf") + b"\0"
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (process / "environ").read_bytes() and process.name != str(os.getpid()):
                    os.kill(int(process.name), signal.SIGKILL)

    def configure(self) -> None:
        """Write the configuration."""
        self.directory.chmod(0o755)
        for name in ("state", "munge"):
            (self.directory / name).mkdir()
        ctld_port, n1_port, n2_port = free_ports(3)
        host = socket.gethostname().split(".")[0]
        values = {"dir": self.directory, "host": host, "ctld_port": ctld_port}
        conf = CONF.format(**values, n1_port=n1_port, n2_port=n2_port)
        (self.directory / "slurm.conf").write_text(conf)
        (self.directory / "gres.conf").write_text(GRES)

    def start_munged(self) -> None:
        """A munged of our own, with a key and a socket of its own."""
        folder = self.directory / "munge"
        (folder / "munge.key").write_bytes(os.urandom(128))
        (folder / "munge.key").chmod(0o400)
        user = pwd.getpwnam("munge")
        for path in (folder, folder / "munge.key"):
            os.chown(path, user.pw_uid, user.pw_gid)
        folder.chmod(0o755)
        files = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munged.pid",
                 "log-file": "munged.log", "seed-file": "munged.seed"}  # fmt: skip
        words = [f"--{option}={folder / name}" for option, name in files.items()]
        self.start("munged", "--foreground", *words, user="munge")
        self.wait_for((folder / "munge.socket").exists, "munged's socket")

    def start(self, *command: str, user: str | None = None) -> None:
        """Start a daemon in the foreground, its words in a log."""
        log = self.directory / f"{command[0]}.{command[-1]}.out".replace("/", "_")
        program = shutil.which(command[0], path=self.env["PATH"])
        with open(log, "wb") as stream:
            self.daemons.append(
                subprocess.Popen(
                    [program, *command[1:]],
                    env=self.env,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=stream,
                    user=user,
                    start_new_session=True,
                )  # fmt: skip
            )

    def wait_until_idle(self) -> None:
        """Wait until both nodes take jobs."""
        self.wait_for(lambda: self.call("sinfo", "-h", "-N", "-o", "%N %t").split() ==
                      ["n1", "idle", "n2", "idle"], "two idle nodes")  # fmt: skip

    def wait_for(self, condition, what: str, seconds: float = 60) -> None:
        """Poll until ``condition`` holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                logs = "\n".join(
                    f"{path.name}: {path.read_text(errors='replace')[-1500:]}"
                    for path in sorted(self.directory.glob("*.log"))
                )
                raise RuntimeError(f"no {what} after {seconds} s:\n{logs}")
            time.sleep(0.1)

    def call(self, *command: str) -> str:
        """stdout of a Slurm command."""
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=240)
        return done.stdout
