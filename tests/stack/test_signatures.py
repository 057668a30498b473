"""Annotations in a class's source say which YAML values an argument takes."""

import pytest

from asr_dro_plugin.stack import signatures

SOURCE = """
class Base:
    def __init__(self, size: int, name: str | None = None, *, rate: float = 0.1):
        pass

class Child(Base):
    pass

class Open:
    def __init__(self, x: int | Sequence[int], lr: float | Tensor = 1e-3, other=[], f=max, **kw):
        pass
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "written_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "classes.py").write_text(SOURCE)
    monkeypatch.setattr(signatures, "ROOT", tmp_path)
    return "written_package.classes"


def test_kinds_defaults_and_inheritance_are_read_without_importing(package):
    signature = signatures.signature_of(f"{package}:Child")
    kinds = {name: p.kinds for name, p in signature.parameters.items()}
    assert kinds == {"size": {"int"}, "name": {"str", "none"}, "rate": {"float"}}
    assert [p.required for p in signature.parameters.values()] == [True, False, False]
    assert signature.parameters["rate"].default == 0.1
    assert not signature.open


def test_what_is_not_plain_takes_anything(package):
    signature = signatures.signature_of(f"{package}:Open")
    kinds = {name: p.kinds for name, p in signature.parameters.items()}
    assert kinds == {
        "x": {"int", "list"}, "lr": {"float", "any"}, "other": {"any"}, "f": {"any"},
    }  # fmt: skip
    assert signature.open
