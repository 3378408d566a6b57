"""The interpreter suits builds while there are any, and is afterwards as it was."""

import gc
from contextlib import ExitStack

import pyarrow as pa
import pytest

from tessloom.building.tuning import tuned


def settings() -> tuple[str, tuple[int, int, int]]:
    return pa.default_memory_pool().backend_name, gc.get_threshold()


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch) -> tuple[str, tuple[int, int, int]]:
    monkeypatch.delenv("ARROW_DEFAULT_MEMORY_POOL", raising=False)
    return settings()


def test_builds_that_overlap_leave_the_interpreter_as_it_was(
    before: tuple[str, tuple[int, int, int]],
) -> None:
    first, second = ExitStack(), ExitStack()
    first.enter_context(tuned())
    meanwhile = settings()
    assert meanwhile != before
    second.enter_context(tuned())
    first.close()
    assert settings() == meanwhile
    second.close()
    assert settings() == before


def test_an_allocator_that_the_user_has_chosen_is_kept(
    before: tuple[str, tuple[int, int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARROW_DEFAULT_MEMORY_POOL", before[0])
    with tuned():
        assert pa.default_memory_pool().backend_name == before[0]
    assert settings() == before
