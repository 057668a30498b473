#!/usr/bin/env python3
"""Say whether a stage of the recipe must run, and note that it has finished.

    utils/stage.py check MARK [--option K=V]... [--input PATH]... [--output PATH]...
        exits with 0 when the stage has finished and nothing has changed since; else with 1 and
        says why on one line
    utils/stage.py begin MARK [the same]   removes the mark and notes what the inputs are now
    utils/stage.py done MARK [the same]    writes the mark

A stage is up to date when its mark holds the same options, inputs of the same content, and outputs
that are as they were left.  An input is a file or a directory (all files below it that are not
hidden); a wav.scp also stands for the size and time of every audio file that it names.  An input
that changes between begin and done counts as changed.  Options that cannot change the result (how
many jobs, which GPU) are simply not given.  Python >= 3.9, standard library only.
"""

import argparse
import difflib
import hashlib
import json
import os
import sys

VERSION = 1
WHOLE_INPUT = 16 * 2**20  # bytes; of a larger file size, time, head and tail are looked at
WHOLE_OUTPUT = 2**20
END = 65536
BRIEF = 60  # characters of an option's value in a reason


class StageError(Exception):
    """One line for the user."""


def digest_of(path, whole):
    """A file's fingerprint: by content up to ``whole`` bytes, by size, time and ends above."""
    with open(path, "rb") as stream:
        status = os.fstat(stream.fileno())
        if status.st_size <= whole:
            return "sha256:" + hashlib.sha256(stream.read()).hexdigest()
        ends = stream.read(END)
        stream.seek(-END, os.SEEK_END)
        ends += stream.read(END)
    return f"{status.st_size}:{status.st_mtime_ns}:{hashlib.sha256(ends).hexdigest()}"


def files_below(path):
    """The file itself, or every file below a directory that is not hidden; sorted."""
    if not os.path.isdir(path):
        return [path]
    found = []
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [os.path.join(folder, name) for name in names if not name.startswith(".")]
    return sorted(found)


def audio_digest(wav_scp):
    """Fingerprint of the audio files that a wav.scp names: path, size, time; a pipe's words."""
    digest = hashlib.sha256()
    archives = set()
    with open(wav_scp, "rb") as stream:
        for line in stream:
            value = line.strip().partition(b" ")[2].strip()
            path, colon, offset = value.rpartition(b":")
            if colon and offset.isdigit() and not os.path.exists(value):
                if path in archives:
                    continue  # one archive holds many utterances
                archives.add(path)
                value = path
            digest.update(value + stat_words(value))
    return "audio:" + digest.hexdigest()


def stat_words(path):
    """Size and time of a file as bytes; empty when there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return b""
    return f":{status.st_size}:{status.st_mtime_ns}\n".encode()


def look_at_inputs(paths):
    """Path -> fingerprint of every input file; an input that is not there is "absent"."""
    seen = {}
    for path in paths:
        if not os.path.exists(path):
            seen[path] = "absent"
            continue
        if os.path.isdir(path):
            seen[path] = "directory"
        for name in files_below(path):
            seen[name] = digest_of(name, WHOLE_INPUT) if os.path.exists(name) else "absent"
            if os.path.basename(name) == "wav.scp" and os.path.isfile(name):
                seen[f"audio of {name}"] = audio_digest(name)
    return seen


def look_at_outputs(paths):
    """Path -> fingerprint of every output file: content when small, size alone when large."""
    seen = {}
    for path in paths:
        if not os.path.exists(path):
            raise StageError(f"output {path} was not made")
        for name in files_below(path):
            if os.path.exists(name):
                seen[name] = output_fingerprint(name)
    return seen


def output_fingerprint(path):
    """Content of a small file, size of a large one."""
    size = os.path.getsize(path)
    return digest_of(path, WHOLE_OUTPUT) if size <= WHOLE_OUTPUT else f"size:{size}"


def read_options(pairs):
    """KEY=VALUE words as a dictionary."""
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key or key in options:
            raise StageError(f"--option {pair}: write KEY=VALUE, each KEY once")
        options[key] = value
    return options


def read_mark(path):
    """What a mark holds; None when there is none or it cannot be read."""
    try:
        with open(path, encoding="utf-8") as stream:
            mark = json.load(stream)
        return mark if mark.get("version") == VERSION else None
    except (OSError, ValueError, AttributeError):
        return None


def write_mark(path, content):
    """Write a mark that is either whole or absent."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8") as stream:
        json.dump({"version": VERSION, **content}, stream, indent=1, sort_keys=True)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def remove(path):
    """Remove a file if it is there."""
    if os.path.lexists(path):
        os.remove(path)


