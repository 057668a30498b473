"""What an exported model is, for a reader."""

from collections.abc import Iterator

from asr_dro_plugin.base.text_table import aligned
from asr_dro_plugin.runtime.manifest import Manifest


def facts_of(manifest: Manifest) -> list[str]:
    """Lines of a table."""
    return aligned([list(row) for row in _rows(manifest)], num_left=2)


def _rows(manifest: Manifest) -> Iterator[tuple[str, str]]:
    stack = ", ".join(f"{slot} {name}" for slot, name in manifest.stack.items())
    yield "exported model", f"{manifest.name} (schema {manifest.schema}, {manifest.made_by})"
    yield "stack", f"{stack}; {manifest.num_parameters:,} parameters"
    yield "tokens", f"{len(manifest.tokens)} ({manifest.token_type}), blank {manifest.blank_id}"
    yield "languages", " ".join(manifest.languages) or "none named"
    yield "text", str(manifest.text_rule.get("normalizer") or "as it was trained")
    shift, fewest = 1000 * manifest.frame_shift, manifest.min_samples / manifest.sample_rate
    yield "frames", f"each {shift:g} ms, from {fewest:.3f} s of sound on{_sight(manifest)}"
    decode = manifest.decode
    yield "decoding", f"{decode['mode']}, language {decode['lang']}"
    for name, precision in sorted(manifest.precisions.items()):
        size = sum(manifest.members[each]["bytes"] for each in precision["members"])
        default = ", the default" if name == manifest.default_precision else ""
        yield name, f"{precision['file']}, {size / 1e6:.1f} MB{default}"
    if manifest.lm_dir:
        yield "language models", manifest.lm_dir
    difference, what = manifest.parity.get("max_abs_diff"), manifest.parity.get("on")
    if difference is not None:
        yield "beside torch", f"log probabilities within {difference:.0e} ({what})"
    yield "opset", str(manifest.opset)
    yield "licence", manifest.licence
    yield "files", f"{len(manifest.members)}, all as they were exported"


def _sight(manifest: Manifest) -> str:
    field = manifest.receptive_field_samples
    if field is None:
        return "; each depends on the whole utterance"
    return f"; each depends on {field / manifest.sample_rate:.2f} s"
