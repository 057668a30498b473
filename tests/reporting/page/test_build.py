"""The page says all that is known, names what is missing, and holds whatever texts hold."""

import json
import random
import re
import shutil

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.reporting.page.build import collect, page
from asr_dro_plugin.reporting.page.part_utterances import utterances_part
from asr_dro_plugin.reporting.read.experiment import open_experiments
from asr_dro_plugin.reporting.results_md import write_results
from tests.reporting.made import (
    add_sound,
    make_experiment,
    score_of,
    utterance_rows,
    write_decoding,
)
from tests.reporting.page.test_markup import Reader

LANGS = ["eng", "fra", "rus"]
SECTIONS = [
    "summary", "languages", "causes", "advice", "utterances", "errors", "lid", "training", "data",
    "making",
]  # fmt: skip


@pytest.fixture
def exp(tmp_path):
    folder = make_experiment(tmp_path, "asr_a", LANGS, each=8, sets=("test_x", "dev_x"))
    add_sound(tmp_path / "dump/raw/test_x")
    return folder


def made(*folders, **options):
    experiments = open_experiments(list(folders), None)
    return page(collect(experiments, **options)), [f for e in experiments for f in e.faults]


def sections(text):
    return re.findall(r'<section id="(\w+)"', text)


def part(text, key):
    return re.search(rf'<section id="{key}".*?</section>', text, re.DOTALL)[0]


def test_every_part_is_there_and_nothing_is_missing(exp):
    text, faults = made(exp)
    assert sections(text) == SECTIONS
    assert faults == []
    assert "Not here" not in text
    assert part(text, "utterances").count("<audio") == part(text, "utterances").count("<img") > 3


def test_the_same_inputs_give_the_same_bytes(exp):
    assert made(exp)[0] == made(exp)[0]


def test_it_loads_nothing_from_anywhere(exp):
    text, _ = made(exp)
    addresses = [
        (tag, value)
        for tag, attrs in Reader(text).tags
        for name, value in attrs
        if name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href")
        and not value.startswith(("#", "data:"))
    ]
    assert addresses == []
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"base64,[^\"]+", "", text))
    assert "default-src &#x27;none&#x27;" in text


@pytest.mark.parametrize("evil", ["</script><script>alert(1)</script>", '"><img src=x onerror=a>'])
def test_a_transcript_that_holds_markup_is_text(exp, evil):
    rows = utterance_rows(random.Random(0), LANGS, 4, dict.fromkeys(LANGS, 0.9))
    for row in rows:
        row.update(ref=evil, hyp=evil[1:], utt_id=row["utt_id"] + evil, lid=evil)
    write_decoding(exp / "decode_greedy/test_x", rows, "test_x")
    text, _ = made(exp)
    tags = Reader(text).tags
    assert len([tag for tag, _ in tags if tag == "script"]) == 1
    assert not [tag for tag, attrs in tags if dict(attrs).get("onerror") or ("src", "x") in attrs]
    assert evil in "".join(Reader(text).texts)


def test_a_name_that_holds_markup_is_text(tmp_path):
    folder = make_experiment(tmp_path, "a<b>&c", ["<u>", "eng"], each=3)
    text, _ = made(folder)
    assert "u" not in [tag for tag, _ in Reader(text).tags]


def test_what_is_missing_is_named_with_its_remedy(exp):
    recipe = exp.parents[1]
    for name in ("metrics.jsonl", "seen.json", "versions.json", "run.sh"):
        (exp / name).unlink()
    (exp / "decode_greedy/test_x/utts.tsv").unlink()
    shutil.rmtree(recipe / "dump")
    text, faults = made(exp)
    assert faults == []
    assert sections(text) == SECTIONS
    for key, words in (
        ("utterances", "it writes utts.tsv"),
        ("training", "Training writes metrics.jsonl"),
        ("data", "--dump dump/raw"),
        ("making", "the training&#x27;s command (run.sh)"),
    ):
        assert words in part(text, key)


def test_audio_that_is_not_here_is_said(exp):
    shutil.rmtree(exp.parents[1] / "dump/raw/test_x")
    text, _ = made(exp)
    assert "Not here: the sound of" in part(text, "utterances")
    assert "<audio" not in text


def test_a_training_without_scores_is_a_page(tmp_path):
    folder = make_experiment(tmp_path, "asr_new", LANGS, sets=())
    text, _ = made(folder)
    assert sections(text) == ["summary", "languages", "training", "data", "making"]
    assert "Not here: scores." in part(text, "summary")


def test_scores_of_an_older_version_are_shown_without_intervals(tmp_path):
    folder = make_experiment(tmp_path, "old", LANGS, each=4, ci=False)
    text, faults = made(folder)
    assert faults == []
    assert 'class="ci"' not in text
    assert "no interval in the score" in text
    assert "the score is of an older version" in part(text, "lid")


def test_a_set_without_words_and_tags_is_shown(exp):
    path = exp / "decode_greedy/test_x/score.json"
    report = json.loads(path.read_text("utf-8"))
    for group in (*report["groups"].values(), report["total"]):
        group.update(wer=None, lid=None, duration=None)
    report["macro"].update(wer=None, lid=None)
    report["worst_group"].update(wer=None, lid=None)
    report["lid_confusion"] = {}
    path.write_text(json.dumps(report), "utf-8")
    text, faults = made(exp)
    assert faults == []
    assert "carry no language tags" in part(text, "lid")


