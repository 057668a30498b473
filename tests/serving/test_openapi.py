"""The OpenAPI page is true: requests made from it are answered as it says, and never with a 5xx."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving.fronts import front

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
# No schema can say that bytes are speech, so a valid request may well be refused.
EXCLUDED = "positive_data_acceptance"


@pytest.mark.parametrize("key", ["", "s3cret"])
def test_requests_made_from_the_page_are_answered_as_it_says(key):
    with front(max_queue=64, body_timeout=5.0, api_key=key) as running:
        known = ["-H", f"Authorization: Bearer {key}"] if key else []
        done = subprocess.run(
            [SCHEMATHESIS, "run", f"{running.url}/openapi.json", "--max-examples=15", "--seed=1",
             "--exclude-checks", EXCLUDED, "--phases=coverage,fuzzing", "--no-color",
             "--request-timeout=10", *known],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-500:]
        assert re.search(r"(\d\d) selected / \1 total", done.stdout)
        code, _, log = running.stop()
    assert code == 0 and "Traceback" not in log and "s3cret" not in log
