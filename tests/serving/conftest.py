import pytest

from tests.serving.fronts import front


@pytest.fixture(scope="package")
def service():
    """A running service of two models, whose texts say how many seconds they were given."""
    with front(models={"m": ".", "second": "."}, max_queue=64, body_timeout=5.0) as running:
        yield running