def test_phoneme_errors_are_shown_where_they_were_counted(exp):
    path = exp / "decode_greedy/test_x/score.json"
    report = json.loads(path.read_text("utf-8"))
    for group in (*report["groups"].values(), report["total"]):
        group["per"] = group["cer"] | {"rate": 0.123}
    report["macro"]["per"], report["worst_group"]["per"] = 0.123, {"group": "eng", "rate": 0.123}
    path.write_text(json.dumps(report), "utf-8")
    assert 'title="phoneme error rate"' in part(made(exp)[0], "languages")
    text = write_results(exp).read_text("utf-8")
    assert "| PER % |" in text
    assert "PER %: macro 12.3, worst eng 12.3" in text


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("decode_greedy/test_x/score.json", "{", "score.json cannot be read"),
        ("decode_greedy/test_x/utts.tsv", "utt_id\n", "does not begin with the columns"),
        ("seen.json", "{}{", "is no count of what was seen"),
        ("config.yaml", "a: [", "config.yaml cannot be read"),
    ],
)
def test_a_damaged_file_is_named_and_the_rest_is_shown(exp, name, content, words):
    (exp / name).write_text(content)
    text, faults = made(exp)
    assert words in faults[0]
    assert "What could not be used" in text
    assert part(text, "training")


def test_a_damaged_sound_is_named_and_the_others_play(exp):
    folder = exp.parents[1] / "dump/raw/test_x"
    count = made(exp)[0].count("<audio")
    text, _ = made(exp)
    broken = re.search(r"<code>(\w+)</code>", part(text, "utterances"))[1]
    (folder / f"{broken}.flac").write_bytes(b"no sound")
    text, faults = made(exp)
    assert text.count("<audio") == count - 1
    assert broken in faults[0]


def test_sound_stays_out_where_the_page_would_become_too_large(exp):
    material = collect(open_experiments([exp], None))
    whole = utterances_part(material, 10_000_000)
    sizes = [len(sound) for sound in re.findall(r'<div class="sound">.*?</div>', whole)]
    assert utterances_part(material, sum(sizes) - 1).count("<audio") == len(sizes) - 1
    assert utterances_part(material, 10).count("<audio") == 0


def test_two_experiments_are_compared(exp, tmp_path):
    other = make_experiment(tmp_path, "asr_b", LANGS, each=8, seed=3, factor=0.3)
    text, _ = made(exp, other)
    assert sections(text) == [*SECTIONS[:3], "comparison", *SECTIONS[3:]]
    assert "better" in part(text, "comparison")
    assert "of 3" in part(text, "comparison")


def test_decodings_of_one_experiment_are_compared(exp):
    make_experiment(exp.parents[1], "asr_a", LANGS, each=8, factor=0.5, tag="decode_beam")
    text, _ = made(exp)
    assert "decode_beam" in part(text, "comparison")
    assert "comparison" not in sections(made(exp, tag="decode_beam")[0])


def test_other_references_are_said_to_be_not_comparable(exp, tmp_path):
    other = make_experiment(tmp_path, "asr_b", LANGS, each=8)
    rows = utterance_rows(random.Random(0), LANGS, 8, dict.fromkeys(LANGS, 0.2), "another")
    write_decoding(other / "decode_greedy/test_x", rows, "test_x")
    text, _ = made(exp, other)
    assert "references of" in part(text, "comparison")


def test_many_languages_are_confused_in_a_list_and_few_in_a_matrix(tmp_path):
    many = [f"l{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(30)]
    text, _ = made(make_experiment(tmp_path, "many", many, each=3))
    assert "most frequent of" in part(text, "lid")
    text, _ = made(make_experiment(tmp_path, "few", LANGS, each=3))
    assert 'class="matrix"' in part(text, "lid")


def test_a_set_or_decoding_that_is_not_there_is_an_error_with_the_nearest(exp):
    with pytest.raises(UserError, match="Did you mean 'test_x'"):
        made(exp, set_name="tset_x")
    with pytest.raises(UserError, match="There are: decode_greedy"):
        made(exp, tag="beam")


def test_what_is_no_experiment_is_refused(exp, tmp_path):
    with pytest.raises(UserError, match="is no folder"):
        open_experiments([tmp_path / "absent"], None)
    with pytest.raises(UserError, match="is no experiment"):
        open_experiments([exp / "decode_greedy"], None)
    with pytest.raises(UserError, match="given twice"):
        open_experiments([exp, exp], None)


def test_the_figures_of_the_page_are_those_of_the_score(exp):
    text, _ = made(exp)
    report = json.loads((exp / "decode_greedy/test_x/score.json").read_text("utf-8"))
    for lang in LANGS:
        row = re.search(rf'<tr><th scope="row" data-v="{lang}">.*?</tr>', text)[0]
        assert f'<td data-v="{report["groups"][lang]["cer"]["rate"]}" class="strong">' in row
    assert f"CER {100 * report['macro']['cer']:.1f} %" in part(text, "summary")


def test_the_made_scores_add_up():
    rows = utterance_rows(random.Random(0), LANGS, 5, dict.fromkeys(LANGS, 0.4))
    report = score_of(rows, "test_x")
    total = report["total"]["cer"]
    assert total["errors"] == sum(report["groups"][lang]["cer"]["errors"] for lang in LANGS) > 0
