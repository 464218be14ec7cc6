"""CAP 1.2 (OASIS, 2010): public warnings as documents. `build` writes one, `parse` reads what real issuers send, `problems_of` judges it."""

from shared.cap.building import build
from shared.cap.document import Alert, Area, Circle, Info, Parameter, Reference, Resource
from shared.cap.parsing import BadCap, parse
from shared.cap.rules import Fault, problems_of

__all__ = ["Alert", "Area", "BadCap", "Circle", "Fault", "Info", "Parameter", "Reference", "Resource", "build", "parse", "problems_of"]
