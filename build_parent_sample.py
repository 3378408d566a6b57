"""Download a sector of a pipeline and store it in the Multimodal Universe's standard format."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tessloom.building.report import describe
from tessloom.cli import INCOMPLETE, INTERRUPTED, STOPPED, WRONG_CALL
from tessloom.dataset.status import read_status
from tessloom.errors import RequestError, TessloomError
from tessloom.multimodal_universe import QLP_Downloader, SPOC_Downloader, TGLC_Downloader

_TINY_SIZE = 100  # light curves that --tiny takes
_DOWNLOADERS = {"qlp": QLP_Downloader, "spoc": SPOC_Downloader, "tglc": TGLC_Downloader}


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Exit status: 0 complete, 1 some light curves are missing, 2 wrong call, 3 stopped "
        "(archive or disk; the same command continues).",
    )
    parser.add_argument("--pipeline", required=True, type=str.lower, choices=_DOWNLOADERS)
    parser.add_argument("-s", "--sector", required=True, type=int, help="TESS sector")
    parser.add_argument("-t", "--tiny", action="store_true", help=f"the first {_TINY_SIZE} only")
    parser.add_argument(
        "-n", "--n_processes", type=int, default=1, help="processes that convert files"
    )
    parser.add_argument(
        "--data_path", default="./data", help="for the script, the target list and the catalogue"
    )
    parser.add_argument("--hdf5_output_path", help="for the HDF5 files; default: as --data_path")
    parser.add_argument("--fits_output_path", help="for the FITS files; default: fits below that")
    parser.add_argument("--archive", help="as in tessloom build; default: $TESSLOOM_ARCHIVE, mast")
    parser.add_argument(
        "--features", help="arrays of the HDF5 files: names with commas between, default, or all"
    )
    return parser.parse_args()


def build(arguments: argparse.Namespace) -> bool:
    """Go the whole way; return whether nothing is missing."""
    downloader = _DOWNLOADERS[arguments.pipeline](
        sector=arguments.sector,
        data_path=arguments.data_path,
        hdf5_output_dir=arguments.hdf5_output_path,
        fits_dir=arguments.fits_output_path,
        n_processes=arguments.n_processes,
        archive=arguments.archive,
        features=arguments.features,
        tiny_size=_TINY_SIZE,
    )
    complete = downloader.download_sector(
        tiny=arguments.tiny, show_progress=True, save_catalog=True
    )
    for status in read_status(Path(downloader.hdf5_output_dir)):
        if (status.pipeline, status.sector) == (arguments.pipeline, arguments.sector):
            print(*describe([status]), sep="\n")  # noqa: T201 - the result
    return complete


def main() -> int:
    """Run the command line; return its exit status."""
    try:
        return 0 if build(parse_arguments()) else INCOMPLETE
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted: the same command continues where it stopped.\n")
        return INTERRUPTED
    except RequestError as error:
        sys.stderr.write(f"build_parent_sample.py: {error}\n")
        return WRONG_CALL
    except TessloomError as error:
        sys.stderr.write(f"build_parent_sample.py: {error}\n")
        return STOPPED


if __name__ == "__main__":
    sys.exit(main())
