"""What a pipeline declares: names, paths, columns and header values.

Nothing here does I/O. The other packages read these declarations and never ask
which pipeline they belong to.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re


# Stands for the column's or keyword's own name in capitals.
_BY_NAME: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class Column:
    """One list of the light curve.

    Attributes
    ----------
    name
        Name inside ``lightcurve``, lower case.
    dtype
        numpy name of the stored type. The file's own type must fit into it without loss.
    description, unit
        For people; kept in the Arrow field's metadata.
    fits
        FITS column names (``TTYPEn``) that may hold it, the preferred first; by default the
        name in capitals. The pipelines rename columns between eras; the name that a file has
        decides, never the sector.
    flags
        Raw quality bits. A narrower integer is widened without its sign, so that bit 15
        of a 16-bit flag stays bit 15 and sets no other.
    repeats
        Name of the header value that is repeated at every cadence, for a pipeline that
        gives one number for the whole light curve. Then `fits` is empty.
    required
        Whether a file without this column is unusable.
    """

    name: str
    dtype: str
    description: str
    _: KW_ONLY
    fits: tuple[str, ...] = _BY_NAME
    unit: str | None = None
    flags: bool = False
    repeats: str | None = None
    required: bool = False

    def __post_init__(self) -> None:
        if self.fits is _BY_NAME:
            object.__setattr__(self, "fits", (self.name.upper(),))


@dataclass(frozen=True)
class Keyword:
    """One scalar of the row, read from a header card.

    Attributes
    ----------
    name
        Name of the dataset's column.
    dtype
        ``int64``, ``int16``, ``int8``, ``float64``, ``float32``, ``bool`` or ``string``.
    description, unit
        For people; kept in the Arrow field's metadata.
    fits
        Header keywords that may hold it, the preferred first; by default the name in capitals.
        Empty: always null.
    hdu
        0 for the primary header, 1 for the light curve's.
    scale
        Factor from the card's unit to `unit`.
    """

    name: str
    dtype: str
    description: str
    _: KW_ONLY
    fits: tuple[str, ...] = _BY_NAME
    hdu: int = 0
    unit: str | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.fits is _BY_NAME:
            object.__setattr__(self, "fits", (self.name.upper(),))


@dataclass(frozen=True)
class Feature:
    """One array of the Multimodal Universe's HDF5 files, and what fills it.

    Attributes
    ----------
    name
        Name of the array, as their builder for TESS has it.
    sources
        Names of the `Column` or `Keyword` that may fill it, the preferred first.
    dtype
        numpy name of the array's type, where it is not the source's.
    optional
        Whether files are left without it if no light curve has it.
    """

    name: str
    sources: tuple[str, ...]
    _: KW_ONLY
    dtype: str | None = None
    optional: bool = False


@dataclass(frozen=True)
class QualityMask:
    """Bits of one column of flags that mark cadences which are left out of a clean light curve.

    Attributes
    ----------
    column
        Name of the `Column`.
    default
        What the pipeline, or the mission, recommends.
    hardest
        Every bit that may mean anything.
    """

    column: str
    default: int
    hardest: int


# What is usual for the mission's own bits (lightkurve's "default" and "hardest").
TESS_DEFAULT, TESS_HARDEST = 17087, 0xFFFF


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """One pipeline's light curves as the archive has them.

    Attributes
    ----------
    name
        Short name: the argument on the command line and the directory of the dataset.
    hlsp
        Directory of the collection below the archive's ``hlsp`` root; also known as a name.
    title, description, homepage, bibcodes, doi, citation, licence
        For the dataset card and ``hats.properties``. Contributors of high-level science
        products license them to MAST under CC BY 4.0 (MAST's contribution form and data-use
        policy).
    script, target_list
        Paths of the download script and the target list, relative to the ``hlsp`` root,
        to be formatted with ``sector``.
    path
        Path of a light curve, to be formatted with ``sector``, ``id``, ``camera``, ``ccd``,
        ``version`` and ``fours``, the four directories.
    version
        Version token of the file names where nothing else is said.
    fours_divisor
        The four directories are the 16 digits of ``id // fours_divisor``, in fours.
    file_name
        Matches a light curve's file name. Groups: ``sector``, ``id``, ``version`` and,
        where the name has them, ``camera`` and ``ccd``.
    id_name
        Which of the row's columns holds the id that file names carry.
    id_in_list
        Name of the id's column in the target list.
    identity
        Header keywords that repeat the id of the file name, the preferred first.
    healpix_order
        Order of a partition, chosen so that one (pixel, sector) holds hundreds to a few
        thousand light curves.
    indexes
        Columns by which the dataset is indexed, the default one first.
    columns, keywords
        What is read from each file. `columns` covers every era.
    features
        What the Multimodal Universe's HDF5 files hold unless others are chosen.
    masks
        Which cadences a clean light curve lacks.
    """

    name: str
    hlsp: str
    title: str
    description: str
    homepage: str
    bibcodes: tuple[str, ...]
    doi: str
    citation: str
    licence: str
    script: str
    target_list: str
    path: str
    file_name: re.Pattern[str]
    version: str
    id_name: str
    id_in_list: str
    identity: tuple[str, ...]
    healpix_order: int
    indexes: tuple[str, ...]
    columns: tuple[Column, ...]
    keywords: tuple[Keyword, ...]
    features: tuple[Feature, ...]
    masks: tuple[QualityMask, ...]
    fours_divisor: int = 1

    def light_curve_path(
        self, sector: int, identifier: int, camera: int, ccd: int, version: str
    ) -> str:
        """Return the path of one light curve below the archive's ``hlsp`` root."""
        return self.path.format(
            sector=sector,
            id=identifier,
            camera=camera,
            ccd=ccd,
            version=version,
            fours="/".join(self.fours(identifier)),
        )

    def fours(self, identifier: int) -> tuple[str, str, str, str]:
        """Return the four directories of a light curve."""
        digits = f"{identifier // self.fours_divisor:016d}"
        return digits[:4], digits[4:8], digits[8:12], digits[12:]

    @property
    def names_ccd(self) -> bool:
        """Whether file names tell camera and CCD."""
        return "ccd" in self.file_name.groupindex

    @property
    def script_directory(self) -> str:
        """Directory of the download scripts, from which the sectors that exist are read."""
        return self.script.rpartition("/")[0] + "/"


