"""How fast labd is, as ratios: each against a named peer or limit that is measured in the same run."""
