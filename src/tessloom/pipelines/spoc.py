"""TESS-SPOC: the mission's own pipeline run on full-frame images, sectors 1 on.

One layout for all eras. Every cadence has a row; gaps are NaN in time and flux. Unknown stellar
parameters are cards without a value. Layout read from real files of sectors 1, 24, 25 and 40.
"""

from __future__ import annotations

import re

from tessloom.pipelines._spec import (
    CADENCE,
    POINTING,
    POSITION,
    TIC_PARAMETERS,
    Column,
    Keyword,
    Pipeline,
)

SPOC = Pipeline(
    name="spoc",
    hlsp="tess-spoc",
    title="TESS-SPOC",
    description="Light curves of up to 160,000 targets a sector that the TESS Science Processing "
    "Operations Center's pipeline extracts from the TESS full-frame images.",
    homepage="https://archive.stsci.edu/hlsp/tess-spoc",
    bibcodes=("2020RNAAS...4..201C",),
    doi="10.17909/t9-wpz1-8s54",
    citation="Caldwell, D. A., et al. 2020, RNAAS, 4, 201",
    licence="cc-by-4.0",
    script="tess-spoc/download_scripts/hlsp_tess-spoc_tess_phot_s{sector:04d}_tess_v1_dl-lc.sh",
    target_list="tess-spoc/target_lists/s{sector:04d}.csv",
    path="tess-spoc/s{sector:04d}/target/{fours}/"
    "hlsp_tess-spoc_tess_phot_{id:016d}-s{sector:04d}_tess_{version}_lc.fits",
    file_name=re.compile(
        r"hlsp_tess-spoc_tess_phot_(?P<id>\d{1,19})-s(?P<sector>\d{4})_tess_(?P<version>v[\w.]+?)_lc\.fits"
    ),
    id_name="tic_id",
    id_in_list="TIC_ID",
    identity=("TICID",),
    healpix_order=4,
    indexes=("tic_id",),
    columns=(
        Column(
            name="time",
            fits=("TIME",),
            dtype="float64",
            unit="d",
            required=True,
            description="BTJD: BJD - 2457000, TDB; NaN in gaps",
        ),
        Column(
            name="flux",
            fits=("PDCSAP_FLUX",),
            dtype="float32",
            unit="electron/s",
            required=True,
            description="Flux with systematics removed (PDCSAP)",
        ),
        Column(
            name="flux_err",
            fits=("PDCSAP_FLUX_ERR",),
            dtype="float32",
            unit="electron/s",
            description="Error of flux",
        ),
        Column(
            name="quality",
            fits=("QUALITY",),
            dtype="int32",
            flags=True,
            description="Raw quality bits",
        ),
        Column(
            name="timecorr",
            fits=("TIMECORR",),
            dtype="float32",
            unit="d",
            description="Barycentric correction in time",
        ),
        Column(name="cadenceno", fits=("CADENCENO",), dtype="int32", description="Cadence number"),
        *(
            Column(
                name=name,
                fits=(name.upper(),),
                dtype="float32",
                unit="electron/s",
                description=description,
            )
            for name, description in (
                ("sap_flux", "Simple aperture photometry"),
                ("sap_flux_err", "Error of sap_flux"),
                ("sap_bkg", "Background flux in the aperture"),
                ("sap_bkg_err", "Error of sap_bkg"),
            )
        ),
        *(
            Column(
                name=name, fits=(name.upper(),), dtype=dtype, unit="pix", description=description
            )
            for name, dtype, description in (
                ("psf_centr1", "float64", "PSF-fitted centroid, column; NaN at MAST"),
                ("psf_centr1_err", "float32", "Error of psf_centr1; NaN at MAST"),
                ("psf_centr2", "float64", "PSF-fitted centroid, row; NaN at MAST"),
                ("psf_centr2_err", "float32", "Error of psf_centr2; NaN at MAST"),
                ("mom_centr1", "float64", "Flux-weighted centroid, column"),
                ("mom_centr1_err", "float32", "Error of mom_centr1"),
                ("mom_centr2", "float64", "Flux-weighted centroid, row"),
                ("mom_centr2_err", "float32", "Error of mom_centr2"),
                ("pos_corr1", "float32", "Motion of the star on the CCD, column"),
                ("pos_corr2", "float32", "Motion of the star on the CCD, row"),
            )
        ),
    ),
    keywords=(
        Keyword(name="tic_id", fits=("TICID",), dtype="int64", description="TESS Input Catalog id"),
        Keyword(name="gaia_dr3_id", dtype="int64", description="Gaia DR3 id; TESS-SPOC gives none"),
        *POSITION,
        *POINTING,
        CADENCE,
        *TIC_PARAMETERS,
        Keyword(
            name="crowdsap",
            fits=("CROWDSAP",),
            hdu=1,
            dtype="float32",
            description="Share of the aperture's flux that comes from the target",
        ),
        Keyword(
            name="flfrcsap",
            fits=("FLFRCSAP",),
            hdu=1,
            dtype="float32",
            description="Share of the target's flux that lies in the aperture",
        ),
    ),
)
