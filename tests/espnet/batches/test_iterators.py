"""The factory of ``iterator_type: task``: the planned order, resumed anywhere."""

import argparse
import itertools
import logging
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from espnet2.train.collate_fn import CommonCollateFn
from espnet2.train.distributed_utils import DistributedOption
from espnet2.train.trainer import Trainer

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.batches.iterators import PlannedIterFactory, build_planned_factory
from asr_dro_plugin.espnet.batches.planned_data import read_planned_data
from asr_dro_plugin.samplers import build_sampler
from tests.espnet.conftest import arguments, write_config

NUM = 120


class Noisy:
    """A dataset that draws from every global generator, as augmentation does."""

    def __getitem__(self, utt_id):
        draws = [random.random(), np.random.rand(), torch.rand(1).item()]  # noqa: NPY002
        return utt_id, {"speech": np.array(draws, dtype=np.float32)}


def factory(sampler="group_duration", **changes):
    rng = np.random.default_rng(0)
    options = {
        "dataset": Noisy(),
        "utt_ids": [f"utt{number:03d}" for number in range(NUM)],
        "durations": rng.uniform(1, 15, NUM),
        "group_ids": np.arange(NUM) % 3,
        "sampler": build_sampler(sampler),
        "seed": 5,
        "collate_fn": CommonCollateFn(),
        **changes,
    }
    return PlannedIterFactory(**options)


def contents(loader):
    """What a loader yields, as plain values."""
    return [
        (tuple(utt_ids), batch["speech"].tolist() if batch else []) for utt_ids, batch in loader
    ]


def names(loader):
    return [tuple(utt_ids) for utt_ids, _ in loader]


def test_batches_come_in_the_planned_order_as_espnets_loaders_give_them():
    made = factory()
    loader = made.build_iter(1)
    plan = made.plan()
    assert names(loader) == [tuple(f"utt{index:03d}" for index in batch) for batch in plan]
    utt_ids, batch = next(iter(loader))
    assert isinstance(utt_ids, list) and batch["speech"].shape == (len(utt_ids), 3)
    assert batch["speech_lengths"].tolist() == [3] * len(utt_ids)
    assert len(loader) == len(plan)


def test_every_epoch_is_another_plan_of_all_utterances():
    made = factory()
    first, second = names(made.build_iter(1)), names(made.build_iter(2))
    assert first != second
    for epoch in (first, second):
        assert len(list(itertools.chain(*epoch))) == len(set(itertools.chain(*epoch))) == NUM


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("num_iters_per_epoch", [None, 7])
def test_an_epoch_goes_on_after_a_skip_as_it_would_have(num_workers, num_iters_per_epoch):
    whole = contents(factory(num_iters_per_epoch=num_iters_per_epoch).build_iter(3))
    made = factory(num_iters_per_epoch=num_iters_per_epoch, num_workers=num_workers)
    loader = made.build_iter(3, skip=4)
    assert len(loader) == len(whole) - 4
    assert contents(loader) == whole[4:]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_loading_leaves_the_global_generators_alone(num_workers):
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    expected = random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    made = factory(num_workers=num_workers)
    contents(made.build_iter(1))
    made.load(made.longest_batch())
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected  # noqa: NPY002


def test_each_epoch_and_batch_draws_other_numbers():
    made = factory()
    drawn = [tuple(row) for epoch in (1, 2) for _, rows in contents(made.build_iter(epoch))
             for row in rows]  # fmt: skip
    assert len(set(drawn)) == len(drawn)


def test_epochs_of_a_set_length_walk_over_one_stream_of_plans():
    made = factory(num_iters_per_epoch=7)
    stream = [batch for epoch in range(1, 9) for batch in names(made.build_iter(epoch))]
    plans = [names(factory().build_iter(epoch)) for epoch in range(1, 6)]
    assert stream == list(itertools.chain(*plans))[: 8 * 7]


@pytest.mark.parametrize("num_iters_per_epoch", [None, 7, 40])
def test_a_state_goes_on_where_it_was_taken(num_iters_per_epoch):
    made = factory(num_iters_per_epoch=num_iters_per_epoch)
    epochs = {epoch: names(made.build_iter(epoch)) for epoch in (1, 2, 3, 4)}
    made.build_iter(1), made.build_iter(2)
    other = factory(num_iters_per_epoch=num_iters_per_epoch)
    other.load_state_dict(made.state_dict())
    assert names(other.build_iter(2)) == epochs[2]
    assert names(other.build_iter(3)) == epochs[3]
    assert names(other.build_iter(1)) == epochs[1]


def test_a_state_holds_plain_numbers_only():
    made = factory(num_iters_per_epoch=7)
    assert made.state_dict() == {
        "epoch": 0, "sampler_epoch": 1, "position": 0, "group_weights": None,
    }  # fmt: skip
    made.build_iter(5)
    state = made.state_dict()
    assert state["epoch"] == 5 and state["sampler_epoch"] > 1
    assert all(type(value) is int for key, value in state.items() if key != "group_weights")


