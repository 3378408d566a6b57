"""Every code block of the README and of the pages in docs/ runs, or says why it can't.

A page is run as one script, from its first block to its last, in a directory that has nothing but
``demo-data`` as the page names it. A block that is not run has a comment with the reason before it:
``<!-- not run: needs MAST -->``. Blocks of ``text`` are output, files and the like. What needs
lightkurve runs in an environment of its own, after the blocks of Python before it in its section.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import COMMAND, LIGHTKURVE, NAMES, ROOT, run

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# One at a time on a worker: a page's blocks are as many processes as there are cores already.
pytestmark = pytest.mark.xdist_group("documentation")
_REASON = re.compile(r"<!-- not run: (.*\S) -->")
_NEEDS = re.compile(r"needs (torch)\b")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes
    ----------
    line
        Number of its first line of code.
    reason
        Why it is not run, where the page says so.
    section
        The heading, of the second level, that it stands under.
    """

    language: str
    code: str
    line: int
    reason: str | None
    section: str


def blocks_of(page: Path) -> list[Block]:
    """Return a page's blocks in their order."""
    found: list[Block] = []
    lines = page.read_text("utf-8").splitlines()
    start: int | None = None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if start is None:
            start = number
            continue
        before = [text for text in lines[:start] if text.strip()][-1:]
        match = _REASON.fullmatch(before[0].strip()) if before else None
        reason = match.group(1) if match else None
        code = "\n".join(lines[start + 1 : number])
        section = next((text for text in reversed(lines[:start]) if text.startswith("## ")), "")
        found.append(Block(lines[start].removeprefix("```"), code, start + 2, reason, section))
        start = None
    assert start is None, f"{page.name}:{start}: the block has no end"
    return found


def is_run(block: Block) -> bool:
    """Return whether a block is to run here: also one that needs what is there after all."""
    needed = _NEEDS.match(block.reason or "")
    if needed:
        return importlib.util.find_spec(needed.group(1)) is not None
    return block.reason is None


def script_of(blocks: list[Block]) -> str:
    """Return a page's blocks as one script, whose line numbers are the page's."""
    lines: list[str] = []
    for block in blocks:
        code = block.code
        if block.language == "bash":
            command = ["bash", "-euo", "pipefail", "-c", code]
            code = f"__import__('subprocess').run({command!r}, check=True)"
        lines += [""] * (block.line - 1 - len(lines)) + code.splitlines()
    return "\n".join(lines)


@pytest.fixture(scope="module")
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what ``make demo`` makes."""
    out = tmp_path_factory.mktemp("documentation") / "demo-data"
    arguments = ("--sector", 23, "--tiny", "--archive", "demo", "--out", out)
    assert run("build", *NAMES, *arguments).returncode == 0
    return out


@pytest.fixture
def folder(tmp_path: Path, demo_data: Path) -> Path:
    """Return a directory with the demo's data and what a checkout has beside the package."""
    place = tmp_path / "empty"
    shutil.copytree(demo_data, place / "demo-data")
    for name in ("build_parent_sample.py", "qlp.py", "spoc.py", "tglc.py"):
        shutil.copy(ROOT / name, place)
    return place


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    for block in blocks_of(page):
        where = f"{page.name}:{block.line}"
        assert block.language in {"bash", "python", "text"}, f"{where}: bash, python or text?"
        assert block.language != "text" or block.reason is None, f"{where}: text never runs"


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(is_run(b) for b in blocks_of(page) if b.language != "text")],
    ids=lambda page: page.stem,
)
def test_the_blocks_of_a_page_run_from_first_to_last(page: Path, folder: Path) -> None:
    blocks = [block for block in blocks_of(page) if block.language != "text" and is_run(block)]
    run_blocks(page, blocks, folder, sys.executable)


@pytest.mark.parametrize(
    ("page", "block"),
    [
        pytest.param(page, block, id=f"{page.stem}:{block.line}")
        for page in PAGES
        for block in blocks_of(page)
        if (block.reason or "").startswith("needs lightkurve")
    ],
)
def test_what_needs_lightkurve_runs_where_it_is(page: Path, block: Block, folder: Path) -> None:
    if not LIGHTKURVE.exists():
        pytest.skip("needs an environment for lightkurve: make test makes it")
    before = [
        other
        for other in blocks_of(page)
        if (other.language, other.section) == ("python", block.section) and other.line < block.line
    ]
    run_blocks(page, [*before, block], folder, str(LIGHTKURVE))


def run_blocks(page: Path, blocks: list[Block], folder: Path, python: str) -> None:
    """Run blocks of a page as one script, and fail as it does."""
    script = folder / page.with_suffix(".py").name.replace("-", "_")
    script.write_text(script_of(blocks), "utf-8")
    done = subprocess.run(
        [python, script.name],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        env=os.environ
        | {
            "PATH": os.pathsep.join([str(Path(COMMAND[0]).parent), os.environ["PATH"]]),
            "MPLBACKEND": "agg",
            "TESSLOOM_CACHE": str(folder.parent / "cache"),
        },
    )
    assert done.returncode == 0, f"{page.name} (line numbers are its own):\n{done.stderr}"


def test_a_page_that_calls_what_is_not_there_fails(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Text\n\n```bash\ntessloom weave\n```\n\n```python\nnonsense()\n```\n", "utf-8")
    script = tmp_path / "script.py"
    for language, line in (("bash", 4), ("python", 8)):
        blocks = [block for block in blocks_of(page) if block.language == language]
        script.write_text(script_of(blocks), "utf-8")
        done = subprocess.run(
            [sys.executable, script], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode != 0
        assert f"line {line}, in <module>" in done.stderr


def test_a_marked_block_is_left_out_and_an_unmarked_one_is_not(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- not run: needs MAST -->\n```bash\na\n```\n\n```bash\nb\n```\n\n"
        "<!-- not run: needs torch -->\n\n```python\nimport torch\n```\n",
        "utf-8",
    )
    marked, unmarked, torch = blocks_of(page)
    assert (marked.reason, is_run(marked)) == ("needs MAST", False)
    assert (unmarked.reason, is_run(unmarked)) == (None, True)
    assert is_run(torch) == (importlib.util.find_spec("torch") is not None)


def test_the_schema_pages_name_every_column_of_the_declaration() -> None:
    """They are made when the site is built: nothing in them is written by hand."""
    from tessloom.pipelines import PIPELINES, Column, Keyword

    specification = importlib.util.spec_from_file_location(
        "schema_pages", ROOT / "docs" / "hooks" / "schema_pages.py"
    )
    assert specification
    assert specification.loader
    hook = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(hook)
    for pipeline in PIPELINES.values():
        page = hook.schema_page(pipeline)
        declarations: list[Column | Keyword] = [*pipeline.columns, *pipeline.keywords]
        for declared in declarations:
            row = next(r for r in page.splitlines() if r.startswith(f"| `{declared.name}` |"))
            assert declared.dtype in row
            assert declared.description.split("|")[0] in row
            assert (declared.unit or "") in row
            assert all(f"`{name}`" in row for name in declared.fits)
