"""Classes that a table names, so that reading the table imports none of them."""

import importlib


def load_class(path: str) -> type:
    """The class of ``"package.module:Class"``; its module is imported now."""
    module, name = path.split(":")
    return getattr(importlib.import_module(module), name)
