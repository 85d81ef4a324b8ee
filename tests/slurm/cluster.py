"""A real Slurm cluster on one machine, for tests: munge, MariaDB, slurmdbd, slurmctld and several slurmd, on loopback.

    python tests/slurm/cluster.py up | down | status | env

No systemd, no cgroups, no container; everything lies under one directory, and only what was started from there is ever
stopped. Needs root (jobs of several users) and Debian's packages slurm-wlm, slurmdbd, slurm-wlm-mysql-plugin,
mariadb-server and munge. The directory's path must be short: a Unix socket's is limited to 107 characters.

Partitions: `main`; `short` with a limit of one minute; `low`, preempted and requeued by `high`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

NEEDED = ("munged", "mariadbd", "mariadb-install-db", "slurmdbd", "slurmctld", "slurmd", "sbatch")
USERS = ("root", "games", "news")  # who may submit: Debian has them all
MARK = "XSTILTS_TEST_CLUSTER"  # in the environment of every daemon, and so of every job

SLURM = """\
ClusterName=toy
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
# cred_expire is also how long a requeued job waits before it may start again.
AuthInfo=socket={root}/run/munge.sock,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/run/slurmctld.pid
SlurmdPidFile={root}/run/slurmd.%n.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdLogFile={root}/log/slurmd.%n.log
SlurmctldTimeout=30
SlurmdTimeout=10
ReturnToService=2
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
SlurmdParameters=config_overrides
MpiDefault=none
SwitchType=switch/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,sched_min_interval=0,batch_sched_delay=0,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PriorityType=priority/multifactor
PriorityWeightPartition=1000
DefMemPerCPU=512
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MailProg=/bin/true
KillWait=5
MaxArraySize={max_array_size}
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={accounting}
# The socket to slurmdbd's munge; AuthInfo is not asked for that.
AccountingStoragePass={root}/run/munge.sock
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations,limits
JobCompType=jobcomp/none
GresTypes=gpu
NodeName=node[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs={cpus} Boards=1 \
SocketsPerBoard=1 CoresPerSocket={cpus} ThreadsPerCore=1 RealMemory=64000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=60 PriorityTier=10 PreemptMode=OFF State=UP
PartitionName=short Nodes=ALL MaxTime=1 DefaultTime=1 PriorityTier=10 PreemptMode=OFF State=UP
PartitionName=low Nodes=ALL MaxTime=INFINITE DefaultTime=60 PriorityTier=1 PreemptMode=REQUEUE GraceTime=20 State=UP
PartitionName=high Nodes=ALL MaxTime=INFINITE DefaultTime=60 PriorityTier=100 PreemptMode=OFF State=UP
"""

DATABASE = """\
AuthType=auth/munge
AuthInfo=socket={root}/run/munge.sock
CommunicationParameters=NoInAddrAny
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={accounting}
SlurmUser={user}
PidFile={root}/run/slurmdbd.pid
LogFile={root}/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass=slurm
StorageLoc=accounting
"""


class Unavailable(Exception):
    """No cluster can be had on this machine; the message says why."""


@dataclass
class Cluster:
    """All daemons of one cluster; `up` starts those that are not running."""

    root: Path = field(default_factory=lambda: Path(os.environ.get(MARK, "/tmp/xstilts-slurm")))
    nodes: int = 4
    cpus: int = 2
    gpus: int = 2
    max_array_size: int = 1001
    port: int = 17800

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs, and what marks our processes."""
        return {"SLURM_CONF": str(self.root / "etc/slurm.conf"), MARK: str(self.root)}

    def names(self) -> list[str]:
        return [f"node{i}" for i in range(1, self.nodes + 1)]

    # up and down ----------------------------------------------------------------------------------------------------

    def up(self) -> None:
        """Start what is not running, and wait until every node takes jobs. Raises `Unavailable`."""
        missing = [name for name in NEEDED if _which(name) is None]
        if missing:
            raise Unavailable(f"not installed: {', '.join(missing)}")
        if os.getuid() != 0:
            raise Unavailable("a test cluster is started as root")
        self.configure()
        self._resolve(self.names())
        self._munge()
        self._database()
        self.accounting()
        self.controller()
        for name in self.names():
            self.node(name)
        _wait(60, "the nodes", lambda: self._ready() == self.nodes)

    def down(self) -> None:
        """Cancel every job, stop every daemon, and what they left running."""
        if self.running("slurmctld"):
            for user in USERS:
                self.run("scancel", f"--user={user}", check=False)
            _wait(30, "the jobs' end", lambda: not self.run("squeue", "-h"), strict=False)
        for name in [*(f"slurmd.{n}" for n in self.names()), "slurmctld", "slurmdbd", "mariadbd", "munged"]:
            self.stop(name)
        for pid in self._marked():
            _signal(pid, signal.SIGKILL)
        self._resolve([])

    def configure(self) -> None:
        """Write the configuration; `controller` reads it when it starts."""
        for name in ("etc", "run", "log", "state", "mysql", "dev", *(f"spool/{n}" for n in self.names())):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for i in range(self.gpus):  # a GPU's file must be a character device, or CUDA_VISIBLE_DEVICES stays unset
            link = self.root / f"dev/gpu{i}"
            if not link.is_symlink():
                link.symlink_to("/dev/null")
        key = self.root / "etc/munge.key"
        if not key.exists():
            key.write_bytes(os.urandom(128))
            key.chmod(0o600)
        values = {
            **{"root": self.root, "host": socket.gethostname().split(".")[0], "user": "root", "nodes": self.nodes},
            **{"cpus": self.cpus, "gpus": self.gpus, "max_array_size": self.max_array_size},
            **{"controller": self.port + 17, "accounting": self.port + 19, "database": self.port + 6},
            **{"first": self.port + 101, "last": self.port + 100 + self.nodes},
        }
        (self.root / "etc/slurm.conf").write_text(SLURM.format(**values))
        devices = f"{self.root}/dev/gpu[0-{self.gpus - 1}]"
        (self.root / "etc/gres.conf").write_text(f"NodeName=node[1-{self.nodes}] Name=gpu File={devices}\n")
        secret = self.root / "etc/slurmdbd.conf"
        secret.write_text(DATABASE.format(**values))
        secret.chmod(0o600)

    # daemons --------------------------------------------------------------------------------------------------------

    def _munge(self) -> None:
        if self.running("munged"):
            return
        run = self.root / "run"
        options = {"key-file": "etc/munge.key", "socket": "run/munge.sock", "pid-file": "run/munged.pid"}
        options |= {"log-file": "log/munged.log", "seed-file": "run/munged.seed"}
        self.run("munged", *(f"--{key}={self.root / value}" for key, value in options.items()))
        _wait(10, "munge", lambda: (run / "munge.sock").exists())

    def _database(self) -> None:
        if self.running("mariadbd"):
            return
        data, sock = self.root / "mysql", self.root / "run/mariadb.sock"
        if not (data / "mysql").is_dir():
            root = "--auth-root-authentication-method=normal"
            self.run("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}", root, "--skip-test-db")
        options = [f"--datadir={data}", f"--socket={sock}", f"--pid-file={self.root}/run/mariadbd.pid"]
        options += ["--bind-address=127.0.0.1", f"--port={self.port + 6}", "--skip-name-resolve"]
        options += ["--performance-schema=OFF", "--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900"]
        options += ["--innodb-flush-log-at-trx-commit=0", f"--log-error={self.root}/log/mariadbd.log"]
        subprocess.Popen(
            [_path("mariadbd"), "--no-defaults", "--user=root", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **self.environment},
        )
        client = ["--no-defaults", f"--socket={sock}", "-u", "root"]
        _wait(60, "the database", lambda: self._works("mariadb-admin", *client, "ping"))
        orders = "CREATE DATABASE IF NOT EXISTS accounting;"
        orders += "GRANT ALL ON accounting.* TO slurm@'127.0.0.1' IDENTIFIED BY 'slurm';"
        self.run("mariadb", *client, "-e", orders)

    def accounting(self) -> None:
        """slurmdbd, and one account that may submit."""
        if not self.running("slurmdbd"):
            self.run("slurmdbd")
        _wait(60, "slurmdbd", lambda: self._works("sacctmgr", "-n", "show", "cluster"))
        if "toy" not in self.run("sacctmgr", "-n", "show", "cluster", "format=cluster"):
            self.run("sacctmgr", "-i", "add", "cluster", "toy")
        if "lab" not in self.run("sacctmgr", "-n", "show", "account", "format=account"):
            self.run("sacctmgr", "-i", "add", "account", "lab")
        for user in USERS:
            if user not in self.run("sacctmgr", "-n", "show", "assoc", "account=lab", "format=user"):
                self.run("sacctmgr", "-i", "add", "user", user, "account=lab", "defaultaccount=lab")

    def controller(self) -> None:
        if not self.running("slurmctld"):
            self.run("slurmctld")
        _wait(60, "slurmctld", lambda: "is UP" in self.run("scontrol", "ping", check=False))

    def node(self, name: str) -> None:
        """Start a node, again if it has crashed.

        An srun that stayed behind is ended before. It would learn of its node's failure now and have the controller
        kill its step, which has the number of the step that the job has elsewhere by now.
        """
        if self.running(f"slurmd.{name}"):
            return
        _end(pid for pid in self._marked(f"SLURMD_NODENAME={name}") if _state(pid) == "T")
        self.run("slurmd", "-N", name)

    @contextmanager
    def tight(self, array: int, jobs: int) -> Iterator[None]:
        """Inside, MaxArraySize and MaxSubmitJobs are low."""
        self.limit(jobs)
        self._arrays(array)
        try:
            yield
        finally:
            self._arrays(1001)
            self.limit(-1)

    def _arrays(self, size: int) -> None:
        self.max_array_size = size
        self.configure()
        self.stop("slurmctld")
        self.controller()

    def limit(self, jobs: int) -> None:
        """How many jobs the account's users may have, held array elements included; -1 for no limit."""
        for user in USERS:
            self.run("sacctmgr", "-i", "modify", "user", user, "set", f"MaxSubmitJobs={jobs}")

    def crash(self, name: str, tasks: bool = True) -> None:
        """A node's slurmd dies without a word; with `tasks` everything on it, else its jobs live on, unseen.

        The sruns of jobs that live on, which no network cut separates from the controller here, are stopped.
        """
        log = self.root / f"log/slurmd.{name}.log"
        jobs = self._marked(f"SLURMD_NODENAME={name}")
        if tasks:
            _end([*jobs, *(pid for pid in _pids() if log in _open_files(pid))])
        else:
            for pid in filter(lambda pid: _command(pid) == "srun", jobs):
                _signal(pid, signal.SIGSTOP)
            _end(filter(None, [self.pid(f"slurmd.{name}")]))
        _wait(10, "the crash", lambda: not self.running(f"slurmd.{name}"))

    def down_nodes(self) -> set[str]:
        """Those that the controller has given up."""
        return set(self.run("sinfo", "-h", "-N", "-t", "down", "-o", "%N").split())

    def stop(self, name: str) -> None:
        """End a daemon as its service would. slurmctld must never be killed harder: it saves its state late."""
        pid = self.pid(name)
        if pid is not None:
            _signal(pid, signal.SIGTERM)
            _wait(60, f"the end of {name}", lambda: not _runs(pid))

    def pid(self, name: str) -> int | None:
        try:
            pid = int((self.root / f"run/{name}.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if _runs(pid) else None

    def running(self, name: str) -> bool:
        return self.pid(name) is not None

    # clients --------------------------------------------------------------------------------------------------------

    def run(self, *command: str, check: bool = True) -> str:
        """A client's or daemon's standard output. Raises `RuntimeError` with what it said when it fails."""
        environment = {**os.environ, **self.environment}
        log = self.root / "log/commands.log"  # a file, since daemons that fork would keep a pipe open
        with log.open("w+") as errors, (self.root / "log/output.log").open("w+") as output:
            done = subprocess.run([_path(command[0]), *command[1:]], stdout=output, stderr=errors, env=environment)
            output.seek(0)
            errors.seek(0)
            if check and done.returncode:
                raise RuntimeError(f"{' '.join(command)}: {errors.read()}")
            return output.read()

    def _works(self, *command: str) -> bool:
        try:
            self.run(*command)
        except RuntimeError:
            return False
        return True

    def _ready(self) -> int:
        states = self.run("sinfo", "-h", "-N", "-p", "main", "-o", "%t", check=False).split()
        return sum(state in ("idle", "mix", "alloc", "comp") for state in states)  # `idle*` does not answer yet

    def _marked(self, mark: str = "") -> list[int]:
        """Processes with our mark in their environment, this one and those it belongs to left out."""
        wanted = [f"{MARK}={self.root}".encode(), *([mark.encode()] if mark else [])]
        spared = os.getpgid(0)
        found = []
        for pid in _pids():
            try:
                environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                if all(w in environment for w in wanted) and os.getpgid(pid) != spared:
                    found.append(pid)
            except OSError:
                continue
        return found

    def _resolve(self, names: Iterable[str]) -> None:
        """Node names resolve while the cluster is up. The file may be a bind mount: written in place."""
        hosts, tag = Path("/etc/hosts"), f"# {self.root.name}"
        lines = [line for line in hosts.read_text().splitlines() if not line.endswith(tag)]
        if names:
            lines.append(f"127.0.0.1 {' '.join(names)} {tag}")
        hosts.write_text("\n".join(lines) + "\n")


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")


def _path(name: str) -> str:
    found = _which(name)
    if found is None:
        raise Unavailable(f"not installed: {name}")
    return found


def _pids() -> list[int]:
    return [int(p) for p in os.listdir("/proc") if p.isdigit()]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _runs(pid: int) -> bool:
    """A zombie does not: a container's first process may be slow to reap it."""
    return _state(pid) not in ("", "Z")


def _state(pid: int) -> str:
    """Its letter: R, S, T where it is stopped, Z; nothing when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _open_files(pid: int) -> set[Path]:
    try:
        return {entry.readlink() for entry in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return set()


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _end(pids: Iterable[int]) -> None:
    """All at once: stopped first, so that nothing lives to see another die, and children before their parents.

    An srun that misses its step has the controller kill it, and so has the process that watches over an srun. That is
    in vain where the node is gone, but the controller keeps such a message until the node is back, where it meets the
    job's next start. A stopped process whose parent dies before it gets a SIGHUP and goes on.
    """
    dying = sorted(set(pids), reverse=True)
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in dying:
            _signal(pid, number)


def _wait(seconds: float, what: str, over: Callable[[], bool], strict: bool = True) -> None:
    until = time.monotonic() + seconds
    while not over():
        if time.monotonic() > until:
            if strict:
                raise RuntimeError(f"waited {seconds:.0f} s for {what}, in vain")
            return
        time.sleep(0.2)


def main(arguments: list[str]) -> int:
    cluster = Cluster()
    try:
        if arguments == ["up"]:
            cluster.up()
            print(f"up: {cluster.nodes} nodes. For a shell: eval $(python {Path(__file__).name} env)")
        elif arguments == ["down"]:
            cluster.down()
        elif arguments == ["status"]:
            print(cluster.run("sinfo") if cluster.running("slurmctld") else "down")
        elif arguments == ["env"]:
            print("\n".join(f"export {key}={value}" for key, value in cluster.environment.items()))
        else:
            print(__doc__)
            return 2
    except Unavailable as why:
        print(f"no cluster here: {why}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
