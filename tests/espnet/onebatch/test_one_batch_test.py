"""The one batch test says whether a stack can learn, and touches nothing else."""

import json
import math
import os
import signal
import threading

import pytest

from asr_dro_plugin.errors import UserError
from tests.espnet.conftest import arguments, write_config

SAMPLER = {"iterator_type": "task", "sampler": "group_duration", "sampler_conf": {"duration": 8.0}}


@pytest.fixture(scope="module")
def onebatch(task, one_thread):
    from asr_dro_plugin.espnet.onebatch.one_batch_test import OneBatchTask

    return OneBatchTask


@pytest.fixture
def test(onebatch, dump, tmp_path, capsys):
    """Function of YAML changes and further options: (lines printed, what the JSON holds)."""

    def run(*words, refused: str | None = None, **changes):
        changes = {"model": "dro", "objective": "ctc_dro", **SAMPLER, **changes}
        config = write_config(tmp_path / "train.yaml", **changes)
        words = [*arguments(dump, tmp_path / "out", config), *words]
        if refused is None:
            onebatch.main(cmd=words)
        else:
            with pytest.raises(UserError, match=refused):
                onebatch.main(cmd=words)
        found = tmp_path / "out" / "onebatchtest.json"
        return capsys.readouterr().out, json.loads(found.read_text()) if found.exists() else None

    return run


def test_a_tiny_stack_learns_its_batch_and_leaves_only_its_report(test, tmp_path):
    printed, found = test("--resume", "true", "--num_utts", "3")
    assert "WER 0 reached after" in printed
    assert found["reached"] and found["hypotheses"] == found["references"]
    assert len(found["utt_ids"]) == 3 < found["planned"]
    assert f"3 of the {found['planned']} utterances" in printed and found["utt_ids"][0] in printed
    assert found["losses"][-1] < 0.2 * found["losses"][0]
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"config.yaml", "onebatchtest.json", "onebatchtest.png"}


def test_espnets_own_batches_do_as_well(test):
    batches = {"iterator_type": "sequence", "sampler": "none", "sampler_conf": {}, "batch_size": 4}
    _, found = test(**batches)
    assert found["reached"] and found["planned"] == 4


def test_where_no_batch_has_so_many_the_one_with_most_is_taken(test):
    """Batches of 2.2 s hold one utterance of the toy corpus, or two where they are short."""
    printed, found = test("--num_utts", "5", sampler_conf={"duration": 2.2})
    assert len(found["utt_ids"]) == found["planned"] == 2 and found["number"] > 1
    assert f"2 of the 2 utterances of planned batch {found['number']}" in printed


def test_what_regularises_is_named_and_off(test):
    printed, found = test(
        scheduler="onecyclelr",
        scheduler_conf={"max_lr": 0.004, "total_steps": 100},
        specaug="specaug",
        specaug_conf={"apply_freq_mask": True, "freq_mask_width_range": [0, 20]},
        encoder_conf={
            "hidden_size": 16, "num_blocks": 1, "kernel_size": 3, "strides": [2, 2], "dropout": 0.9,
        },
        optim="adamw",
        optim_conf={"lr": 1e-9, "weight_decay": 0.5},
    )  # fmt: skip
    assert found["reached"]
    assert found["off"] == [
        "SpecAugment", "schedule onecyclelr", "dropout (1)", "weight decay 0.5"
    ]  # fmt: skip
    assert all(name in printed for name in found["off"])
    assert "learning rate 0.004 (max_lr of onecyclelr)" in printed


def test_without_a_learning_rate_it_says_that_nothing_is_learned(test):
    printed, found = test("--learning_rate", "0", refused="did not learn one batch")
    assert "WER 0 not reached" in printed and "the learning rate is 0" in printed
    assert not found["reached"] and found["ended"] == "no_rate"
    for reference in found["references"]:
        assert f"reference   {reference}" in printed


def test_it_gives_up_at_its_limits_and_says_what_to_look_at(test):
    limits = ("--learning_rate", "1e-7", "--max_updates", "7")
    printed, found = test(*limits, refused="did not learn one batch")
    assert found["updates"] == 7 == found["wers"][-1][0] and found["ended"] == "max_updates"
    assert "What to look at" in printed and "--learning_rate" in printed


def test_a_rate_that_is_far_too_high_is_lowered_and_this_is_said(test):
    printed, found = test("--learning_rate", "3", "--max_updates", "700")
    assert found["reached"] and len(found["rates"]) > 1
    assert "from the first weights again with learning rate" in printed


