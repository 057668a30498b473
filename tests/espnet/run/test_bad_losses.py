"""Utterances without a usable loss are named and counted, whichever process had them."""

import logging

import torch

from asr_dro_plugin.espnet.run.bad_losses import MAX_NAMED, BadLosses

GROUPS = ["deu", "eng"]


def alone(own):
    """What the one rank of a run gathers."""
    return [own]


def test_bad_utterances_are_named_and_counted_by_group(caplog):
    bad = BadLosses()
    bad.add(torch.tensor([False, True]), ["a", "b"], [0, 1])
    bad.add(None, [], [])
    bad.add(torch.tensor([True]), ["c"], [0])
    with caplog.at_level(logging.WARNING):
        bad.report(GROUPS, alone)
    assert "2 utterances had no finite loss" in caplog.text and "b c" in caplog.text
    assert bad.state_dict() == {"by_group": {"eng": 1, "deu": 1}, "utt_ids": ["b", "c"]}
    caplog.clear()
    bad.report(GROUPS, alone)
    assert caplog.text == ""


def test_those_of_other_processes_are_counted_too():
    bad = BadLosses()
    bad.add(torch.tensor([True]), ["mine"], [0])
    bad.report(GROUPS, lambda own: [own, [("theirs", "eng")]])
    assert bad.state_dict() == {"by_group": {"deu": 1, "eng": 1}, "utt_ids": ["mine", "theirs"]}


def test_the_list_of_names_is_bounded_and_the_counts_are_not():
    bad = BadLosses()
    for number in range(3 * MAX_NAMED):
        bad.add(torch.tensor([True]), [f"utt{number}"], [0])
    bad.report(GROUPS, alone)
    assert len(bad.utt_ids) == MAX_NAMED and bad.by_group["deu"] == 3 * MAX_NAMED
