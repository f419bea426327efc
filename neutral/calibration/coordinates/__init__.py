"""Coordinates, which are the vectors that solvers move: a class for models, and a wrapper for extensions."""

from .base import AbstractCoordinates as AbstractCoordinates
from .base import Bounds as Bounds
from .base import Columns as Columns
from .base import increment_unit as increment_unit
from .model import ModelCoordinates as ModelCoordinates
from .shifted import ShiftedCoordinates as ShiftedCoordinates
from .shifted import coordinates_of as coordinates_of
