"""The embedded archive: a synthetic sky behind an HTTP server that behaves like MAST."""

from tessloom.demo.faults import Faults
from tessloom.demo.server import DemoServer, serve

__all__ = ["DemoServer", "Faults", "serve"]
