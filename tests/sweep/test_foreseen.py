"""Memory before data is tokenized."""

from __future__ import annotations

from commandline import Planned, chain, said

from xstilts.sweep.asked import Asked
from xstilts.sweep.describe import describe
from xstilts.sweep.foreseen import fewest, foresee

STATE = 16  # bytes a parameter


def test_what_a_training_takes_grows_with_what_it_reads_at_once(planned: Planned) -> None:
    plan = planned("model=large", "inter=squad", "target=xquad", "baseline=false")
    train, *_, evaluate = (plan.stages[name] for name in chain(plan))
    state = STATE * train.about["parameters"]
    most, least = (foresee(train, "cuda", least).need for least in (False, True))
    assert state < least.total < most.total < 2 * state
    assert foresee(evaluate, "cuda").need.total < state / 2
    train.numerics["micro_tokens"] = 512
    assert foresee(train, "cuda").need == least


def test_a_bound_where_the_table_may_be_cut(planned: Planned) -> None:
    line = ("inter=mnli", "target=xnli", "baseline=false")
    for more, bound in ((), True), (("numerics.embeddings=whole",), False):
        plan = planned(*line, *more)
        assert foresee(plan.stages[chain(plan)[0]], "cuda").bound == bound
    plan = planned(*line, "regime=english_mlm")
    mixed = [s for s in plan.stages.values() if s.kind == "train" and len(s.spec["mixture"]) > 1]
    assert mixed
    assert not any(foresee(stage, "cuda").bound for stage in mixed), "all of the vocabulary is predicted"


def test_the_fewest_gpus_that_hold_a_training(planned: Planned) -> None:
    plan = planned("model=base,xl", "inter=none", "target=tydiqa")
    found = {plan.stages[s].about["model"]: fewest([plan.stages[s]]) for s in plan.stages if s.startswith("train")}
    assert set(found["base"].values()) == {1}
    all_of_xl = [stage for stage in plan.stages.values() if stage.kind == "train" and stage.about["model"] == "xl"]
    assert fewest(reversed(all_of_xl)) == fewest(all_of_xl) == found["xl"]
    assert found["xl"][141] == found["xl"][80] == 1
    assert found["xl"][24] > found["xl"][40] > 1
    shown = said(lambda console: describe(plan, console, ask=lambda stage: Asked("gpu", 1, None)))
    assert "fewest GPUs that hold a training of xl" in shown
    assert "1 of 80 GB, 1 of 141 GB" in " ".join(shown.split())
    assert "training of base" not in shown
