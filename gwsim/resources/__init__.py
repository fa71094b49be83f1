"""Istio and Kubernetes objects: YAML to typed models that know the line of every field."""

from gwsim.resources.models import *  # noqa: F403
from gwsim.resources.models import __all__ as _models
from gwsim.resources.not_modelled import NOT_MODELLED
from gwsim.resources.reader import read, read_text
from gwsim.resources.resource_set import ResourceSet

__all__ = ["NOT_MODELLED", "ResourceSet", "read", "read_text", *_models]