def test_a_state_from_before_the_first_epoch_begins_at_the_first():
    other = factory(num_iters_per_epoch=7)
    other.load_state_dict(factory(num_iters_per_epoch=7).state_dict())
    assert names(other.build_iter(1)) == names(factory(num_iters_per_epoch=7).build_iter(1))


def test_group_weights_draw_the_epoch_and_are_part_of_its_state():
    made = factory(num_iters_per_epoch=30)
    made.group_weights = [0.8, 0.1, 0.1]
    epoch = names(made.build_iter(4))
    assert len(epoch) == 30
    groups = [int(batch[0][3:]) % 3 for batch in epoch]
    assert [groups.count(group) for group in range(3)] == pytest.approx([24, 3, 3], abs=1)
    other = factory(num_iters_per_epoch=30)
    other.load_state_dict(made.state_dict())
    assert names(other.build_iter(4, skip=3)) == epoch[3:]
    other.group_weights = [0.1, 0.1, 0.8]
    assert names(other.build_iter(4)) != epoch


def test_group_weights_without_a_set_length_give_about_one_pass():
    made = factory()
    made.group_weights = [1 / 3, 1 / 3, 1 / 3]
    assert len(made.build_iter(1)) == pytest.approx(len(factory().build_iter(1)), abs=4)


@pytest.mark.parametrize("train", [True, False])
def test_ranks_share_the_plan_and_the_missing_batches_are_empty(train):
    options = {"train": train, "sampler": "group_duration" if train else "sorted"}
    alone = contents(factory(**options).build_iter(1))
    ranks = [contents(factory(rank=rank, world_size=4, **options).build_iter(1)) for rank in
             range(4)]  # fmt: skip
    together = [batch for step in zip(*ranks, strict=True) for batch in step]
    assert together[: len(alone)] == alone
    assert together[len(alone) :] == [((), [])] * (-len(alone) % 4)


def test_ranks_share_epochs_of_a_set_length_without_empty_batches():
    alone = contents(factory(num_iters_per_epoch=14).build_iter(3))
    ranks = [
        contents(factory(num_iters_per_epoch=7, rank=rank, world_size=2).build_iter(3))
        for rank in range(2)
    ]
    assert [batch for step in zip(*ranks, strict=True) for batch in step] == alone


def test_a_dev_set_is_the_same_every_epoch():
    made = factory(train=False, sampler="sorted")
    assert contents(made.build_iter(1)) == contents(made.build_iter(9))


def test_the_longest_batch_has_most_padded_seconds_and_planning_it_moves_nothing():
    made = factory(num_iters_per_epoch=5)
    utt_ids = made.longest_batch()
    padded = [len(batch) * made.durations[batch].max() for batch in made.plan()]
    planned_names = [tuple(made.utt_ids[index] for index in batch) for batch in made.plan()]
    assert tuple(utt_ids) == planned_names[int(np.argmax(padded))]
    assert names(made.build_iter(1)) == planned_names[:5]
    assert made.load(utt_ids)[0] == utt_ids


def test_no_utterances_are_refused():
    with pytest.raises(UserError, match="no utterance to plan"):
        factory(utt_ids=[], durations=[], group_ids=[])


# From here on: the tables of stage 10.


def planned(task, dump, tmp_path, mode="train", **changes):
    """The factory that the task builds for the toy dump."""
    options = {"iterator_type": "task", "sampler": "group_duration", "model": "dro"}
    conf = {"sampler_conf": {"duration": 4.0}, **options, **changes}
    conf.pop("batch_size", None)
    config = write_config(tmp_path / "train.yaml", **conf)
    args = task.get_parser().parse_args(arguments(dump, tmp_path / "exp", config))
    args.groups = (dump / "groups.txt").read_text().split()
    options = task.build_iter_options(args, DistributedOption(), mode)
    return build_planned_factory(args, options, mode, task.build_dataset)


def copied(dump, tmp_path):
    """The tables of the dump, to be changed."""
    for split in ("train", "dev"):
        (tmp_path / split).mkdir()
        for path in (dump / split).iterdir():
            if path.is_file():
                (tmp_path / split / path.name).write_bytes(path.read_bytes())
    for name in ("tokens.txt", "nlsyms.txt", "groups.txt"):
        (tmp_path / name).write_bytes((dump / name).read_bytes())
    return tmp_path


def replace_line(path, number, line):
    lines = path.read_text().splitlines()
    lines[number : number + 1] = [line] if line else []
    path.write_text("\n".join(lines) + "\n")


def test_the_task_reads_seconds_and_groups_and_loads_what_the_model_takes(task, dump, tmp_path):
    made = planned(task, dump, tmp_path)
    assert made.durations.max() < 4 and sorted(set(made.group_ids)) == [0, 1]
    utt_ids, batch = next(iter(made.build_iter(1)))
    assert {"speech", "speech_lengths", "text", "text_lengths", "group_ids"} <= set(batch)
    samples = [round(16000 * made.durations[made.utt_ids.index(utt_id)]) for utt_id in utt_ids]
    assert batch["speech_lengths"].tolist() == samples
    assert len(set(batch["group_ids"].reshape(-1).tolist())) == 1


