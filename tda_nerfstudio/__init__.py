"""3D-aware latent spaces for nerfstudio. Only the version may live here: nerfstudio imports this package half-way."""

__version__ = "0.1.0"
