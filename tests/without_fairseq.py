"""The beginning of a program in which fairseq, hydra and omegaconf cannot be imported."""

FORBID = """
import importlib.abc, sys

class Forbid(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("fairseq", "hydra", "omegaconf"):
            raise ImportError(f"{name} is forbidden here")

sys.meta_path.insert(0, Forbid())
"""
