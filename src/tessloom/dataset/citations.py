"""What to cite: BibTeX for the pipelines' papers, by ADS bibcode, and for the mission."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tessloom.pipelines import Pipeline

MISSION = "2015JATIS...1a4003R"
_RNAAS = "Research Notes of the American Astronomical Society"


class _Article(NamedTuple):
    key: str
    author: str
    title: str
    journal: str
    year: int
    volume: int
    page: str
    doi: str

    def bibtex(self) -> str:
        """Return the entry of a bibliography."""
        return (
            f"@article{{{self.key},\n"
            f"  author  = {{{self.author}}},\n"
            f"  title   = {{{{{self.title}}}}},\n"
            f"  journal = {{{self.journal}}},\n"
            f"  year    = {{{self.year}}},\n"
            f"  volume  = {{{self.volume}}},\n"
            f"  eid     = {{{self.page}}},\n"
            f"  doi     = {{{self.doi}}}\n"
            "}"
        )


_ARTICLES = {
    MISSION: _Article(
        "Ricker2015",
        "Ricker, George R. and others",
        "Transiting Exoplanet Survey Satellite (TESS)",
        "Journal of Astronomical Telescopes, Instruments, and Systems",
        2015,
        1,
        "014003",
        "10.1117/1.JATIS.1.1.014003",
    ),
    "2020RNAAS...4..201C": _Article(
        "Caldwell2020",
        "Caldwell, Douglas A. and others",
        "TESS Science Processing Operations Center FFI Target List Products",
        _RNAAS,
        2020,
        4,
        "201",
        "10.3847/2515-5172/abc9b3",
    ),
    "2020RNAAS...4..204H": _Article(
        "Huang2020a",
        "Huang, Chelsea X. and others",
        "Photometry of 10 Million Stars from the First Two Years of TESS Full Frame Images: Part I",
        _RNAAS,
        2020,
        4,
        "204",
        "10.3847/2515-5172/abca2e",
    ),
    "2020RNAAS...4..206H": _Article(
        "Huang2020b",
        "Huang, Chelsea X. and others",
        "Photometry of 10 Million Stars from the First Two Years of TESS Full Frame Images: "
        "Part II",
        _RNAAS,
        2020,
        4,
        "206",
        "10.3847/2515-5172/abca2d",
    ),
    "2021RNAAS...5..234K": _Article(
        "Kunimoto2021",
        "Kunimoto, Michelle and others",
        "Quick-look Pipeline Lightcurves for 9.1 Million Stars Observed over the First Year of "
        "the TESS Extended Mission",
        _RNAAS,
        2021,
        5,
        "234",
        "10.3847/2515-5172/ac2ef0",
    ),
    "2023AJ....165...71H": _Article(
        "HanBrandt2023",
        "Han, Te and Brandt, Timothy D.",
        "TESS-Gaia Light Curve: A PSF-based TESS FFI Light-curve Product",
        "The Astronomical Journal",
        2023,
        165,
        "71",
        "10.3847/1538-3881/acaaa7",
    ),
}


def bibtex(pipelines: Iterable[Pipeline]) -> str:
    """Return the BibTeX of the mission's paper and of those of some pipelines."""
    bibcodes = dict.fromkeys([MISSION, *(code for p in pipelines for code in p.bibcodes)])
    return "\n".join(_ARTICLES[bibcode].bibtex() for bibcode in bibcodes)
