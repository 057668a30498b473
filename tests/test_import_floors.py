"""Who may import whom: arrows point down, siblings stay apart, and the light stays light.

The floors are those of the package's folders, from the top:

    bin  >  serve export importing  >  espnet
    >  objectives samplers scoring decoding lm reporting schedulers optimizers
    >  nets features  >  ground floor (the single modules and compat)
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "asr_dro_plugin"
GROUND = "ground"
FLOORS = [
    {"bin"},
    {"export", "importing", "serve"},
    {"espnet"},
    {"packing", "reporting", "decoding"},
    {"experiment", "scoring", "preflight"},
    {"stack", "nets", "compat"},
    {"pretrained", "transcripts", "data", "lm"},
    {"text", "audio", "features", "checkpoints", "objectives", "samplers", "optim"},
    {GROUND},
    {"base"},
    {"errors"},
]
HEIGHT = {folder: -level for level, folders in enumerate(FLOORS) for folder in folders}
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


def imports_of(path, root=PACKAGE):
    """Dotted names that a file imports, at the top or inside a function."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = [root.name, *path.relative_to(root).parent.parts]
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [base])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def floor_of(parts):
    """Folder of the package that decides the floor, from the path below the package."""
    name = parts[0].removesuffix(".py")
    return name if name in HEIGHT else GROUND


def own_imports(path, root=PACKAGE):
    """(name, floor) of everything of ours that a file imports."""
    prefix = root.name + "."
    ours = {name.removeprefix(prefix) for name in imports_of(path, root) if name.startswith(prefix)}
    return {(name, floor_of(name.split("."))) for name in ours}


def breaches(path, root=PACKAGE):
    """What a file imports against the rule of the floors."""
    relative = path.relative_to(root)
    here = floor_of(relative.parts)
    return sorted(
        f"{relative} imports {name}"
        for name, there in own_imports(path, root)
        if there != here and HEIGHT[there] >= HEIGHT[here]
    )


def test_every_folder_has_a_floor():
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and any(p.glob("*.py"))}
    assert folders <= set(HEIGHT) | {"compat"}


def test_arrows_point_down_and_siblings_stay_apart():
    assert [line for path in MODULES for line in breaches(path)] == []


def test_espnet_is_imported_in_one_folder_only():
    outside = [path for path in MODULES if path.relative_to(PACKAGE).parts[0] != "espnet"]
    found = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in outside
        for name in imports_of(path)
        if name.split(".")[0] in ("espnet", "espnet2")
    ]
    assert found == []


def strings_of(path):
    """Texts of a file that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    alone = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [node.value for node in texts if isinstance(node.value, str) and node not in alone]


def test_espnets_modules_are_named_in_one_table():
    named = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        for text in strings_of(path)
        if re.match(r"espnet(2\b|[.:])", text)
    }
    outside = {name for name in named if not name.startswith("espnet/")}
    # The table, which no import follows: signatures.py reads ESPnet's files as text.
    assert outside == {"stack/names.py"}


def test_modules_are_imported_by_name_in_two_places():
    pattern = re.compile(r"import_module|__import__|runpy|(?<![.\w])(exec|eval)\(")
    found = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if pattern.search(path.read_text(encoding="utf-8"))
    }
    # Single modules of the table, to count their parameters; our own commands.
    assert found == {"stack/parameters.py", "bin/main.py"}


def test_products_know_nothing_of_training():
    floor = ("serve", "export", "importing")
    products = [path for path in MODULES if path.relative_to(PACKAGE).parts[0] in floor]
    found = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in products
        for name, _ in own_imports(path)
        if set(name.split(".")) & set(TRAINING)
    ]
    assert found == []


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


@pytest.mark.parametrize(
    ("file", "line", "wrong"),
    [
        ("scoring/a.py", "from asr_dro_plugin.decoding import greedy", True),
        ("scoring/a.py", "from ..decoding.greedy import greedy", True),
        ("scoring/a.py", "def f():\n    import asr_dro_plugin.espnet.task", True),
        ("nets/a.py", "from asr_dro_plugin import scoring", True),
        ("errors.py", "from asr_dro_plugin.nets import convnet", True),
        ("compat/a.py", "from asr_dro_plugin.bin import score", True),
        ("scoring/a.py", "from asr_dro_plugin.scoring.table import aligned", False),
        ("scoring/a.py", "from . import table\nfrom .. import errors", False),
        ("bin/a.py", "import asr_dro_plugin.espnet", False),
        ("nets/a.py", "import asr_dro_plugin.errors, torch", False),
    ],
)
def test_the_rule_sees_every_form_of_import(tmp_path, file, line, wrong):
    root = tmp_path / "asr_dro_plugin"
    path = root / file
    path.parent.mkdir(parents=True)
    path.write_text(line)
    assert bool(breaches(path, root)) == wrong
