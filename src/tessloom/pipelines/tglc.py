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
    TESS_MAGNITUDE,
    Column,
    Keyword,
    Pipeline,
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
    id_name="gaia_dr3_id",
    id_in_list="GAIADR3_ID",
    identity=("GAIADR3", "GAIADR2"),
    healpix_order=5,
    indexes=("tic_id", "gaia_dr3_id"),
    columns=(
        Column(
            name="time",
            fits=("time",),
            dtype="float64",
            unit="d",
            required=True,
            description="BTJD: BJD - 2457000, TDB",
        ),
        Column(
            name="flux",
            fits=("cal_aper_flux",),
            dtype="float32",
            required=True,
            description="Calibrated aperture flux: detrended and normalised",
        ),
        Column(
            name="flux_err",
            repeats="cal_aper_flux_err",
            dtype="float32",
            description="Error of flux: the header's one number, at every cadence",
        ),
        Column(
            name="quality",
            fits=("TESS_flags",),
            dtype="int32",
            flags=True,
            description="Raw quality bits of TESS; TGLC's own are in tglc_flags",
        ),
        Column(
            name="psf_flux",
            fits=("psf_flux",),
            dtype="float32",
            unit="electron/s",
            description="PSF flux",
        ),
        Column(
            name="aperture_flux",
            fits=("aperture_flux",),
            dtype="float32",
            unit="electron/s",
            description="Aperture flux",
        ),
        Column(
            name="cal_psf_flux",
            fits=("cal_psf_flux",),
            dtype="float32",
            description="Calibrated PSF flux; not normalised where near_edge is true",
        ),
        Column(
            name="background",
            fits=("background",),
            dtype="float32",
            unit="electron/s",
            description="Background flux; add local_background for the true one",
        ),
        Column(
            name="cadence_num",
            fits=("cadence_num",),
            dtype="int32",
            description="Cadence number; files of the tglc package may have 0 throughout",
        ),
        Column(
            name="tglc_flags",
            fits=("TGLC_flags",),
            dtype="int16",
            flags=True,
            description="Raw quality bits of TGLC; bit 0: background outlier",
        ),
    ),
    keywords=(
        Keyword(
            name="tic_id",
            fits=("TICID",),
            dtype="int64",
            description="TESS Input Catalog id; null where TGLC gives none",
        ),
        Keyword(name="gaia_dr3_id", fits=("GAIADR3",), dtype="int64", description="Gaia DR3 id"),
        Keyword(
            name="gaia_dr2_id",
            fits=("GAIADR2",),
            dtype="int64",
            description="Gaia DR2 id, in files that the tglc package wrote in 2022",
        ),
        *POSITION,
        *POINTING,
        # TIMEDEL here is the mean distance of the good cadences; XPTIME is the nominal one.
        Keyword(
            name="exposure_time",
            fits=("XPTIME",),
            hdu=1,
            dtype="float32",
            unit="s",
            description="Time from one full-frame image to the next: 1800, 600 or 200 s",
        ),
        TESS_MAGNITUDE,
        *(
            Keyword(
                name=name,
                fits=(name.upper(),),
                dtype="float32",
                unit="mag",
                description=f"Gaia {band} magnitude",
            )
            for name, band in (("gaia_g", "G"), ("gaia_bp", "BP"), ("gaia_rp", "RP"))
        ),
        *(
            Keyword(
                name=f"{flux}_err",
                fits=(keyword,),
                hdu=1,
                dtype="float64",
                unit=unit,
                description=f"Error of {meaning}",
            )
            for flux, keyword, unit, meaning in (
                ("psf_flux", "PSF_ERR", "electron/s", "psf_flux"),
                ("aperture_flux", "APER_ERR", "electron/s", "aperture_flux"),
                ("cal_psf_flux", "CPSF_ERR", None, "cal_psf_flux"),
                ("cal_aper_flux", "CAPE_ERR", None, "flux (the calibrated aperture flux)"),
            )
        ),
        Keyword(
            name="near_edge",
            fits=("NEAREDGE",),
            hdu=1,
            dtype="bool",
            description="Whether the star lies within 2 pixels of the image's edge",
        ),
        Keyword(
            name="local_background",
            fits=("LOC_BG",),
            hdu=1,
            dtype="float64",
            unit="electron/s",
            description="Local correction of the background",
        ),
        Keyword(
            name="cut_x", fits=("CUT_X",), dtype="int16", description="Cut-out of the CCD, column"
        ),
        Keyword(
            name="cut_y", fits=("CUT_Y",), dtype="int16", description="Cut-out of the CCD, row"
        ),
    ),
)
