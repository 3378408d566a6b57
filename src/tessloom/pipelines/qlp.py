"""MIT's Quick-Look Pipeline, sectors 1 on.

From sector 56 the detrended columns ``KSPSAP_*`` are called ``DET_*`` and ``SYS_RM_FLUX`` is
added. Cadences without data are left out of the files. Layout read from real files of
sectors 24, 25 and 56.
"""

from __future__ import annotations

import re

from tessloom.pipelines._spec import (
    CADENCE,
    POINTING,
    POSITION,
    SKY,
    TIC_PARAMETERS,
    Column,
    Feature,
    Keyword,
    Pipeline,
    QualityMask,
)

QLP = Pipeline(
    name="qlp",
    hlsp="qlp",
    title="Quick-Look Pipeline (QLP)",
    description="Light curves of stars brighter than Tmag 13.5 that MIT's Quick-Look Pipeline "
    "extracts from the TESS full-frame images.",
    homepage="https://archive.stsci.edu/hlsp/qlp",
    bibcodes=("2020RNAAS...4..204H", "2020RNAAS...4..206H", "2021RNAAS...5..234K"),
    doi="10.17909/t9-r086-e880",
    citation="Huang, C. X., et al. 2020, RNAAS, 4, 204; Huang, C. X., et al. 2020, RNAAS, 4, 206; "
    "sectors 27 on: Kunimoto, M., et al. 2021, RNAAS, 5, 234",
    licence="cc-by-4.0",
    script="qlp/download_scripts/hlsp_qlp_tess_ffi_s{sector:04d}_tess_v01_llc-fits.sh",
    target_list="qlp/target_lists/s{sector:04d}.csv",
    path="qlp/s{sector:04d}/{fours}/hlsp_qlp_tess_ffi_s{sector:04d}-{id:016d}_tess_{version}_llc.fits",
    file_name=re.compile(
        r"hlsp_qlp_tess_ffi_s(?P<sector>\d{4})-(?P<id>\d{1,19})_tess_(?P<version>v[\w.]+?)_llc\.fits"
    ),
    version="v01",
    id_name="tic_id",
    id_in_list="TIC_ID",
    identity=("TICID",),
    healpix_order=5,
    indexes=("tic_id",),
    columns=(
        Column("time", "float64", "BTJD: BJD - 2457000, TDB", unit="d", required=True),
        Column(
            "flux",
            "float32",
            "Detrended, normalised flux of the best aperture",
            fits=("KSPSAP_FLUX", "DET_FLUX"),
            required=True,
        ),
        Column(
            "flux_err",
            "float32",
            "Error of flux: one number for the whole light curve",
            fits=("KSPSAP_FLUX_ERR", "DET_FLUX_ERR"),
        ),
        Column("quality", "int32", "Raw quality bits; QLP recommends quality == 0", flags=True),
        Column("cadenceno", "int32", "Cadence number"),
        Column("sap_flux", "float32", "Normalised flux of the best aperture, not detrended"),
        Column("orbitid", "int32", "TESS orbit"),
        Column("sap_x", "float32", "Centroid, column", unit="pix"),
        Column("sap_y", "float32", "Centroid, row", unit="pix"),
        Column("sap_bkg", "float32", "Background flux"),
        Column("sap_bkg_err", "float32", "Error of the background flux"),
        Column(
            "kspsap_flux_sml", "float32", "Detrended flux of the small aperture, sectors 1 to 55"
        ),
        Column(
            "kspsap_flux_lag", "float32", "Detrended flux of the large aperture, sectors 1 to 55"
        ),
        Column("det_flux_sml", "float32", "Detrended flux of the small aperture, sectors 56 on"),
        Column("det_flux_lag", "float32", "Detrended flux of the large aperture, sectors 56 on"),
        Column("sys_rm_flux", "float32", "Flux with systematics removed, sectors 56 on"),
    ),
    keywords=(
        Keyword("tic_id", "int64", "TESS Input Catalog id", fits=("TICID",)),
        Keyword("gaia_dr3_id", "int64", "Gaia DR3 id; QLP gives none", fits=()),
        *POSITION,
        *POINTING,
        CADENCE,
        *TIC_PARAMETERS,
        Keyword("mass", "float32", "Stellar mass, TIC", unit="solMass"),
        Keyword("ra_orig", "float64", "Right ascension, epoch J2015.5, sectors 56 on", unit="deg"),
        Keyword("dec_orig", "float64", "Declination, epoch J2015.5, sectors 56 on", unit="deg"),
    ),
    features=(
        Feature("time", ("time",)),
        Feature("sap_flux", ("sap_flux",)),
        Feature("kspsap_flux", ("flux",)),
        Feature("kspsap_flux_err", ("flux_err",)),
        Feature("quality", ("quality",)),
        Feature("orbitid", ("orbitid",)),
        Feature("sap_x", ("sap_x",)),
        Feature("sap_y", ("sap_y",)),
        Feature("sap_bkg", ("sap_bkg",)),
        Feature("sap_bkg_err", ("sap_bkg_err",)),
        Feature("kspsap_flux_sml", ("kspsap_flux_sml", "det_flux_sml")),
        Feature("kspsap_flux_lag", ("kspsap_flux_lag", "det_flux_lag")),
        Feature("sys_rm_flux", ("sys_rm_flux",), optional=True),
        *SKY,
        Feature("tess_mag", ("tess_mag",)),
        Feature("radius", ("radius",)),
        Feature("teff", ("teff",)),
        Feature("logg", ("logg",)),
        Feature("mh", ("mh",)),
    ),
    # QLP recommends quality == 0. Its own bit of low precision moved from 12 to 30 in sector 56.
    masks=(QualityMask("quality", 0xFFFFFFFF, 0xFFFFFFFF),),
)