# The mission's own card for "file is based on simulated data". TESS-SPOC always writes it.
SIMULATED = "SIMDATA"
# The names that the Multimodal Universe's TESS builder uses in all three pipelines.
SKY = (Feature("RA", ("ra",)), Feature("DEC", ("dec",)), Feature("TIC_ID", ("tic_id",)))
# Scalars that all three pipelines write under the same keywords.
POSITION = (
    Keyword("ra", "float64", "Right ascension, ICRS", fits=("RA_OBJ",), unit="deg"),
    Keyword("dec", "float64", "Declination, ICRS", fits=("DEC_OBJ",), unit="deg"),
)
POINTING = (
    Keyword("sector", "int16", "TESS sector"),
    Keyword("camera", "int8", "TESS camera, 1 to 4"),
    Keyword("ccd", "int8", "CCD of the camera, 1 to 4"),
)
# The cadence of the full-frame images; EXPOSURE in these files is the whole sector's live time.
CADENCE = Keyword(
    "exposure_time",
    "float32",
    "Time from one full-frame image to the next: 1800, 600 or 200 s",
    fits=("TIMEDEL",),
    hdu=1,
    unit="s",
    scale=86400.0,
)
TESS_MAGNITUDE = Keyword("tess_mag", "float32", "TESS magnitude", fits=("TESSMAG",), unit="mag")
# Stellar parameters of the TESS Input Catalog. QLP writes -1 for an unknown one; it is kept.
TIC_PARAMETERS = (
    TESS_MAGNITUDE,
    Keyword("teff", "float32", "Effective temperature, TIC", unit="K"),
    Keyword("logg", "float32", "log10 of the surface gravity, TIC", unit="dex(cm/s2)"),
    Keyword("radius", "float32", "Stellar radius, TIC", unit="solRad"),
    Keyword("mh", "float32", "Metallicity, TIC", unit="dex"),
    Keyword("pmra", "float32", "Proper motion in right ascension, TIC", unit="mas/yr"),
    Keyword("pmdec", "float32", "Proper motion in declination, TIC", unit="mas/yr"),
)
