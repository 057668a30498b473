"""Constructor arguments of a class, without importing it: a mistyped key is answered at once.

ESPnet's and torch's are in ``espnet_tables.json``; those of our classes are read from
their source.
"""

import ast
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from asr_dro_plugin.base.settings import ANY, kinds_of
from asr_dro_plugin.stack.espnet_options import TABLES

OURS = "asr_dro_plugin."
ROOT = Path(__file__).resolve().parents[2]  # of our sources


@dataclass(frozen=True)
class Parameter:
    """One argument: the kinds of YAML value it takes, and its default if it is a literal."""

    kinds: frozenset[str]
    required: bool
    default: object = None


@dataclass(frozen=True)
class Signature:
    """Arguments of a constructor; ``open`` when it swallows unknown keywords."""

    parameters: dict[str, Parameter]
    open: bool


@functools.cache
def signature_of(path: str) -> Signature:
    """Signature of ``"module:Class"`` (without ``self``), one of ours or of the tables."""
    if path in TABLES["classes"]:
        return _from_tables(TABLES["classes"][path])
    module, name = path.split(":")
    file = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
    init = _find_init(name, classes)
    if init is not None:
        own = _read_arguments(init.args)
        return _with_base(own, module, name, tree) if own.open else own
    decorators = [ast.unparse(decorator) for decorator in classes[name].decorator_list]
    if any(re.match(r"(dataclasses\.)?dataclass\b", decorator) for decorator in decorators):
        fields = [node for node in classes[name].body if isinstance(node, ast.AnnAssign)]
        found = {n.target.id: _parameter(n, n.value) for n in fields}
        return _with_base(Signature(found, open=False), module, name, tree, base_first=True)
    return _with_base(Signature({}, open=True), module, name, tree)


def _with_base(
    own: Signature, module: str, name: str, tree: ast.Module, base_first: bool = False
) -> Signature:
    """With the arguments of the base, to which a class of ours hands what it does not name."""
    base = _base_of(module, name, tree) if module.startswith(OURS) else ""
    if not base.startswith(OURS):
        return own
    theirs = signature_of(base)
    parts = (theirs, own) if base_first else (own, theirs)
    order = dict.fromkeys(key for part in parts for key in part.parameters)
    known = theirs.parameters | own.parameters
    return Signature({key: known[key] for key in order}, theirs.open)


def _base_of(module: str, name: str, tree: ast.Module) -> str:
    """``module:Class`` of the first base that has a plain name; empty where there is none."""
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    wanted = [base.id for base in classes[name].bases if isinstance(base, ast.Name)][:1]
    if wanted and wanted[0] in classes:
        return f"{module}:{wanted[0]}"
    imports = [n for n in tree.body if isinstance(n, ast.ImportFrom)]
    return next((f"{n.module}:{a.name}" for n in imports for a in n.names if a.name in wanted), "")


def _from_tables(arguments: Mapping[str, Mapping]) -> Signature:
    found = {
        name: Parameter(frozenset(facts["kinds"]), "default" not in facts, facts.get("default"))
        for name, facts in arguments.items()
        if name != "**"
    }
    return Signature(found, open="**" in arguments)


def _find_init(name: str, classes: dict[str, ast.ClassDef]) -> ast.FunctionDef | None:
    """``__init__`` of a class or of its nearest base in the same file."""
    for node in classes[name].body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return node
    for base in classes[name].bases:
        if isinstance(base, ast.Name) and base.id in classes:
            return _find_init(base.id, classes)
    return None


def _read_arguments(arguments: ast.arguments) -> Signature:
    positional = [*arguments.posonlyargs, *arguments.args]
    padding = [None] * (len(positional) - len(arguments.defaults))
    pairs = list(zip(positional, [*padding, *arguments.defaults], strict=True))[1:]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    parameters = {argument.arg: _parameter(argument, default) for argument, default in pairs}
    return Signature(parameters, open=arguments.kwarg is not None)


def _parameter(argument: ast.arg | ast.AnnAssign, default: ast.expr | None) -> Parameter:
    kinds = kinds_of(ast.unparse(argument.annotation)) if argument.annotation else {ANY}
    if default is None:
        return Parameter(kinds, required=True)
    try:
        value = ast.literal_eval(default)
    except ValueError:
        return Parameter(kinds, required=False)
    extra = {"none"} if value is None else {"bool"} if isinstance(value, bool) else set()
    return Parameter(kinds | extra, required=False, default=value)
