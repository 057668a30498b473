"""What a model was trained on is counted."""

import json

import torch

from asr_dro_plugin.espnet.run.seen_data import SeenCounter, read_corpora


def batch(groups, samples, labels):
    return {
        "group_ids": torch.tensor(groups)[:, None],
        "speech_lengths": torch.tensor(samples),
        "text_lengths": torch.tensor(labels),
    }


def test_utterances_seconds_and_labels_are_counted_by_group_and_corpus():
    seen = SeenCounter(["deu", "eng"], {"a": "mls", "b": "cv"})
    seen.add(["a", "b", "c"], batch([0, 1, 1], [16000, 8000, 4000], [3, 4, 5]))
    seen.add(["a"], batch([0], [16000], [3]))
    assert seen.table() == [
        {"group": "deu", "corpus": "mls", "utterances": 2, "seconds": 2.0, "labels": 6},
        {"group": "eng", "corpus": "-", "utterances": 1, "seconds": 0.25, "labels": 5},
        {"group": "eng", "corpus": "cv", "utterances": 1, "seconds": 0.5, "labels": 4},
    ]


def test_counts_survive_a_checkpoint_and_add_up_over_processes(tmp_path):
    one, two = SeenCounter(["eng"]), SeenCounter(["eng"])
    one.add(["a"], batch([0], [16000], [3]))
    two.add(["b", "c"], batch([0, 0], [16000, 16000], [1, 1]))
    torch.save(one.add_counts([one.state_dict(), two.state_dict()]).state_dict(), tmp_path / "s")
    restored = SeenCounter(["eng"])
    restored.load_state_dict(torch.load(tmp_path / "s", weights_only=True))
    assert restored.table()[0] == {
        "group": "eng", "corpus": "-", "utterances": 3, "seconds": 3.0, "labels": 5,
    }  # fmt: skip
    restored.write(tmp_path / "seen.json")
    assert json.loads((tmp_path / "seen.json").read_text()) == restored.table()


def test_a_batch_without_groups_or_of_no_utterance_is_counted_too():
    seen = SeenCounter()
    seen.add([], {})
    assert seen.table() == []
    seen.add(["a"], {"speech_lengths": torch.tensor([16000]), "text_lengths": torch.tensor([2])})
    assert seen.table()[0]["group"] == "-"


def test_corpora_are_read_from_beside_the_training_set(tmp_path):
    assert read_corpora(tmp_path / "wav.scp") == {}
    (tmp_path / "utt2corpus").write_text("a mls\nb cv\n")
    assert read_corpora(tmp_path / "wav.scp") == {"a": "mls", "b": "cv"}
