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
    SKY,
    TESS_DEFAULT,
    TESS_HARDEST,
    TIC_PARAMETERS,
    Column,
    Feature,
    Keyword,
    Pipeline,
    QualityMask,
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
    version="v1",
    id_name="tic_id",
    id_in_list="TIC_ID",
    identity=("TICID",),
    healpix_order=4,
    indexes=("tic_id",),
    columns=(
        Column("time", "float64", "BTJD: BJD - 2457000, TDB; NaN in gaps", unit="d", required=True),
        Column(
            "flux",
            "float32",
            "Flux with systematics removed (PDCSAP)",
            fits=("PDCSAP_FLUX",),
            unit="electron/s",
            required=True,
        ),
        Column(
            "flux_err", "float32", "Error of flux", fits=("PDCSAP_FLUX_ERR",), unit="electron/s"
        ),
        Column("quality", "int32", "Raw quality bits", flags=True),
        Column("timecorr", "float32", "Barycentric correction in time", unit="d"),
        Column("cadenceno", "int32", "Cadence number"),
        Column("sap_flux", "float32", "Simple aperture photometry", unit="electron/s"),
        Column("sap_flux_err", "float32", "Error of sap_flux", unit="electron/s"),
        Column("sap_bkg", "float32", "Background flux in the aperture", unit="electron/s"),
        Column("sap_bkg_err", "float32", "Error of sap_bkg", unit="electron/s"),
        Column("psf_centr1", "float64", "PSF-fitted centroid, column; NaN at MAST", unit="pix"),
        Column("psf_centr1_err", "float32", "Error of psf_centr1; NaN at MAST", unit="pix"),
        Column("psf_centr2", "float64", "PSF-fitted centroid, row; NaN at MAST", unit="pix"),
        Column("psf_centr2_err", "float32", "Error of psf_centr2; NaN at MAST", unit="pix"),
        Column("mom_centr1", "float64", "Flux-weighted centroid, column", unit="pix"),
        Column("mom_centr1_err", "float32", "Error of mom_centr1", unit="pix"),
        Column("mom_centr2", "float64", "Flux-weighted centroid, row", unit="pix"),
        Column("mom_centr2_err", "float32", "Error of mom_centr2", unit="pix"),
        Column("pos_corr1", "float32", "Motion of the star on the CCD, column", unit="pix"),
        Column("pos_corr2", "float32", "Motion of the star on the CCD, row", unit="pix"),
    ),
    keywords=(
        Keyword("tic_id", "int64", "TESS Input Catalog id", fits=("TICID",)),
        Keyword("gaia_dr3_id", "int64", "Gaia DR3 id; TESS-SPOC gives none", fits=()),
        *POSITION,
        *POINTING,
        CADENCE,
        *TIC_PARAMETERS,
        Keyword(
            "crowdsap", "float32", "Share of the aperture's flux that comes from the target", hdu=1
        ),
        Keyword(
            "flfrcsap", "float32", "Share of the target's flux that lies in the aperture", hdu=1
        ),
    ),
    features=(
        Feature("time", ("time",)),
        Feature("flux", ("flux",)),
        Feature("flux_err", ("flux_err",)),
        Feature("quality", ("quality",)),
        *SKY,
    ),
    masks=(QualityMask("quality", TESS_DEFAULT, TESS_HARDEST),),
)
