"""FITS files of light curves, read from memory: any bytes give a light curve or a `FitsError`."""

from tessloom.fits.cards import HeaderValue
from tessloom.fits.decoder import Decoder, LightCurve
from tessloom.fits.hdus import check_file, check_size, primary_values

__all__ = ["Decoder", "HeaderValue", "LightCurve", "check_file", "check_size", "primary_values"]
