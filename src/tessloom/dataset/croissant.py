"""The dataset's description for programs: a Croissant file, which ``mlcroissant`` reads.

The vocabulary is that of Croissant 1.0, http://mlcommons.org/croissant/1.0.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from tessloom._version import SOFTWARE, __version__
from tessloom.dataset.citations import bibtex
from tessloom.dataset.layout import write_text
from tessloom.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tessloom.dataset.columns import DescribedColumn
    from tessloom.dataset.summary import Summary

CROISSANT = "croissant.json"
_DATE = re.compile(r'"datePublished": "[\d-]+"')
# Where MAST keeps all three pipelines.
_HLSP = "https://archive.stsci.edu/hlsp"
_LICENCES = {"cc-by-4.0": "https://creativecommons.org/licenses/by/4.0/"}
_TYPES = {
    "bool": "sc:Boolean",
    "int8": "cr:Int8",
    "int16": "cr:Int16",
    "int32": "cr:Int32",
    "int64": "cr:Int64",
    "uint8": "cr:UInt8",
    "uint16": "cr:UInt16",
    "uint32": "cr:UInt32",
    "uint64": "cr:UInt64",
    "float32": "cr:Float32",
    "float64": "cr:Float64",
    "string": "sc:Text",
}
# What the specification asks every file to declare.
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
} | {
    name: f"cr:{name}"
    for name in (
        *("citeAs", "column", "equivalentProperty", "extract", "field", "fileObject"),
        *("fileProperty", "fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key"),
        *("md5", "parentField", "path", "recordSet", "references", "regex", "repeated", "replace"),
        *("samplingRate", "separator", "source", "subField", "transform"),
    )
}


class Files(NamedTuple):
    """The files of one pipeline.

    Attributes
    ----------
    pattern
        Matches their paths, from the dataset's root.
    encoding
        Their media type.
    """

    summary: Summary
    pattern: str
    encoding: str


def check_croissant(root: Path) -> None:
    """Check that the file to be written will not replace somebody's own.

    Raises
    ------
    DatasetError
        There is a croissant.json that tessloom did not write.
    """
    path = root / CROISSANT
    if path.exists() and "tessloom" not in path.read_text(encoding="utf-8", errors="replace"):
        raise DatasetError(
            f"{path} was not written by tessloom and would be replaced: choose an empty directory"
        )


def write_croissant(root: Path, files: Sequence[Files]) -> None:
    """Write the Croissant file of a dataset, unless only its date would change."""
    path = root / CROISSANT
    text = json.dumps(describe(files), indent=1, ensure_ascii=False) + "\n"
    stored = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    if _DATE.sub("", stored) != _DATE.sub("", text):
        write_text(path, text)


def describe(files: Sequence[Files]) -> dict[str, Any]:
    """Return the description of a dataset as JSON-LD has it."""
    summaries = [each.summary for each in files]
    pipelines = [summary.pipeline for summary in summaries]
    titles = ", ".join(pipeline.title for pipeline in pipelines)
    synthetic = [summary.pipeline.title for summary in summaries if summary.synthetic]
    warning = f" SYNTHETIC, of stars that do not exist: {', '.join(synthetic)}."
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "tess-ffi-light-curves",
        "description": f"Light curves of {titles} from the TESS full-frame images, one record a "
        f"(sector, target), as {SOFTWARE} wove them." + (warning if synthetic else ""),
        "license": [_LICENCES.get(name, name) for name in sorted({p.licence for p in pipelines})],
        "url": pipelines[0].homepage if len(pipelines) == 1 else _HLSP,
        "sameAs": [f"https://doi.org/{pipeline.doi}" for pipeline in pipelines],
        "creator": {
            "@type": "sc:Organization",
            "name": f"The authors of {titles}",
            "url": _HLSP,
        },
        "keywords": ["astronomy", "TESS", "light curves", *(p.name for p in pipelines)],
        "datePublished": datetime.now(UTC).strftime("%Y-%m-%d"),
        "version": __version__,
        # A later build adds sectors.
        "isLiveDataset": True,
        "citeAs": bibtex(pipelines),
        "distribution": [_file_set(each) for each in files],
        "recordSet": [_record_set(each) for each in files],
    }


def _file_set(files: Files) -> dict[str, Any]:
    pipeline = files.summary.pipeline
    return {
        "@type": "cr:FileSet",
        "@id": f"{pipeline.name}-files",
        "name": f"{pipeline.name}-files",
        "description": f"{pipeline.title}: one file a (HEALPix pixel, sector).",
        "encodingFormat": files.encoding,
        "includes": files.pattern,
    }


def _record_set(files: Files) -> dict[str, Any]:
    pipeline, columns = files.summary.pipeline, files.summary.columns
    fields = [_field(pipeline.name, column) for column in columns if not column.parent]
    for parent in dict.fromkeys(column.parent for column in columns if column.parent):
        identifier = f"{pipeline.name}/{parent}"
        fields.append(
            {
                "@type": "cr:Field",
                "@id": identifier,
                "name": identifier,
                "description": "Lists of equal length, one element a cadence.",
                "subField": [_field(pipeline.name, c) for c in columns if c.parent == parent],
            }
        )
    return {
        "@type": "cr:RecordSet",
        "@id": pipeline.name,
        "name": pipeline.name,
        "description": pipeline.description,
        "field": fields,
    }


def _field(pipeline: str, column: DescribedColumn) -> dict[str, Any]:
    path = [pipeline, column.parent, column.name] if column.parent else [pipeline, column.name]
    identifier = "/".join(path)
    source: dict[str, Any] = {
        "fileSet": {"@id": f"{pipeline}-files"},
        "extract": {"column": column.parent or column.name},
    }
    if column.parent:
        source["transform"] = {"jsonPath": column.name}
    field = {
        "@type": "cr:Field",
        "@id": identifier,
        "name": identifier,
        "description": f"{column.description} [{column.unit}]"
        if column.unit
        else column.description,
        "dataType": _TYPES[column.dtype],
        "source": source,
    }
    return field | {"repeated": True} if column.is_list else field
