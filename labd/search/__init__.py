"""Use-case search: candidates made by `builders` (plug-in commands, by the `contract`), each built once and kept by `builds`."""
