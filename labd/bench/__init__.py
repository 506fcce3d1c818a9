"""From a plan to captures on a bench.

Order of passing: `expand` turns a plan into captures with stable keys; `opening` opens instruments and link; `interlock` stands between
every command and the source; `acquire` runs one capture; `runner` runs them all and leaves with outputs verified off.
"""
