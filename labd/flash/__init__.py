"""Firmware onto a board that you own: `recipe` says with which tools, `image` builds what they take, `run` lets one of them do it.

On this machine only, and not part of the HTTP API: the probe hangs here, the tools are this user's own, and what is written then runs on
the board. A search writes its candidates only where the bench file, which is that user's too, says how.
"""
