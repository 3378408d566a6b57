"""Stars by their ids: which is meant, where its rows are, and its light curve from them."""

from __future__ import annotations

from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from tessloom.dataset.layout import partition_path
from tessloom.dataset.published import unpublished_sectors
from tessloom.dataset.storage import store_failures
from tessloom.errors import DatasetError, NotInDatasetError, RequestError
from tessloom.reading.id_index import IdIndex
from tessloom.reading.identifiers import parse_identifier
from tessloom.reading.joining import end_to_end
from tessloom.reading.many_stars import rows_by_star
from tessloom.reading.rows import has_row, rows_where
from tessloom.reading.unfinished import unfinished_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tessloom.pipelines import Pipeline
    from tessloom.reading.light_curve import LightCurve
    from tessloom.reading.partitions import Partitions
    from tessloom.sectors import Sectors

_NAMED = 3  # of many stars that an error is about


class Stars:
    """The stars of one pipeline.

    Parameters
    ----------
    root
        The dataset's directory.
    """

    def __init__(self, root: Path, pipeline: Pipeline, partitions: Partitions) -> None:
        self._root = root
        self._pipeline = pipeline
        self._partitions = partitions
        self._indexes = {column: IdIndex(root, pipeline, column) for column in pipeline.indexes}

    @cached_property
    def _unfinished(self) -> tuple[int, ...]:
        with store_failures(self._root):
            return unpublished_sectors(self._root, self._pipeline)

    def index(self, column: str) -> IdIndex:
        """Return the index by a column of ids; see `Catalogue.index`."""
        if column not in self._indexes:
            raise RequestError(
                f"{self._pipeline.title} has no index by {column}; it has "
                f"{', '.join(self._indexes)}"
            )
        return self._indexes[column]

    def identify(self, object_id: object, tic: object, gaia: object) -> tuple[str, int]:
        """Return the column in which the id that was given stands, and the id.

        Raises
        ------
        RequestError
            None or several are given, or one that is no id.
        NotInDatasetError
            The pipeline has no ids of that catalogue.
        """
        given = {"tic": tic, "gaia": gaia, "object_id": object_id}
        given = {name: value for name, value in given.items() if value is not None}
        if len(given) != 1:
            raise RequestError("give one of tic=, gaia= and object_id=")
        ((name, value),) = given.items()
        catalogue, identifier = parse_identifier(value, name)
        if catalogue == "gaia":
            if name == "object_id" and "gaia_dr3_id" not in self._indexes:
                raise NotInDatasetError(f"{self._pipeline.title} has no Gaia ids: give a TIC id")
            return "gaia_dr3_id", identifier
        # A star without a TIC id has its Gaia id for an object_id, which are of another size.
        if catalogue is None and not self.index("tic_id").pixels(identifier):
            return self._pipeline.id_name, identifier
        return "tic_id", identifier

    def one(self, column: str, identifier: int, sectors: Sectors | None) -> LightCurve:
        """Return a star's light curve.

        Raises
        ------
        NotInDatasetError
            It is not there, or not in these sectors.
        DatasetError
            By the index it is there, and the file is lost.
        """
        pixels = self.index(column).pixels(identifier)
        rows = self._rows(pixels, sectors, column, identifier)
        if not pixels:
            rows = self._begun(column, identifier, sectors)
        if rows:
            return end_to_end(self._pipeline, rows)
        message = (
            f"{self._root} has no light curve of {column} {identifier} from {self._pipeline.title}"
        )
        if pixels:
            others = self._rows(pixels, None, column, identifier)
            if not others:
                raise self._lost(column, identifier, pixels[0])
            there = ", ".join(map(str, sorted({row["sector"] for row in others})))
            raise NotInDatasetError(f"{message} in sector {sectors}; it has it in {there}")
        raise NotInDatasetError(message + (f" in sector {sectors}" if sectors else ""))

    def many(
        self, column: str, identifiers: Iterable[int], sectors: Sectors | None, *, skip: bool
    ) -> Iterator[LightCurve]:
        """Return an iterator over light curves of stars; see `Catalogue.light_curves`."""
        index = self.index(column)
        pixels = {identifier: index.pixels(identifier) for identifier in identifiers}
        unlisted = [identifier for identifier, of in pixels.items() if not of]
        begun = {star: self._begun(column, star, sectors) for star in unlisted}
        absent = [identifier for identifier, rows in begun.items() if not rows]
        if absent and not skip:
            raise self._absent(column, absent, None)
        return chain(
            self._gathered(column, pixels, sectors, skip=skip),
            (end_to_end(self._pipeline, rows) for rows in begun.values() if rows),
        )

    def _gathered(
        self,
        column: str,
        pixels: Mapping[int, Sequence[int]],
        sectors: Sectors | None,
        *,
        skip: bool,
    ) -> Iterator[LightCurve]:
        star = {pixel: identifier for identifier, of in pixels.items() for pixel in of}

        def files(pixel: int) -> Iterable[Path]:
            return self._files(pixel, sectors, column, star[pixel])

        for identifier, rows in rows_by_star(column, pixels, files):
            if rows:
                yield end_to_end(self._pipeline, rows)
            elif not self._is_there(pixels[identifier], column, identifier):
                raise self._lost(column, identifier, pixels[identifier][0])
            elif not skip:
                raise self._absent(column, [identifier], sectors)

    def _begun(
        self, column: str, identifier: int, sectors: Sectors | None
    ) -> list[Mapping[str, Any]]:
        """Return the rows of a star that the index lacks, of builds that have not ended."""
        begun = self._unfinished
        if sectors is not None:
            begun = tuple(sector for sector in begun if sector in sectors.among(begun))
        return unfinished_rows(self._root, self._pipeline, column, identifier, begun)

    def _rows(
        self, pixels: Iterable[int], sectors: Sectors | None, column: str, identifier: int
    ) -> list[Mapping[str, Any]]:
        return [
            row
            for pixel in pixels
            for path in self._files(pixel, sectors, column, identifier)
            for row in rows_where(path, column, identifier)
        ]

    def _is_there(self, pixels: Iterable[int], column: str, identifier: int) -> bool:
        paths = (path for pixel in pixels for path in self._files(pixel, None, column, identifier))
        return any(has_row(path, column, identifier) for path in paths)

    def _files(
        self, pixel: int, sectors: Sectors | None, column: str, identifier: int
    ) -> list[Path]:
        there = self._partitions.of_pixel(pixel)
        if not there:
            raise self._lost(column, identifier, pixel)
        wanted = there if sectors is None else sectors.among(there)
        return [there[sector] for sector in sorted(there) if sector in wanted]

    def _lost(self, column: str, identifier: int, pixel: int) -> DatasetError:
        directory = partition_path(self._root, self._pipeline, pixel, 0).parent
        return DatasetError(
            f"by the index, {column} {identifier} is in {directory}, where no file has it: run "
            "the same build again, which writes what is missing anew"
        )

    def _absent(
        self, column: str, absent: Sequence[int], sectors: Sectors | None
    ) -> NotInDatasetError:
        more = f" and {len(absent) - _NAMED:,} more" if len(absent) > _NAMED else ""
        there = "" if sectors is None else f" in sector {sectors}"
        return NotInDatasetError(
            f"{self._root} has no light curve of {column} {', '.join(map(str, absent[:_NAMED]))}"
            f"{more} from {self._pipeline.title}{there}: missing='skip' leaves such stars out"
        )
