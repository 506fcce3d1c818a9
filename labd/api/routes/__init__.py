"""One module an area of the API; each has a `router`."""
