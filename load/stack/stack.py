"""Starting and stopping the whole: servers, schema, receiver, programs, in this order and back."""

import contextlib
import fcntl
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

from load.stack import environment, ports, programs, servers
from load.stack.console import StackError, say, step
from load.stack.layout import Account, Layout, create_data_folder, server_account
from load.stack.processes import STOP_SIGNALS, Service
from mutt.settings import read_env_file


def receiver_service(layout: Layout) -> Service:
    return Service(layout, "receiver", grace_seconds=5)


def feeder_service(layout: Layout) -> Service:
    return Service(layout, "feeder", grace_seconds=5)


def _services(layout: Layout) -> list[Service]:
    return [
        feeder_service(layout),
        programs.supervisord_service(layout),
        receiver_service(layout),
        servers.redis_service(layout),
        servers.postgres_service(layout),
    ]


@contextlib.contextmanager
def exclusively(layout: Layout) -> Iterator[None]:
    """One start or stop at a time; a second one waits for the first."""
    layout.create()
    with (layout.run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- up -------------------------------------------------------------------------------------------------------


def up(layout: Layout, environ: Mapping[str, str]) -> bool:
    """Returns when all five programs are healthy; True when that was so before.

    Raises StackError when it cannot be done. Unless something ran before, all is stopped again then; the logs stay.
    """
    with exclusively(layout):
        if _is_up(layout, environ):
            return True
        all_ports = ports.from_environment(environ)
        values = environment.settings(layout, all_ports, environ)
        ran_before = _end_leftovers(layout)
        if ran_before and values != read_env_file(layout.mutt_env)[0]:
            raise StackError("part of the stack is running with other settings; run `make down` first")
        _require_free_ports(layout, all_ports)
        try:
            _start(layout, all_ports, values, environ)
        except BaseException:
            if not ran_before:
                say(f"Stopping what was started; the logs stay in {layout.logs}")
                _stop_all(layout)
            raise
    return False


def _is_up(layout: Layout, environ: Mapping[str, str]) -> bool:
    if not programs.supervisord_service(layout).running:
        return False
    recorded, _ = read_env_file(layout.mutt_env)
    changed = [f"{name}={value}" for name, value in environment.given(environ).items() if recorded.get(name) != value]
    if changed:
        raise StackError(f"the stack is up without {', '.join(changed)}; run `make down` first")
    return programs.all_healthy(environment.health_urls(ports.from_environment(recorded)))


def _end_leftovers(layout: Layout) -> bool:
    """Ends what killed processes have left behind; True when some of the stack is running as it should."""
    services = _services(layout)
    for service in services:
        if not service.running:
            service.stop()
    return any(service.running for service in services)


def _start(layout: Layout, all_ports: ports.Ports, values: Mapping[str, str], environ: Mapping[str, str]) -> None:
    keys = environment.read_or_make_secrets(layout)
    environment.write_private(layout.mutt_env, values, "Settings of the laptop stack; written at every start.")
    child_environ = environment.for_programs(layout, environ)
    _start_servers(layout, values, keys)
    with step("Bringing the database schema up to date"):
        programs.migrate(layout, child_environ)
    _start_receiver(layout, all_ports, child_environ)
    with step("Starting MUTT's five programs"):
        if not programs.supervisord_service(layout).running:
            programs.start_supervisord(layout, child_environ)
        programs.wait_until_healthy(layout, environment.health_urls(all_ports))
    developer = environment.developer_values(all_ports, values, keys)
    environment.write_private(layout.dev_env, developer, "How to reach the running stack: set -a; . var/dev.env")


def _require_free_ports(layout: Layout, all_ports: ports.Ports) -> None:
    """Looks at all ports before anything is started, except those that are in our own hands."""
    needed = []
    if not servers.redis_service(layout).running:
        needed.append("REDIS_PORT")
    if not servers.postgres_service(layout).running:
        needed.append("DB_PORT")
    if not receiver_service(layout).running:
        needed.append("MOOG_SINK_PORT")
    if not programs.supervisord_service(layout).running:
        needed += ports.PROGRAM_PORTS
    ports.require_free(all_ports, needed)


def _start_servers(layout: Layout, values: Mapping[str, str], keys: Mapping[str, str]) -> None:
    account = _account()
    data = create_data_folder(layout, account)
    if not servers.redis_service(layout).running:
        with step(f"Starting Redis on port {values['REDIS_PORT']}"):
            servers.start_redis(layout, data, account, int(values["REDIS_PORT"]), keys["REDIS_PASS_CURRENT"])
    if not servers.postgres_service(layout).running:
        with step(f"Starting PostgreSQL on port {values['DB_PORT']}"):
            servers.start_postgres(layout, data, account, values, keys["DB_PASS_CURRENT"])


def _account() -> Account:
    try:
        return server_account()
    except LookupError as error:
        raise StackError(f"Redis and PostgreSQL must not run as root, and {error}") from error


def _start_receiver(layout: Layout, all_ports: ports.Ports, environ: Mapping[str, str]) -> None:
    service, port = receiver_service(layout), all_ports["MOOG_SINK_PORT"]
    if service.running:
        return
    with step(f"Starting the stand-in Moogsoft receiver on port {port}"):
        argv = [str(layout.bin / "python"), "-m", "load.receiver", "--port", str(port)]
        service.start(argv, environ, cwd=layout.root)
        service.wait_until(lambda: programs.health(f"http://127.0.0.1:{port}/health")[0], 20)


# --- down -----------------------------------------------------------------------------------------------------


def down(layout: Layout) -> bool:
    """Returns when every process of this stack has ended; False when there was none."""
    with exclusively(layout):
        return _stop_all(layout)


def _stop_all(layout: Layout) -> bool:
    """Sources first, then the programs, which finish the work in hand, then what they need for that."""
    for number in STOP_SIGNALS:  # Whoever has lost patience must not leave half of it running.
        signal.signal(number, signal.SIG_IGN)
    found = [feeder_service(layout).stop(), programs.stop_supervisord(layout)]
    last = [receiver_service(layout), servers.redis_service(layout), servers.postgres_service(layout)]
    for service in last:
        service.ask_to_stop()
    found += [service.stop() for service in last]
    return any(found)


def clean(layout: Layout) -> None:
    """Stops the stack and removes its data, also where it lives outside the checkout."""
    down(layout)
    if layout.away.exists() and layout.away.stat().st_uid in (os.geteuid(), _account().uid):
        shutil.rmtree(layout.away)
    _empty(layout.var)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
