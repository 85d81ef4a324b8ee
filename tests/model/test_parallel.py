"""What ranks say to each other; what they compute together is in tests/work/test_follow.py."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist

from xstilts.errors import UserError
from xstilts.model.parallel import ALONE, BUCKET, Ended, Group, Lost, Place, _buckets, joined


@pytest.fixture
def pair() -> tuple[Group, Group]:
    store = dist.HashStore()
    return Group(0, 2, store), Group(1, 2, store)


def test_the_others_hear_the_first_in_order_until_it_ends(pair: tuple[Group, Group]) -> None:
    first, other = pair
    for value in (None, [{"score": 0.1 + 0.2}], "text"):
        assert first.tell(value) == value
        assert other.tell("not mine to say") == value
    first.end("stopped")
    with pytest.raises(Ended) as end:
        other.tell()
    assert end.value.status == "stopped"
    first.tell("the next stage")
    assert other.tell() == "the next stage"


def test_ranks_that_differ_are_refused(pair: tuple[Group, Group]) -> None:
    first, other = pair
    first.agree({"threads": 1, "device": "cpu"})
    with pytest.raises(UserError, match=r"ranks 0 and 1 differ: \{'threads': \[1, 2\]\}"):
        other.agree({"threads": 2, "device": "cpu"})


def test_who_is_missed_may_have_left_word(pair: tuple[Group, Group], monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(values: torch.Tensor) -> None:
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr(dist, "all_reduce", closed)
    first, other = pair
    with pytest.raises(Lost, match=r"was killed or does not answer .*Connection closed"):
        first.total(1)
    other.fail(Lost("the first one"))  # not its own failure
    with pytest.raises(Lost, match="was killed"):
        first.total(1)
    other.fail(MemoryError("out of memory"))
    with pytest.raises(Lost, match=r"^rank 1: MemoryError: out of memory$"):
        first.total(1)


def test_a_single_process_sends_nothing() -> None:
    loss, terms, weight = torch.tensor(2.0), torch.tensor(3), torch.nn.Parameter(torch.ones(2))
    assert ALONE.add_up(loss, terms) == (loss, terms)
    ALONE.add_gradients([weight])
    assert weight.grad is None
    assert ALONE.total(True, 0, 7) == [1, 0, 7]
    assert ALONE.tell("x") == "x"
    ALONE.end("done")
    for place in (None, Place(0, 1, 0, "nowhere", 0)):
        with joined(place) as group:
            assert group is ALONE


def test_gradients_are_sent_in_buckets_in_their_order() -> None:
    sizes = [3, BUCKET - 3, 1, BUCKET + 5, 2, 2]
    gradients = [torch.empty(size, device="meta") for size in sizes]
    found = [[gradient.numel() for gradient in bucket] for bucket in _buckets(gradients)]
    assert found == [[3, BUCKET - 3], [1], [BUCKET + 5], [2, 2]]
    assert list(_buckets([])) == []


def test_torchrun_says_who_we_are() -> None:
    said = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "node1", "MASTER_PORT": "29500"}
    assert Place.torchrun(said) == Place(3, 4, 1, "node1", 29500)
    assert Place.torchrun({"SLURM_NTASKS": "4"}) is None
