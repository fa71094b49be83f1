"""A real Envoy and the simulator asked the same: route choice request by request, behaviour by counts."""
