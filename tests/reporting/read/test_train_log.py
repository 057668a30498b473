"""A log is read while it grows, and anew where it begins anew."""

from asr_dro_plugin.reporting.read.run_state import TrainLog

HEAD = "# host, 2026-11-21 14:00:15+00:00, bash exp/asr/run.sh\n"


def line(level, text, time="14:00:23"):
    return f"[vm] 2026-11-21 {time},700 (updates:31) {level}: {text}\n"


def written(path, text):
    path.write_text(text)
    log = TrainLog(path)
    log.update()
    return log


def test_warnings_and_skipped_steps_are_counted_and_figures_are_none(tmp_path):
    text = HEAD + line("WARNING", "Set decoder to none as ctc_weight==1.0")
    text += line("INFO", "1epoch:train:1-20batch: loss=3") + line("WARNING", "disk is slow")
    text += line("WARNING", "The gradient is nan: step skipped, the 1. in a row.", "15:30:00")
    log = written(tmp_path / "train.log", text)
    assert log.num_skipped == 1 and log.exit_code is None
    assert [time for time, _ in log.warnings] == ["14:00", "15:30"]
    assert log.warnings[0][1] == "disk is slow"


def test_what_comes_later_is_added_and_half_a_line_waits(tmp_path):
    path = tmp_path / "train.log"
    log = written(path, HEAD + line("WARNING", "one"))
    with path.open("a") as stream:
        stream.write(line("WARNING", "two")[:-6])
        stream.flush()
        log.update()
        assert len(log.warnings) == 1
        stream.write(line("WARNING", "two")[-6:])
    log.update()
    log.update()
    assert [text for _, text in log.warnings] == ["one", "two"]


def test_the_log_of_a_run_that_is_started_again_is_read_from_its_beginning(tmp_path):
    path = tmp_path / "train.log"
    log = written(path, HEAD + line("WARNING", "old") + "# Ended (code 75) at 14:15\n")
    assert log.exit_code == 75
    path.rename(tmp_path / "train.log.1")
    path.write_text(HEAD + line("INFO", "much longer than the one before " * 9))
    log.update()
    assert log.exit_code is None and log.warnings == []


def test_the_last_words_of_a_failure_are_the_error_or_the_end_of_the_traceback(tmp_path):
    trace = "Traceback (most recent call last):\n  File x\nValueError: what it was\n"
    end = "# Ended (code 1) at 14:15\n"
    assert written(tmp_path / "a", HEAD + trace + end).last_words == "ValueError: what it was"
    text = HEAD + "ERROR: exp/x holds a run.\nwandb: bye\n" + end
    assert written(tmp_path / "b", text).last_words == "exp/x holds a run."


def test_without_a_log_there_is_no_news(tmp_path):
    log = TrainLog(tmp_path / "train.log")
    log.update()
    assert log.warnings == [] and log.exit_code is None
