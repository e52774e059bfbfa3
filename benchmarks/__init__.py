"""Side by side measurements of anyhttp and its peers.

``python -m benchmarks.instructions`` counts what many kinds of work take.  Reading order:
``rows`` (what is done, and what is asked), ``jobs`` (how each client does it), ``count`` (one
count, in a process of its own), ``counter`` (by what instrument), ``instructions`` (all of them,
and the table).

``python -m benchmarks`` compares CPU time, of fewer kinds: ``workloads`` (what is done),
``measure`` (one measurement, in a process of its own), ``footprint`` (what is taken before
anything is done), ``report`` (the table), ``targets`` (what was asked).  ``python -m
benchmarks.ws`` does the same with WebSockets: ``ws_workloads``, ``ws_clients``, ``ws_server``.

Common to both are ``clients`` (who is measured), ``server``, ``python_server`` and ``answers``
(the other end), ``page``, ``plots``, ``marks`` and ``svg`` (the documentation).

Apart from these are ``python -m benchmarks.advice``, which compares anyhttp's settings with each
other, and ``python -m benchmarks.memory``, which measures what large bodies take.
"""
