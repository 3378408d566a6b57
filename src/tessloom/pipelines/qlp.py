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
    TIC_PARAMETERS,
    Column,
    Keyword,
    Pipeline,
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
    id_name="tic_id",
    id_in_list="TIC_ID",
    identity=("TICID",),
    healpix_order=5,
    indexes=("tic_id",),
    columns=(
        Column(
            name="time",
            fits=("TIME",),
            dtype="float64",
            unit="d",
            required=True,
            description="BTJD: BJD - 2457000, TDB",
        ),
        Column(
            name="flux",
            fits=("KSPSAP_FLUX", "DET_FLUX"),
            dtype="float32",
            required=True,
            description="Detrended, normalised flux of the best aperture",
        ),
        Column(
            name="flux_err",
            fits=("KSPSAP_FLUX_ERR", "DET_FLUX_ERR"),
            dtype="float32",
            description="Error of flux: one number for the whole light curve",
        ),
        Column(
            name="quality",
            fits=("QUALITY",),
            dtype="int32",
            flags=True,
            description="Raw quality bits; QLP recommends quality == 0",
        ),
        Column(name="cadenceno", fits=("CADENCENO",), dtype="int32", description="Cadence number"),
        Column(
            name="sap_flux",
            fits=("SAP_FLUX",),
            dtype="float32",
            description="Normalised flux of the best aperture, not detrended",
        ),
        Column(name="orbitid", fits=("ORBITID",), dtype="int32", description="TESS orbit"),
        Column(
            name="sap_x",
            fits=("SAP_X",),
            dtype="float32",
            unit="pix",
            description="Centroid, column",
        ),
        Column(
            name="sap_y", fits=("SAP_Y",), dtype="float32", unit="pix", description="Centroid, row"
        ),
        Column(name="sap_bkg", fits=("SAP_BKG",), dtype="float32", description="Background flux"),
        Column(
            name="sap_bkg_err",
            fits=("SAP_BKG_ERR",),
            dtype="float32",
            description="Error of the background flux",
        ),
        Column(
            name="kspsap_flux_sml",
            fits=("KSPSAP_FLUX_SML",),
            dtype="float32",
            description="Detrended flux of the small aperture, sectors 1 to 55",
        ),
        Column(
            name="kspsap_flux_lag",
            fits=("KSPSAP_FLUX_LAG",),
            dtype="float32",
            description="Detrended flux of the large aperture, sectors 1 to 55",
        ),
        Column(
            name="det_flux_sml",
            fits=("DET_FLUX_SML",),
            dtype="float32",
            description="Detrended flux of the small aperture, sectors 56 on",
        ),
        Column(
            name="det_flux_lag",
            fits=("DET_FLUX_LAG",),
            dtype="float32",
            description="Detrended flux of the large aperture, sectors 56 on",
        ),
        Column(
            name="sys_rm_flux",
            fits=("SYS_RM_FLUX",),
            dtype="float32",
            description="Flux with systematics removed, sectors 56 on",
        ),
    ),
    keywords=(
        Keyword(name="tic_id", fits=("TICID",), dtype="int64", description="TESS Input Catalog id"),
        Keyword(name="gaia_dr3_id", dtype="int64", description="Gaia DR3 id; QLP gives none"),
        *POSITION,
        *POINTING,
        CADENCE,
        *TIC_PARAMETERS,
        Keyword(
            name="mass",
            fits=("MASS",),
            dtype="float32",
            unit="solMass",
            description="Stellar mass, TIC",
        ),
        Keyword(
            name="ra_orig",
            fits=("RA_ORIG",),
            dtype="float64",
            unit="deg",
            description="Right ascension, epoch J2015.5, sectors 56 on",
        ),
        Keyword(
            name="dec_orig",
            fits=("DEC_ORIG",),
            dtype="float64",
            unit="deg",
            description="Declination, epoch J2015.5, sectors 56 on",
        ),
    ),
)
