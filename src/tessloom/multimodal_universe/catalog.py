"""A sector's catalogue as the Multimodal Universe's builder has it: an astropy table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from astropy.table import Table

from tessloom.archive import target_table
from tessloom.dataset.features import HEALPIX_ORDER
from tessloom.dataset.layout import cannot_write, discard, partial_path, put_in_place
from tessloom.errors import RequestError
from tessloom.healpix import coarser

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tessloom.pipelines import Pipeline

_FOURS = ("fp1", "fp2", "fp3", "fp4")
# In `healpix` of a target that has no position.
NOWHERE = -1


def parameter_names(pipeline: Pipeline) -> list[str]:
    """Return the columns that file names fill: id, camera and CCD if they tell, directories."""
    ccd = ["cam", "ccd"] if pipeline.names_ccd else []
    return [pipeline.id_in_list, *ccd, *_FOURS]


def to_table(pipeline: Pipeline, sector: int, targets: pa.Table) -> Table:
    """Return rows of a listing as a catalogue.

    Columns: `parameter_names`, ``RA`` and ``DEC`` (degrees; NaN if unknown), ``TIC_ID`` (0 if
    unknown), ``healpix`` (nside 16, NESTED; `NOWHERE` if unknown), and ``version`` where a file
    name has another version than usual.
    """
    identifiers = targets["id"].to_numpy()
    fours = [pipeline.fours(identifier) for identifier in identifiers.tolist()]
    columns: dict[str, Any] = {pipeline.id_in_list: identifiers}
    if pipeline.names_ccd:
        columns |= {"cam": targets["camera"].to_numpy(), "ccd": targets["ccd"].to_numpy()}
    columns |= dict(zip(_FOURS, np.array(fours, "U4").reshape(-1, 4).T, strict=True))
    columns |= {
        "RA": pc.fill_null(targets["ra"], np.nan).to_numpy(),
        "DEC": pc.fill_null(targets["dec"], np.nan).to_numpy(),
        "TIC_ID": pc.fill_null(targets["tic_id"], 0).to_numpy(),
    }
    healpix = coarser(pc.fill_null(targets["healpix_29"], 0).to_numpy(), HEALPIX_ORDER)
    columns["healpix"] = np.where(pc.is_valid(targets["healpix_29"]), healpix, NOWHERE)
    versions = targets["version"].to_pylist()
    if set(versions) - {pipeline.version}:
        columns["version"] = versions
    return Table(columns, meta={"pipeline": pipeline.name, "sector": sector})


def check(pipeline: Pipeline, sector: int, catalog: Any) -> None:
    """Check that something is a catalogue of this pipeline and sector.

    Only the id, and for TGLC camera and CCD, must be there.

    Raises
    ------
    RequestError
        It is not.
    """
    if not isinstance(catalog, Table):
        raise RequestError(f"a catalogue is an astropy Table, not a {type(catalog).__name__}")
    for what, own in (("pipeline", pipeline.name), ("sector", sector)):
        if catalog.meta.get(what, own) != own:
            raise RequestError(f"the catalogue is of {what} {catalog.meta[what]}, not {own}")
    needed = [name for name in parameter_names(pipeline) if name not in _FOURS]
    missing = [name for name in needed if name not in catalog.colnames]
    if missing:
        raise RequestError(
            f"the catalogue has no column {', '.join(missing)}; it has: "
            + ", ".join(catalog.colnames)
        )


def to_targets(
    pipeline: Pipeline, catalog: Table, paths: Sequence[object] | None = None
) -> pa.Table:
    """Return the rows of a catalogue as `archive.targets.SCHEMA` has them, each target once.

    Parameters
    ----------
    paths
        Of the rows' files, where those are not at their usual places.
    """
    count = len(catalog)
    identifiers = np.asarray(catalog[pipeline.id_in_list], np.int64)
    cameras, ccds = (
        np.asarray(catalog[name], np.int8) if pipeline.names_ccd else np.zeros(count, np.int8)
        for name in ("cam", "ccd")
    )
    columns: dict[str, Any] = {"id": identifiers, "camera": cameras, "ccd": ccds}
    columns["version"] = [pipeline.version] * count
    if "version" in catalog.colnames:
        columns["version"] = [str(version) for version in catalog["version"]]
    if paths is not None:
        columns["path"] = [str(path) for path in paths]
    for ours, name in (("ra", "RA"), ("dec", "DEC")):
        if name in catalog.colnames:
            values = np.asarray(catalog[name], np.float64)
            columns[ours] = pa.array(values, mask=~np.isfinite(values))
    if "TIC_ID" in catalog.colnames:
        tic_ids = np.asarray(catalog["TIC_ID"], np.int64)
        columns["tic_id"] = pa.array(tic_ids, mask=tic_ids <= 0)
    _, first = np.unique(np.stack([identifiers, cameras, ccds]), axis=1, return_index=True)
    return target_table(columns, count).take(pa.array(np.sort(first)))


def row_target(pipeline: Pipeline, row: Any) -> dict[str, Any]:
    """Return one row of a catalogue, or a mapping with its names, as a target of a listing."""
    names = names_of(row)
    if pipeline.id_in_list not in names:
        raise RequestError(f"the row has no {pipeline.id_in_list}; it has: {', '.join(names)}")
    return {
        "id": int(row[pipeline.id_in_list]),
        "camera": int(row["cam"]) if pipeline.names_ccd else 0,
        "ccd": int(row["ccd"]) if pipeline.names_ccd else 0,
        "version": str(row["version"]) if "version" in names else pipeline.version,
        "path": None,
    }


def row_key(pipeline: Pipeline, row: Any) -> tuple[int, int, int]:
    """Return what tells the targets of a catalogue apart: id, camera and CCD."""
    target = row_target(pipeline, row)
    return target["id"], target["camera"], target["ccd"]


def names_of(row: Any) -> list[str]:
    """Return the columns of a table's row, or the names of a mapping."""
    return list(row.colnames if hasattr(row, "colnames") else row.keys())


def write_table(path: Path, catalog: Table) -> None:
    """Write a catalogue as HDF5, whole or not at all.

    Raises
    ------
    DatasetError
        The disk does not take it.
    """
    partial = partial_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(partial, "w") as file:
            catalog.write(file, path="catalog", format="hdf5")
        put_in_place(partial, path)
    except OSError as error:
        discard(partial)
        raise cannot_write(path, error) from error
