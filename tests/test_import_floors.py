"""Who may import whom: arrows point down, siblings stay apart, and the light stays light.

A room is a folder of the package; ``bin/``, ``espnet/``, ``export/`` and others have inner rooms,
named ``espnet.run``.  The end of a room's docstring says what it imports (``Imports: base text.``;
``errors`` goes without saying); FLOORS and INNER say in which order the rooms stand.
"""

import ast
import functools
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "asr_dro_plugin"
# From the top; those of one line do not import each other.
FLOORS = [
    {"bin"},
    {"serving", "export", "importing"},
    {"runtime", "espnet"},
    {"transcribing"},
    {"packing", "reporting", "decoding"},
    {"experiment", "scoring", "preflight"},
    {"stack", "nets", "compat"},
    {"pretrained", "transcripts", "data", "lm"},
    {"text", "audio", "features", "checkpoints", "objectives", "samplers", "optim"},
    {"groups", "emissions"},
    {"base"},
    {"errors"},
]
INNER = [
    {"bin"},
    {"bin.stages", "bin.serving"},
    {"espnet.onebatch", "espnet.extract"},
    {"espnet"},
    {"espnet.parts", "espnet.run", "espnet.decode"},
    {"espnet.start", "espnet.batches"},
    {"espnet.model"},
    {"espnet.process"},
    {"export.onnx"},
    {"export"},
    {"export.int8"},
    {"runtime.live"},
    {"runtime"},
    {"reporting.page", "reporting.card", "reporting.terminal"},
    {"reporting"},
    {"reporting.read"},
]
ROOMS = {
    path.relative_to(PACKAGE).parent.as_posix().replace("/", ".")
    for path in PACKAGE.rglob("*/__init__.py")
}
TRAINING = ("task", "trainer", "objectives", "samplers")
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ("torch", "numpy", "scipy", "espnet2", "transformers", "s3prl", "fairseq", "omegaconf")
# What must answer fast: --help, --dry_run, scoring, the shell's small questions.
LIGHT_ROADS = (
    "bin.main",
    "bin.score",
    "groups",
    "base.kaldi_io",
    "text.normalizers",
    "emissions",
    "data.drop_ledger",
)


@functools.cache
def trees():
    """Module -> its syntax tree, by dotted names below the package; a room is its ``__init__``."""
    found = {}
    for path in MODULES:
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return found


def imports_of(tree):
    """Dotted names that a module imports: at the top, inside functions, for annotations alone."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute here, so that they can be looked for"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@functools.cache
def own_imports(module):
    """The modules of ours that one imports."""
    prefix, known = PACKAGE.name + ".", trees()
    ours = {n.removeprefix(prefix) for n in imports_of(known[module]) if n.startswith(prefix)}
    return {n if n in known else n.rpartition(".")[0] for n in ours} - {module, ""}


def room_of(module):
    """The folder that a module lies in: an inner room of INNER, else a folder of the package."""
    folder = module if module in ROOMS else module.rpartition(".")[0] or module
    return folder if any(folder in level for level in INNER) else folder.split(".")[0]


def own_rooms(module):
    """The rooms that a module imports, but its own and ``errors``."""
    return {room_of(name) for name in own_imports(module)} - {room_of(module), "errors"}


def may_import(room, other):
    """Whether the order of the rooms lets one import the other."""
    whole, others = room.split(".")[0], other.split(".")[0]
    levels, one, two = (INNER, room, other) if whole == others else (FLOORS, whole, others)
    height = {name: -level for level, names in enumerate(levels) for name in names}
    return one == two or height[two] < height[one]


def test_every_room_has_its_place():
    here = {room_of(module) for module in trees()} - {"", "__init__"}
    assert here == {name for level in FLOORS + INNER for name in level}


def test_arrows_point_down_and_siblings_stay_apart():
    wrong = {
        f"{module} imports {other}"
        for module in trees()
        for other in own_imports(module)
        if not may_import(room_of(module), room_of(other))
    }
    assert wrong == set()


def test_the_end_of_a_rooms_docstring_says_what_it_imports():
    imported = {}
    for module in trees():
        imported.setdefault(room_of(module), set()).update(own_rooms(module))
    wrong = []
    for room in sorted(ROOMS & set(imported)):
        words = " ".join(ast.get_docstring(trees()[room]).split())
        line = f"Imports: {' '.join(sorted(imported[room])) or 'nothing'}."
        if not words.endswith(" " + line):
            wrong.append(f"{room}/__init__.py must end with: {line}")
    assert wrong == []


def test_no_module_needs_itself_not_even_for_annotations():
    graph = {module: own_imports(module) for module in trees()}
    assert list(graphlib.TopologicalSorter(graph).static_order())  # raises a CycleError


def test_no_class_name_stands_for_two_things():
    places = {}
    for module, tree in trees().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(module)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_the_rule_sees_every_form_of_import():
    lines = (
        "import asr_dro_plugin.a", "from asr_dro_plugin.b import x",
        "from asr_dro_plugin import c", "def f():\n    from asr_dro_plugin.d import x",
        "if TYPE_CHECKING:\n    import asr_dro_plugin.e",
    )  # fmt: skip
    found = {name.split(".")[1] for line in lines for name in imports_of(ast.parse(line))}
    assert found == set("abcde")
    assert may_import("scoring", "text") and may_import("espnet.run", "espnet.model")
    assert not may_import("scoring", "experiment") and not may_import("espnet.run", "espnet.parts")


def test_espnet_is_imported_in_one_folder_only():
    assert [
        f"{module} imports {name}"
        for module, tree in trees().items()
        for name in imports_of(tree)
        if name.split(".")[0] in ("espnet", "espnet2") and module.split(".")[0] != "espnet"
    ] == []


def strings_of(path):
    """Texts of a file that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    alone = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [node.value for node in texts if isinstance(node.value, str) and node not in alone]


