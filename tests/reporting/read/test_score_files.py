"""The scores of an experiment, in the order in which a reader wants them."""

from asr_dro_plugin.reporting.read.score_files import score_paths


def test_test_sets_come_first_and_greedy_decoding_is_what_others_are_held_against(tmp_path):
    for tag in ("decode_asr_beam_ave", "decode_asr_greedy_ave", "decode_asr_lm_char_ave"):
        for set_name in ("dev_x", "test_x"):
            (tmp_path / tag / set_name).mkdir(parents=True)
            (tmp_path / tag / set_name / "score.json").touch()
    found = [f"{path.parent.name} {path.parent.parent.name}" for path in score_paths(tmp_path)]
    assert found[:3] == [
        "test_x decode_asr_greedy_ave",
        "test_x decode_asr_beam_ave",
        "test_x decode_asr_lm_char_ave",
    ]
    assert found[3] == "dev_x decode_asr_greedy_ave"
