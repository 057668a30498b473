"""Every tensor of a source and of our model held against each other, by name and shape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.experiment import OBJECTIVE_STATE
from asr_dro_plugin.importing.found import HEAD, Found
from asr_dro_plugin.pretrained.fairseq_files import times
from asr_dro_plugin.stack.components import facts_of
from asr_dro_plugin.stack.construct import construct, construct_part
from asr_dro_plugin.stack.names import SLOTS
from asr_dro_plugin.stack.parameters import built_component, given_by_task, module_of
from asr_dro_plugin.stack.sizes import checkpoint_of, output_sizes

# Of a batch norm with a fixed momentum, which nothing reads; older files lack it.
COUNTER = ".num_batches_tracked"
FEATURES = "frontend."
STATISTICS = "global_mvn"  # whose tensors are as long as its file says
WITH_TENSORS = [slot for slot in (*SLOTS, "ctc") if slot != "specaug"]
MAX_NAMED = 3  # tensors in a line

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Account:
    """What became of every tensor.

    Attributes:
        used: (our name, the source's, shape).
        made: (our name, why it does not come from the source, shape).
        not_used: (the source's name, why, shape).
        unexpected: (the source's name, empty, shape): nobody knows it.
    """

    used: list[tuple[str, str, Shape]]
    made: list[tuple[str, str, Shape]]
    not_used: list[tuple[str, str, Shape]]
    unexpected: list[tuple[str, str, Shape]]

    def table(self) -> str:
        """A line for each kind: how many tensors and numbers, and what is to be said of them."""
        rows = {
            "used": (self.used, []), "missing": ([], []),
            "made": (self.made, [f"{name} ({why})" for name, why, _ in self.made]),
            "not used": (self.not_used, [f"{name} ({why})" for name, why, _ in self.not_used]),
            "unexpected": (self.unexpected, [name for name, _, _ in self.unexpected]),
        }  # fmt: skip
        lines = [
            f"{kind:<10} {len(rows):>5} tensors {sum(prod(s) for *_, s in rows):>14,} numbers"
            f"  {_some(words)}"
            for kind, (rows, words) in rows.items()
        ]
        return "\n".join(line.rstrip() for line in lines)

    def as_json(self) -> dict:
        """The same with every name, for ``import.json``."""
        second = {"used": "from", "made": "why", "not_used": "why", "unexpected": ""}
        made = {
            kind: [
                {"name": name, **({key: word} if key else {}), "shape": list(shape)}
                for name, word, shape in getattr(self, kind)
            ]
            for kind, key in second.items()
        }
        return {**made, "missing": []}  # else nothing would have been written


def _some(words: Sequence[str]) -> str:
    more = [f"and {len(words) - MAX_NAMED} more"] if len(words) > MAX_NAMED else []
    return ", ".join([*words[:MAX_NAMED], *more])


def take_account(found: Found, where: str, headless: bool) -> tuple[dict[str, Any], Account]:
    """The tensors of our model by name, and what became of all.

    Args:
        found: what the source holds.
        where: the source, for messages.
        headless: leave the head out if it is not there or does not fit; say so.

    Raises:
        UserError: the name of a tensor that is missing or has another shape.
    """
    expected, unchecked = expected_tensors(found.config, len(found.tokens or ()) or 1)
    heads = [name for name in expected if name.startswith(HEAD)]
    fits = all(n in found.tensors and found.tensors[n].shape == expected[n].shape for n in heads)
    old_head = HEAD if headless and not (fits and found.tokens) else ()
    wanted = {n: tensor for n, tensor in expected.items() if not n.startswith(old_head)}
    computed = _computed(found, wanted)
    given = {**found.tensors, **{name: tensor for name, (tensor, _) in computed.items()}}
    _refuse_unfit(given, wanted, unchecked, found, where)
    kept = [n for n in given if n not in wanted and n.startswith(unchecked)]
    tensors = {name: given[name].to(wanted[name].dtype) for name in wanted}
    tensors |= {name: given[name] for name in kept}
    left = [name for name in given if name not in tensors]
    heads = [name for name in left if name.startswith(old_head)]
    made = {**found.made, **{name: why for name, (_, why) in computed.items()}}
    used = [name for name in wanted if name not in made] + kept
    return tensors, Account(
        [(name, found.origin.get(name, name), tuple(given[name].shape)) for name in used],
        [(name, why, tuple(given[name].shape)) for name, why in made.items()],
        [(name, *said) for name, said in found.not_used.items()]
        + [_named(name, "the head begins anew", given, found) for name in heads],
        [_named(name, "", given, found) for name in left if name not in heads],
    )


def _computed(found: Found, wanted: Mapping) -> dict[str, tuple[Any, str]]:
    """(tensor, why it does not come from the source) of what the source need not have."""
    lacking = [name for name in wanted if name not in found.tensors]
    of_features = any(name.startswith(FEATURES) for name in lacking)
    tables = feature_tables(found.config) if of_features else {}
    made = {
        name: (table, "computed from the settings")
        for name, table in tables.items()
        if name not in found.tensors
    }
    for name in lacking:
        if name.endswith(COUNTER) and name not in made:
            zero = wanted[name].new_zeros((), device="cpu")
            made[name] = (zero, "a counter that nothing reads")
    return made


def _named(name: str, why: str, given: Mapping, found: Found) -> tuple[str, str, Shape]:
    return found.origin.get(name, name), why, tuple(given[name].shape)


def _refuse_unfit(
    given: Mapping, wanted: Mapping, unchecked: tuple[str, ...], found: Found, where: str
) -> None:
    """Refuse tensors of another shape, and then what is missing."""
    missing = [name for name in wanted if name not in given]
    for name in (name for name in wanted if name in given):
        _refuse_shape(name, given[name], wanted[name], found, where)
    if missing:
        left = [n for n in given if n not in wanted and not n.startswith(unchecked)]
        raise UserError(_missing(missing, left, found, where))


def _refuse_shape(name: str, tensor: Any, wanted: Any, found: Found, where: str) -> None:
    source = found.origin.get(name, name)
    called = source if source == name else f"{source} ({name} here)"
    if wanted.is_floating_point() and not tensor.is_floating_point():
        kind = str(tensor.dtype).removeprefix("torch.")
        raise UserError(
            f"{where}: {called} holds {kind}, not real numbers, as quantized models do. Give one "
            "that is not quantized."
        )
    if tensor.shape == wanted.shape:
        return
    fact = f"{where}: {called} has the shape {times(tensor.shape)}"
    if name.startswith(HEAD) and tensor.shape[1:] == wanted.shape[1:]:
        raise UserError(
            f"{fact}, but the vocabulary has {wanted.shape[0]} tokens. Give the vocabulary that "
            "the model was trained with, or replace the head: --new_vocab tokens.txt."
        )
    raise UserError(
        f"{fact}, but its configuration asks for {times(wanted.shape)}. Give the configuration "
        "that belongs to these weights, or fetch them again."
    )


def _missing(missing: Sequence[str], left: Sequence[str], found: Found, where: str) -> str:
    """One line on what is missing, with a name that may have been meant."""
    wanted, theirs = ([found.origin.get(n, n) for n in names] for names in (missing, left))
    near = suggestion(wanted[0], theirs)
    remedy = "Give a whole file of this architecture"
    if all(name.startswith(HEAD) for name in missing):
        remedy = "It has no output layer that fits: give --new_vocab tokens.txt for a new one"
    elif near or left:
        remedy = "Give the configuration that belongs to these weights"
    strange = f" It has {len(left)} that nobody asked for ({_some(theirs)})." if left else ""
    return f"{where} lacks {len(missing)} tensors ({_some(wanted)}).{strange}{near} {remedy}."


def expected_tensors(config: Mapping, num_tokens: int) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Tensors of a stack on torch's meta device, by name.

    With them the beginnings of names that cannot be told without loading a file.

    Raises:
        UserError: arguments that a component refuses.
    """
    sizes = output_sizes(config, checkpoint_of(config))
    tensors: dict[str, Any] = {}
    unchecked = [OBJECTIVE_STATE]
    for slot in WITH_TENSORS:
        name = built_component(config, slot)
        if name is None:
            continue
        facts = facts_of(slot, name)
        if facts.loads_weights or name == STATISTICS:
            unchecked.append(f"{slot}.")
        elif not facts.no_parameters:
            tensors |= _tensors_of(config, slot, name, sizes, num_tokens)
    return tensors, tuple(unchecked)


def feature_tables(config: Mapping) -> dict[str, Any]:
    """Filters and windows of the frontend by name: its settings say them, no training does."""
    name = built_component(config, "frontend")
    if name is None or facts_of("frontend", name).loads_weights:
        return {}
    path, _ = module_of("frontend", name)
    module = construct(path, dict(config.get("frontend_conf") or {}), device="cpu")
    kept = set(module.state_dict())
    return {f"{FEATURES}{key}": table for key, table in module.named_buffers() if key in kept}


def _tensors_of(
    config: Mapping, slot: str, name: str, sizes: Mapping[str, int | None], num_tokens: int
) -> dict[str, Any]:
    path, attribute = module_of(slot, name)
    conf = {**(config.get(f"{slot}_conf") or {}), **given_by_task(slot, sizes, num_tokens)}
    module = construct_part(slot, name, path, conf)
    head = f"{slot}.{attribute}." if attribute else f"{slot}."
    made = {f"{head}{key}": tensor for key, tensor in module.state_dict().items()}
    if slot == "encoder" and conf.get("interctc_use_conditioning"):
        width = sizes["encoder"]
        like = next(iter(made.values()))
        made["encoder.conditioning_layer.weight"] = like.new_empty(width, num_tokens)
        made["encoder.conditioning_layer.bias"] = like.new_empty(width)
    return made
