"""Models of a few triangles, made by `make_models`, for tests of this folder and below."""
