"""Whether the owner of a claim is alive."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import time

import psutil
import pytest

from xstilts import owner


@pytest.fixture
def child() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def test_this_process_is_alive_however_silent() -> None:
    assert owner.alive(owner.process(), float("inf"))


def test_an_owner_that_ended_is_dead_even_before_its_parent_notices(child: subprocess.Popen[bytes]) -> None:
    who = owner.process(child.pid)
    assert owner.alive(who, 0.0)
    child.kill()
    deadline = time.monotonic() + 30
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not owner.alive(who, 0.0)  # a zombie
    child.communicate()
    assert not owner.alive(who, 0.0)


def test_a_process_that_got_a_dead_ones_number_is_not_the_owner() -> None:
    who = {**owner.process(), "started": owner.process()["started"] - 100}
    assert not owner.alive(who, 0.0)


def test_of_another_host_silence_tells() -> None:
    who = {**owner.process(), "host": "elsewhere"}
    assert owner.alive(who, owner.SILENCE - 1)
    assert not owner.alive(who, owner.SILENCE + 1)
    assert not owner.alive(who, float("inf"))


def test_an_owner_can_be_named() -> None:
    text = owner.describe(owner.process())
    assert str(os.getpid()) in text
    assert owner.user() in text


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert owner.user() == str(os.getuid())


def test_a_launcher_answers_for_its_owners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "_launchers", {})
    who = {"launcher": "kite", "user": "somebody", "string": "long"}
    assert owner.alive(who, float("inf"))  # nobody can be asked: it keeps what it has
    assert owner.describe(who) == "somebody, by kite"
    owner.register("kite", owner.Answers(lambda o: o["string"] == "long", lambda o: f"a {o['string']} kite"))
    assert owner.alive(who, float("inf"))
    assert not owner.alive({**who, "string": "cut"}, 0.0)
    assert owner.describe(who) == "a long kite"
