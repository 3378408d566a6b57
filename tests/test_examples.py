"""The notebook runs from top to bottom in an empty directory, and draws what it says."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples.ipynb"
EXECUTE = Path(sys.executable).with_name("jupyter-execute")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return what the notebook's cells put out."""
    folder = tmp_path_factory.mktemp("notebook")
    shutil.copy(NOTEBOOK, folder)
    done = subprocess.run(
        [str(EXECUTE), NOTEBOOK.name, "--output=executed"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    cells = json.loads((folder / "executed.ipynb").read_text("utf-8"))["cells"]
    return [output for cell in cells for output in cell.get("outputs", [])]


def test_the_notebook_builds_all_three_pipelines(outputs: list[dict[str, Any]]) -> None:
    printed = "".join(
        line for output in outputs if output.get("name") == "stdout" for line in output["text"]
    )
    for name in ("qlp", "tglc", "spoc"):
        assert f"{name} complete: True\n" in printed
        assert f"{name} sector 23: 60 of 60 light curves" in printed


def test_the_notebook_draws_each_pipeline_and_a_star_in_all_three(
    outputs: list[dict[str, Any]],
) -> None:
    images = [
        base64.b64decode(output["data"]["image/png"])
        for output in outputs
        if "image/png" in output.get("data", {})
    ]
    assert len(images) == 4
    # An empty figure of this size has a few thousand bytes.
    assert all(len(image) > 20_000 for image in images)