def test_the_dev_set_is_planned_longest_first_with_the_same_duration(task, dump, tmp_path):
    made = planned(task, dump, tmp_path, "valid")
    assert made.sampler.duration == 4.0 and not made.train
    longest = [max(batch["speech_lengths"]).item() for _, batch in made.build_iter(1)]
    assert longest == sorted(longest, reverse=True)


def test_the_plan_and_what_was_left_out_are_logged_once(task, dump, tmp_path, caplog):
    root = copied(dump, tmp_path)
    replace_line(root / "train" / "utt2group", 0, "")
    replace_line(root / "train" / "text", 1, "")
    (root / "groups.txt").write_text("deu\neng\nxho\n")
    caplog.set_level(logging.INFO)
    made = planned(task, root, tmp_path, sampler_conf={"duration": 1.4})
    made.build_iter(1), made.build_iter(2)
    lines = [record.getMessage() for record in caplog.records if "[train]" in record.getMessage()]
    assert len(made.utt_ids) == 14
    assert "the full ones are filled to" in lines[0]
    assert "longer than the 1.4 s of a batch" in lines[1]
    train = f"{root}/train"
    assert lines[2:] == [
        f"[train] {train}/speech_shape: 1 utterances left out, without a group in "
        f"{train}/utt2group (first: deuspktrain-000).",
        "[train] Without training data, so never trained: xho (of 3 groups).",
        f"[train] Shape file: 1 utterances left out, missing in {train}/text "
        "(first: deuspktrain-001).",
    ]


@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_group_that_the_model_lacks_is_refused(task, dump, tmp_path, split):
    root = copied(dump, tmp_path)
    replace_line(root / split / "utt2group", 2, f"deuspk{split}-002 7")
    with pytest.raises(UserError, match=f"first: deuspk{split}-002, id 7; it has 2: deu eng"):
        planned(task, root, tmp_path, "train" if split == "train" else "valid")


@pytest.mark.parametrize(
    ("file", "value", "words"),
    [("utt2group", "deu", "which is no whole number"), ("speech_shape", "1x", "'1x'")],
)
def test_a_value_that_is_no_number_is_refused(task, dump, tmp_path, file, value, words):
    root = copied(dump, tmp_path)
    replace_line(root / "train" / file, 0, f"deuspktrain-000 {value}")
    with pytest.raises(UserError, match=words):
        planned(task, root, tmp_path)


def test_utterances_without_samples_are_left_out(task, dump, tmp_path):
    root = copied(dump, tmp_path)
    replace_line(root / "train" / "speech_shape", 0, "deuspktrain-000 0")
    assert "deuspktrain-000" not in planned(task, root, tmp_path).utt_ids


def test_an_id_below_zero_is_refused_where_no_groups_are_named(tmp_path):
    (tmp_path / "speech_shape").write_text("u0 16000\nu1 16000\n")
    (tmp_path / "utt2group").write_text("u0 0\nu1 -1\n")
    options = SimpleNamespace(
        shape_files=[str(tmp_path / "speech_shape")],
        data_path_and_name_and_type=[(str(tmp_path / "utt2group"), "group_ids", "text_int")],
    )
    with pytest.raises(UserError, match="gives 'u1' the group -1; groups are 0, 1, 2"):
        read_planned_data(options, "train", None, needs_groups=True)


def test_without_group_ids_only_mixed_batches_can_be_planned(task, dump):
    options = SimpleNamespace(
        shape_files=[str(dump / "train/speech_shape")], distributed=False, train=True,
        data_path_and_name_and_type=[(str(dump / "train/wav.scp"), "speech", "sound")],
        num_iters_per_epoch=None, collate_fn=CommonCollateFn(),
    )  # fmt: skip
    args = argparse.Namespace(
        sampler="group_duration", sampler_conf={}, groups=None, seed=0, num_workers=0, ngpu=0
    )
    with pytest.raises(UserError, match="no group ids.*sampler: sorted"):
        build_planned_factory(args, options, "train", lambda *_: Noisy())
    args.sampler = "sorted"
    made = build_planned_factory(args, options, "train", lambda *_: Noisy())
    assert set(made.group_ids) == {0} and len(made.utt_ids) == 16


def test_espnets_own_trainer_trains_on_the_plan(task, dump, tmp_path):
    class Plain(task):
        trainer = Trainer

    config = write_config(
        tmp_path / "train.yaml", model="dro", iterator_type="task", sampler="group_duration",
        sampler_conf={"duration": 4.0}, max_epoch=2, num_iters_per_epoch=3,
    )  # fmt: skip
    Plain.main(cmd=arguments(dump, tmp_path / "exp", config))
    assert (tmp_path / "exp" / "2epoch.pth").exists()
