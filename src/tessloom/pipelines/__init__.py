"""The three pipelines, each declared in one file."""

from tessloom.errors import RequestError
from tessloom.pipelines._spec import SIMULATED, Column, Feature, Keyword, Pipeline, QualityMask
from tessloom.pipelines.qlp import QLP
from tessloom.pipelines.spoc import SPOC
from tessloom.pipelines.tglc import TGLC

__all__ = [
    "PIPELINES",
    "QLP",
    "SIMULATED",
    "SPOC",
    "TGLC",
    "Column",
    "Feature",
    "Keyword",
    "Pipeline",
    "QualityMask",
    "get_pipeline",
]

PIPELINES: dict[str, Pipeline] = {pipeline.name: pipeline for pipeline in (QLP, TGLC, SPOC)}


def get_pipeline(name: str) -> Pipeline:
    """Return the pipeline called `name`, in any case.

    Raises
    ------
    RequestError
        There is no such pipeline.
    """
    try:
        return PIPELINES[name.lower()]
    except KeyError:
        known = ", ".join(PIPELINES)
        raise RequestError(f"unknown pipeline {name!r}: tessloom knows {known}") from None
