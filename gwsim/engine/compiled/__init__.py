"""The compiled engine: the semantics of `docs/background/engine-semantics.md` in numba kernels, one component a file."""