def frames_of(*strides: int) -> dict:
    """YAML changes for frames of 10 ms times the strides; the toy's letters are 120 ms long."""
    return {
        "encoder_conf": {
            "hidden_size": 16, "num_blocks": 1, "kernel_size": 3, "strides": list(strides),
        },
    }  # fmt: skip


def test_texts_that_have_too_few_frames_are_left_out_by_name(test):
    """Frames of 100 ms and letters of 120: not enough for a tag and letters that repeat."""
    printed, found = test(**frames_of(10))
    assert found["too_short"] and found["reached"]
    for name, (frames, needed) in found["too_short"].items():
        assert frames < needed and name not in found["utt_ids"]
        assert f"left out: {name}, whose {frames} frames are fewer than the {needed}" in printed


def test_a_batch_of_texts_that_all_have_too_few_frames_is_refused(test):
    _, found = test(refused="No utterance .* can be aligned", **frames_of(4, 4, 2))
    assert found is None


def test_a_frozen_model_is_refused_before_any_step(test):
    test("--freeze_param", "encoder", "ctc", refused="No parameter learns")


def test_the_directory_of_an_experiment_is_left_alone(onebatch, dump, trained, tmp_path):
    config = write_config(tmp_path / "train.yaml", model="dro")
    before = sorted((path.name, path.stat().st_mtime_ns) for path in trained.iterdir())
    with pytest.raises(UserError, match="holds a training run"):
        onebatch.main(cmd=arguments(dump, trained, config))
    assert sorted((path.name, path.stat().st_mtime_ns) for path in trained.iterdir()) == before


@pytest.mark.parametrize("name", ["num_utts", "max_updates", "max_seconds"])
def test_limits_that_allow_nothing_are_refused(test, name):
    test(f"--{name}", "0", refused=f"--{name} is 0")


def test_an_interruption_prints_what_there_is(onebatch, dump, tmp_path, capfd):
    config = write_config(tmp_path / "train.yaml", model="dro", objective="ctc", **SAMPLER)
    words = arguments(dump, tmp_path / "out", config)
    begun = threading.Event()

    def interrupt() -> None:
        begun.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=interrupt)
    sender.start()
    words += ["--learning_rate", "1e-9", "--max_updates", "1000000", "--max_seconds", "60"]
    with ThirdUpdate(begun), pytest.raises(KeyboardInterrupt):
        onebatch.main(cmd=words)
    sender.join()
    found = json.loads((tmp_path / "out" / "onebatchtest.json").read_text())
    assert found["ended"] == "interrupted" and found["updates"] > 0
    assert "interrupted" in capfd.readouterr().out


class ThirdUpdate:
    """Sets an event at the third update of an optimizer."""

    def __init__(self, event: threading.Event) -> None:
        self.event, self.steps = event, 0

    def __enter__(self) -> None:
        from torch.optim.optimizer import register_optimizer_step_post_hook

        self.hook = register_optimizer_step_post_hook(self._count)

    def __exit__(self, *_exception: object) -> None:
        self.hook.remove()

    def _count(self, *_arguments: object) -> None:
        self.steps += 1
        if self.steps == 3:
            self.event.set()


def test_backoff_restarts_what_diverges_and_lowers_what_has_nearly_learned():
    from asr_dro_plugin.espnet.onebatch.overfitting import FACTOR, STALLED, Backoff

    backoff = Backoff(0.9)
    assert [backoff.look(loss) for loss in (10.0, 9.0, 12.0)] == ["", "", ""]
    assert backoff.look(math.nan) == "restart" and backoff.rate == 0.9 / FACTOR
    assert [backoff.look(20.0), backoff.look(100.0)] == ["", "restart"]
    assert [backoff.look(20.0), backoff.look(1.0)] == ["", ""]
    said = [backoff.look(1.5) for _ in range(STALLED)]
    assert said == [""] * (STALLED - 1) + ["lower"]
    assert backoff.rate == pytest.approx(0.9 / FACTOR**3)


def test_backoff_restarts_what_jumps_about_where_it_began():
    from asr_dro_plugin.espnet.onebatch.overfitting import STALLED, Backoff

    backoff = Backoff(1.0)
    said = [backoff.look(9.0 + loss % 3) for loss in range(STALLED + 1)]
    assert said == [""] * STALLED + ["restart"]


def test_backoff_leaves_the_rate_of_what_hardly_moves():
    from asr_dro_plugin.espnet.onebatch.overfitting import STALLED, Backoff

    backoff = Backoff(1e-7)
    assert {backoff.look(9.0 - loss / 10000) for loss in range(3 * STALLED)} == {""}
    assert backoff.rate == 1e-7
