"""Are the printed intervals right? Captures on virtual boards whose exact truth is known, through sockets, drivers and firmware.

lab (a bench that also tells the truth) -> truth (what each figure should be) -> campaign (which captures) -> verdict (coverage).
"""
