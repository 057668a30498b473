"""The recipe's own files, found from wherever a command is called."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]  # where the recipe lies, if the package is in one


def recipe_file(name: str) -> Path | None:
    """``local/languages.tsv`` and the like: of here, else of the package's checkout, or None."""
    return next((path for path in (Path(name), CHECKOUT / name) if path.is_file()), None)
