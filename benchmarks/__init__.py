"""Side by side measurements of anyhttp and its peers; start with ``python -m benchmarks``.

Reading order: ``workloads`` (what is done), ``clients`` (by whom), ``measure`` (one
measurement, in a process of its own), ``footprint`` (what is taken before anything is done),
``server`` and ``python_server`` (the other end), ``report`` (the table), ``targets`` (what was
asked), ``page`` and ``svg`` (the documentation).

Apart from these are ``python -m benchmarks.advice``, which compares anyhttp's settings with each
other, and ``python -m benchmarks.memory``, which measures what large bodies take.
"""