def begun_path(mark):
    """Where `begin` notes the inputs; never mistaken for a mark."""
    folder, name = os.path.split(mark)
    return os.path.join(folder, f".{name}.begun")


def difference(old, new, kind):
    """What differs between two dictionaries, in one phrase; empty when nothing does."""
    for key in sorted({*old, *new}):
        if key not in old:
            return f"{kind} {key} is new"
        if key not in new:
            return f"{kind} {key} is gone"
        if old[key] != new[key] and kind == "option":
            return f"option {key} {changed_words(old[key], new[key])}"
        if old[key] != new[key]:
            return f"{kind} {key} " + ("is gone" if new[key] == "absent" else "changed")
    return ""


def changed_words(old, new):
    """The first words that differ in an option's value, and how many more places there are."""
    before, after = old.split(), new.split()
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    changes = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    if not changes:
        return "differs in its spaces"
    kind, i, i_end, j, j_end = changes[0]
    if kind == "replace" and i and before[i - 1].startswith("-"):
        i, j = i - 1, j - 1  # a value is nothing without its option's name
    more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
    return "{} -> {}".format(*brief(" ".join(before[i:i_end]), " ".join(after[j:j_end]))) + more


def brief(*values):
    """Texts that differ, quoted, short enough for one line; the difference stays in sight."""
    start = len(os.path.commonprefix(values))
    cut = start - BRIEF // 2 if start > BRIEF // 2 and max(map(len, values)) > BRIEF else 0
    texts = ["..." + value[cut:] if cut else value for value in values]
    return [repr(text if len(text) <= BRIEF else text[: BRIEF - 3] + "...") for text in texts]


def output_difference(noted, paths):
    """Which output is no longer as the mark noted it; empty when all are."""
    for path in paths:
        if not any(name == path or name.startswith(path.rstrip("/") + "/") for name in noted):
            return f"output {path} " + ("is new" if os.path.exists(path) else "is gone")
    for name, fingerprint in sorted(noted.items()):
        if not os.path.exists(name):
            return f"output {name} is gone"
        if output_fingerprint(name) != fingerprint:
            return f"output {name} changed"
    return ""


def why_run(arguments, options):
    """Why the stage must run, in one line; empty when it is up to date."""
    if not os.path.exists(arguments.mark):
        begun = os.path.exists(begun_path(arguments.mark))
        return "begun, but never finished" if begun else "never finished"
    mark = read_mark(arguments.mark)
    if mark is None:
        return f"{arguments.mark} cannot be read"
    return (
        difference(mark["options"], options, "option")
        or difference(mark["inputs"], look_at_inputs(arguments.input), "input")
        or output_difference(mark["outputs"], arguments.output)
    )


def begin(arguments, options):
    """Remove the mark, note the inputs as they are."""
    remove(arguments.mark)
    content = {"options": options, "inputs": look_at_inputs(arguments.input)}
    write_mark(begun_path(arguments.mark), content)


def finish(arguments, options):
    """Write the mark, with the inputs as they were when the stage began."""
    begun = read_mark(begun_path(arguments.mark)) or {}
    same = begun.get("options") == options and begun.get("inputs")
    inputs = begun["inputs"] if same else look_at_inputs(arguments.input)
    outputs = look_at_outputs(arguments.output)
    write_mark(arguments.mark, {"options": options, "inputs": inputs, "outputs": outputs})
    remove(begun_path(arguments.mark))


def parse_arguments(words):
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("what", choices=["check", "begin", "done"])
    parser.add_argument("mark")
    for name in ("--option", "--input", "--output"):
        parser.add_argument(name, action="extend", nargs="+", default=[])
    return parser.parse_args(words)


def main(words):
    """Returns the exit code."""
    arguments = parse_arguments(words)
    options = read_options(arguments.option)
    if arguments.what == "check":
        why = why_run(arguments, options)
        if why:
            print(why)
        return int(bool(why))
    (begin if arguments.what == "begin" else finish)(arguments, options)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (StageError, OSError) as error:
        print(f"ERROR: stage.py: {error}", file=sys.stderr)
        sys.exit(2)
