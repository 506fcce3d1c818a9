"""Are figures as certain as they say, and is no second of measuring wasted? `least_time` the fewest seconds that physics allows ->
`aimed` runs that measure until an aim is met, held against it and against the board's truth -> `__main__` what falls short.
"""
