"""The three pipelines, each declared in one file."""

from tessloom.errors import UnknownNameError
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
    """Return the pipeline called `name`, in any case: ``spoc``, or as the archive has it.

    Raises
    ------
    UnknownNameError
        There is no such pipeline.
    """
    wanted = str(name).lower()
    for pipeline in PIPELINES.values():
        if wanted in {pipeline.name, pipeline.hlsp}:
            return pipeline
    raise UnknownNameError(f"unknown pipeline {name!r}: tessloom knows {', '.join(PIPELINES)}")