def test_espnets_modules_are_named_in_the_generated_table_alone():
    named = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        for text in strings_of(path)
        if re.match(r"espnet(2\b|[.:])", text)
    }
    outside = {name for name in named if not name.startswith("espnet/")}
    assert outside == {"errors.py"}  # which says what extra brings the package


def test_modules_are_imported_by_name_in_two_places():
    pattern = re.compile(r"import_module|__import__|runpy|(?<![.\w])(exec|eval)\(")
    found = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if pattern.search(path.read_text(encoding="utf-8"))
    }
    # Single modules of the tables (ESPnet's by stack.construct); our own commands.
    assert found == {"base/class_path.py", "bin/main.py"}


def test_products_know_nothing_of_training():
    assert [
        f"{module} imports {name}"
        for module in trees()
        for name in own_imports(module)
        if module.split(".")[0] in ("export", "importing") and set(name.split(".")) & set(TRAINING)
    ] == []


def loaded_by(module):
    """Heavy packages in memory after a fresh interpreter has imported one module of ours."""
    name = f"asr_dro_plugin.{module}" if module else "asr_dro_plugin"
    program = f"import sys, {name}; print(*(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        cwd=PACKAGE.parent,
    )  # fmt: skip
    return done.stdout.split()


@pytest.mark.parametrize("module", ["", *LIGHT_ROADS])
def test_the_light_roads_load_nothing_heavy(module):
    assert loaded_by(module) == []


def test_no_command_loads_torch_or_espnet_before_it_has_read_its_options():
    commands = [path.stem for path in sorted((PACKAGE / "bin").glob("*.py")) if path.stem[0] != "_"]
    program = (
        "import importlib, sys\n"
        f"for name in {commands!r}:\n"
        "    importlib.import_module('asr_dro_plugin.bin.' + name)\n"
        "    loaded = {'torch', 'espnet2', 'transformers', 's3prl', 'fairseq'} & set(sys.modules)\n"
        "    assert not loaded, (name, loaded)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          cwd=PACKAGE.parent, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-300:]


WITHOUT_TORCH = ("transcribing", "runtime", "serving")
TRAINING_PACKAGES = {"torch", "torchaudio", "transformers", "espnet", "espnet2", "s3prl", "fairseq"}


def test_what_serves_imports_nothing_of_training_however_far_down():
    """Row A23: with everything imported that a service may need, and training's packages refused.

    ``tests/bin/test_transcribe_exported.py`` has it at work.
    """
    rooms = [module for module in trees() if module.split(".")[0] in WITHOUT_TORCH]
    program = (
        "import importlib, sys\n"
        "class Forbidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        assert name.split('.')[0] not in {TRAINING_PACKAGES!r}, name\n"
        "sys.meta_path.insert(0, Forbidden())\n"
        f"for name in {sorted(rooms)!r}:\n"
        "    importlib.import_module('asr_dro_plugin.' + name)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          cwd=PACKAGE.parent, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    assert len(rooms) > 30
    assert {
        f"{module} imports {name}"
        for module in rooms
        for name in imports_of(trees()[module])
        if name.split(".")[0] in TRAINING_PACKAGES
    } == set()
