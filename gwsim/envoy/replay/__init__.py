"""A recorded run predicted: the simulator driven by the very arrivals, from a folder of YAML and CSV. Needs no Envoy."""

from gwsim.envoy.replay.folder import Recording, open_recording
from gwsim.envoy.replay.predict import predict

__all__ = ["Recording", "open_recording", "predict"]
