"""TESS-Gaia Light Curve (TGLC), sectors 1 to 55 at MAST.

Each flux has one error for the whole light curve, in the header of HDU 1, and it may be the
string ``'NaN'``. ``TICID`` is a string and may be empty. Files written by the tglc package carry
a cube in the primary HDU; files of 2022 name Gaia DR2. Layout read from a real file of sector 1
and from two that the package wrote.
"""

from __future__ import annotations

import re

from tessloom.pipelines._spec import (
    POINTING,
    POSITION,
    SKY,
    TESS_HARDEST,
    TESS_MAGNITUDE,
    Column,
    Feature,
    Keyword,
    Pipeline,
    QualityMask,
)

TGLC = Pipeline(
    name="tglc",
    hlsp="tglc",
    title="TESS-Gaia Light Curve (TGLC)",
    description="PSF and aperture light curves of Gaia DR3 stars brighter than Tmag 16 in the TESS "
    "full-frame images, freed from their neighbours' light.",
    homepage="https://archive.stsci.edu/hlsp/tglc",
    bibcodes=("2023AJ....165...71H",),
    doi="10.17909/610m-9474",
    citation="Han, T., & Brandt, T. D. 2023, AJ, 165, 71",
    licence="cc-by-4.0",
    script="tglc/download_scripts/hlsp_tglc_tess_ffi_s{sector:04d}_tess_v1_llc.sh",
    target_list="tglc/target_lists/s{sector:04d}.csv",
    path="tglc/s{sector:04d}/cam{camera}-ccd{ccd}/{fours}/hlsp_tglc_tess_ffi_gaiaid-{id}"
    "-s{sector:04d}-cam{camera}-ccd{ccd}_tess_{version}_llc.fits",
    fours_divisor=100_000,
    file_name=re.compile(
        r"hlsp_tglc_tess_ffi_gaiaid-(?P<id>\d{1,19})-s(?P<sector>\d{4})"
        r"-cam(?P<camera>[1-4])-ccd(?P<ccd>[1-4])_tess_(?P<version>v[\w.]+?)_llc\.fits"
    ),
    version="v1",
    id_name="gaia_dr3_id",
    id_in_list="GAIADR3_ID",
    identity=("GAIADR3", "GAIADR2"),
    healpix_order=5,
    indexes=("tic_id", "gaia_dr3_id"),
    columns=(
        Column(
            "time", "float64", "BTJD: BJD - 2457000, TDB", fits=("time",), unit="d", required=True
        ),
        Column(
            "flux",
            "float32",
            "Calibrated aperture flux: detrended and normalised",
            fits=("cal_aper_flux",),
            required=True,
        ),
        Column(
            "flux_err",
            "float32",
            "Error of flux: the header's one number, at every cadence",
            fits=(),
            repeats="cal_aper_flux_err",
        ),
        Column(
            "quality",
            "int32",
            "Raw quality bits of TESS; TGLC's own are in tglc_flags",
            fits=("TESS_flags",),
            flags=True,
        ),
        Column("psf_flux", "float32", "PSF flux", fits=("psf_flux",), unit="electron/s"),
        Column(
            "aperture_flux", "float32", "Aperture flux", fits=("aperture_flux",), unit="electron/s"
        ),
        Column(
            "cal_psf_flux",
            "float32",
            "Calibrated PSF flux; not normalised where near_edge is true",
            fits=("cal_psf_flux",),
        ),
        Column(
            "background",
            "float32",
            "Background flux; add local_background for the true one",
            fits=("background",),
            unit="electron/s",
        ),
        Column(
            "cadence_num",
            "int32",
            "Cadence number; files of the tglc package may have 0 throughout",
            fits=("cadence_num",),
        ),
        Column(
            "tglc_flags",
            "int16",
            "Raw quality bits of TGLC; bit 0: background outlier",
            fits=("TGLC_flags",),
            flags=True,
        ),
    ),
    keywords=(
        Keyword(
            "tic_id", "int64", "TESS Input Catalog id; null where TGLC gives none", fits=("TICID",)
        ),
        Keyword("gaia_dr3_id", "int64", "Gaia DR3 id", fits=("GAIADR3",)),
        Keyword(
            "gaia_dr2_id",
            "int64",
            "Gaia DR2 id, in files that the tglc package wrote in 2022",
            fits=("GAIADR2",),
        ),
        *POSITION,
        *POINTING,
        # TIMEDEL here is the mean distance of the good cadences; XPTIME is the nominal one.
        Keyword(
            "exposure_time",
            "float32",
            "Time from one full-frame image to the next: 1800, 600 or 200 s",
            fits=("XPTIME",),
            hdu=1,
            unit="s",
        ),
        TESS_MAGNITUDE,
        Keyword("gaia_g", "float32", "Gaia G magnitude", unit="mag"),
        Keyword("gaia_bp", "float32", "Gaia BP magnitude", unit="mag"),
        Keyword("gaia_rp", "float32", "Gaia RP magnitude", unit="mag"),
        Keyword(
            "psf_flux_err",
            "float64",
            "Error of psf_flux",
            fits=("PSF_ERR",),
            hdu=1,
            unit="electron/s",
        ),
        Keyword(
            "aperture_flux_err",
            "float64",
            "Error of aperture_flux",
            fits=("APER_ERR",),
            hdu=1,
            unit="electron/s",
        ),
        Keyword("cal_psf_flux_err", "float64", "Error of cal_psf_flux", fits=("CPSF_ERR",), hdu=1),
        Keyword(
            "cal_aper_flux_err",
            "float64",
            "Error of flux (the calibrated aperture flux)",
            fits=("CAPE_ERR",),
            hdu=1,
        ),
        Keyword(
            "near_edge",
            "bool",
            "Whether the star lies within 2 pixels of the image's edge",
            fits=("NEAREDGE",),
            hdu=1,
        ),
        Keyword(
            "local_background",
            "float64",
            "Local correction of the background",
            fits=("LOC_BG",),
            hdu=1,
            unit="electron/s",
        ),
        Keyword("cut_x", "int16", "Cut-out of the CCD, column"),
        Keyword("cut_y", "int16", "Cut-out of the CCD, row"),
    ),
    features=(
        Feature("time", ("time",)),
        Feature("psf_flux", ("psf_flux",)),
        Feature("aper_flux", ("aperture_flux",)),
        # As the file has it: bit 15 is the sign.
        Feature("tess_flags", ("quality",), dtype="int16"),
        Feature("tglc_flags", ("tglc_flags",)),
        *SKY,
        Feature("GAIADR3_ID", ("gaia_dr3_id", "gaia_dr2_id")),
        Feature("gaiadr3_id", ("gaia_dr3_id", "gaia_dr2_id")),
        Feature("psf_flux_err", ("psf_flux_err",)),
        Feature("aper_flux_err", ("aperture_flux_err",)),
    ),
    masks=(
        # The tglc package plots cadences without any flag, of the mission's or its own.
        QualityMask("quality", TESS_HARDEST, TESS_HARDEST),
        QualityMask("tglc_flags", 0xFFFF, 0xFFFF),
    ),
)
